"""Consensus of beams on real speech: exact in any batch, fewer errors, no loop left."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from moontune.config.schema import EvalConfig
from moontune.data.manifest import read_manifest
from moontune.evaluation.error_rates import sum_edits, word_edits
from moontune.models.decoding import endless
from moontune.models.transcriber import Transcriber, load_audio

CAP = EvalConfig().token_cap
CLIPS = 96


@pytest.fixture(scope="module")
def heard(accented: Path, bundled_base: Any) -> Any:
    """Clips drawn from accented speech, their transcripts in batches, greedy and by consensus."""
    rows = random.Random(0).sample(read_manifest(accented)[0], CLIPS)
    rows.sort(key=lambda u: u.duration_or_1s)
    clips = [load_audio(u) for u in rows]
    found = {}
    for name, transcriber in {
        "plain": Transcriber(bundled_base, mends_loops=False),
        "greedy": Transcriber(bundled_base),
        "consensus": Transcriber(bundled_base, "consensus"),
    }.items():
        found[name] = [t for i in range(0, CLIPS, 16) for t in transcriber(clips[i : i + 16], CAP)]
    return rows, clips, found


@pytest.mark.slow
def test_a_clip_alone_has_the_consensus_it_has_among_others(heard, bundled_base) -> None:
    _, clips, found = heard
    alone = Transcriber(bundled_base, "consensus")
    for i in range(0, CLIPS, 7):
        [transcript] = alone([clips[i]], CAP)
        assert transcript.text == found["consensus"][i].text


@pytest.mark.slow
def test_consensus_makes_fewer_errors_than_greedy(heard) -> None:
    rows, _, found = heard

    def errors(name: str) -> int:
        return sum_edits(
            word_edits(u.text, t.text) for u, t in zip(rows, found[name], strict=True)
        ).errors

    assert errors("consensus") < 0.95 * errors("greedy")


@pytest.mark.slow
def test_transcripts_with_an_end_stay_as_they_are(heard) -> None:
    _, _, found = heard
    for plain, greedy in zip(found["plain"], found["greedy"], strict=True):
        if endless(plain):
            assert greedy.greedy == plain or greedy == plain
        else:
            assert greedy == plain
    assert not any(map(endless, found["consensus"]))
