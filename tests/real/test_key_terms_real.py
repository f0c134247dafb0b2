"""Key terms in real speech: some are found that were missed, and no other word changes."""

from __future__ import annotations

from typing import Any

import pytest
from builders import SHARED

from moontune.config.schema import EvalConfig
from moontune.data.manifest import read_manifest
from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm, places_of
from moontune.models.key_terms.weighing import KeyTerms
from moontune.models.transcriber import Transcriber, load_audio

TERMS = tuple(
    KeyTerm(t) for t in ("Pygmy", "Ironstein", "concubines", "Floda", "Zorblax", "Quimby")
)
GAME = SHARED / "data/adventure_game/manifest.jsonl"


@pytest.mark.slow
@pytest.mark.skipif(not GAME.is_file(), reason="no ../shared")
def test_terms_that_were_missed_are_written_and_other_words_stay(bundled_base: Any) -> None:
    rows = [u for u in read_manifest(GAME)[0] if any(t.sound in normalize(u.text) for t in TERMS)]
    others = read_manifest(GAME)[0][:40]
    cap = EvalConfig().token_cap
    plain, knowing = Transcriber(bundled_base), Transcriber(bundled_base, key_terms=KeyTerms(TERMS))

    def found(transcripts: list[Any]) -> int:
        return sum(
            min(len(places_of(normalize(text).split(), t.sound)) for text in (u.text, w.text))
            for u, w in zip(rows, transcripts, strict=True)
            for t in TERMS
        )

    clips = [load_audio(u) for u in rows]
    assert found(knowing(clips, cap)) > found(plain(clips, cap))
    clips = [load_audio(u) for u in others if not any(t.sound in normalize(u.text) for t in TERMS)]
    same = [a.text == b.text for a, b in zip(plain(clips, cap), knowing(clips, cap), strict=True)]
    assert sum(same) >= len(same) - 1
