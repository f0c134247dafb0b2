"""How far beams agree with a word, and the chance that it is right."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import noise

from moontune.config.schema import TokenCap
from moontune.errors import UserError
from moontune.models import transcriber as transcribing
from moontune.models.confidence.agreement import Evidence, evidence
from moontune.models.confidence.calibration import (
    Calibration,
    Origin,
    default_confidence,
    read_calibration,
    write_calibration,
)
from moontune.models.decoding import Transcript
from moontune.models.packed.beams import Beam
from moontune.models.transcriber import Transcriber

ORIGIN = Origin(9, 200, 150, (0.2, 0.1), (0.1, 0.05))


def shares(text: str, *others: str, cut: tuple[str, ...] = ()) -> list[float]:
    """How many of the beams agree with each word, all of them as likely a word."""
    written = [(Transcript(t, [], t in cut), -float(len(words_of(t)) + 1)) for t in (text, *others)]
    return [round(e.agreement, 3) for e in evidence(text, written)]


def words_of(text: str) -> list[str]:
    from moontune.data.normalizer import normalize

    return normalize(text).split()


@pytest.mark.parametrize(
    ("text", "others", "agreed"),
    [
        ("The cat sat.", ["the CAT, sat", "the hat sat", "the cat sat down"], [1, 0.75, 1]),
        ("The cat sat.", ["cat sat", "sat", "the the cat sat"], [0.5, 0.75, 1]),
        ("I've seen it.", ["I have seen it", "I seen it", "have seen it"], [0.5, 1, 1]),
        ("Twenty one men", ["21 men", "twenty men", "21 hens"], [0.75, 0.75, 0.75]),
        ("Uh, no.", ["no", "uh no", "um, no"], [0.5, 1]),  # WER counts no uh
        ("No - never.", ["No never", "no, - never", "no never"], [1, 0.5, 1]),
        ("Alone", [], [1]),
        ("", ["no"], []),
    ],
)
def test_beams_agree_word_by_word_as_wer_aligns_them(text, others, agreed) -> None:
    assert shares(text, *others) == agreed


def test_likelier_beams_count_more_and_those_without_an_end_not_at_all() -> None:
    def agreement(likely: list[float], cut: bool = False) -> float:
        texts = ["a cat", "a hat"]
        pairs = zip(texts, likely, strict=True)
        beams = [(Transcript(t, [], cut and t == "a hat"), 3 * p) for t, p in pairs]
        return evidence("a cat", beams)[1].agreement

    assert agreement([-1.0, -1.0]) == pytest.approx(0.5)
    assert agreement([-1.0, -2.0]) == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert agreement([-1.0, -1.0], cut=True) == 1
    [found] = evidence("Right.", [(Transcript("Right.", [], False), -1.0)])
    assert (found.likelihood, found.beams) == (-0.5, 1)  # the end counts as a word


def test_more_agreement_and_more_likelihood_are_more_confidence() -> None:
    by_vote = [default_confidence(Evidence(share, -0.3, 8)) for share in (0.0, 0.3, 0.6, 1.0)]
    by_likelihood = [default_confidence(Evidence(1.0, nats, 8)) for nats in (-99, -1.0, -0.3, 0)]
    for chances in (by_vote, by_likelihood):
        assert sorted(set(chances)) == chances
        assert 0 < chances[0] < 0.5 < chances[-1] < 1
    assert default_confidence(Evidence(1.0, -0.3, 1)) < default_confidence(Evidence(1.0, -0.3, 8))


def test_a_consensus_has_a_confidence_a_word_and_a_greedy_transcript_none(
    monkeypatch, tiny_base
) -> None:
    """Also where a consensus stands in for a loop. The words are those without confidences."""
    loop = "ha ha ha ha ha ha ha ha"
    eos: Any = tiny_base.net.config.eos_token_id

    def ids(text: str) -> list[int]:
        return [*tiny_base.tokenizer(text, add_special_tokens=False)["input_ids"], eos]

    texts = ["A cat, then.", "A hat then.", "A cat then."]
    lists = [Beam(ids(text), -1.0 - i / 10) for i, text in enumerate(texts)]
    monkeypatch.setattr(transcribing, "greedy", lambda *_: [ids(loop)])
    monkeypatch.setattr(transcribing, "beams", lambda *_: [lists])
    own = Calibration(1.0, 2.0, own=True, origin=ORIGIN)

    def heard(**how: Any) -> Transcript:
        return Transcriber(tiny_base, **how)([noise(0, 1.0)], TokenCap(6.5, 8))[0]

    mended, plain = heard(), heard(decoding="consensus")
    assert (mended.text, mended.confidences) == ("A cat, then.", None)
    assert plain.text == mended.text
    assert plain.confidences is not None
    first, second, third = plain.confidences
    assert second < first == third
    calibrated = heard(decoding="consensus", calibration=own).confidences
    assert calibrated == tuple(map(own, plain.confidences)) != plain.confidences
    words = Transcriber(tiny_base, "consensus").timed([noise(0, 1.0)], TokenCap(6.5, 8))[0].words
    assert words is not None
    assert tuple(word.confidence for word in words) == plain.confidences


def test_a_calibration_is_read_back(tmp_path: Path) -> None:
    own = Calibration(-0.3, 0.7, own=True, origin=ORIGIN, decoding="thorough")
    write_calibration(tmp_path / "c.json", own)
    assert read_calibration(tmp_path / "c.json", "again") == own
    assert "200 words of 9 clips" in own.says
    steps = [own(p / 10) for p in range(11)]
    assert sorted(set(steps)) == steps
    assert Calibration()(0.3) == 0.3
    assert "not calibrated on your voice" in Calibration().says


def test_words_of_another_decoding_go_by_its_default() -> None:
    own = Calibration(-0.3, 0.7, own=True, origin=ORIGIN, decoding="consensus")
    assert own.of("consensus") is own
    other = own.of("thorough")
    assert (other(0.3), other.own) == (0.3, False)
    assert other.says == (
        "not calibrated on your voice: its run's calibration is of --decoding consensus, not "
        "thorough"
    )
    unrecorded = replace(own, decoding=None)  # by an older moontune
    assert unrecorded.of("thorough") is unrecorded
    few = replace(own, own=False)  # which says why itself
    assert few.of("thorough") is few


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"intercept": 0, "slope": 0, "own": true, "origin": null}',
        '{"intercept": NaN, "slope": 1, "own": true, "origin": null}',
        '{"intercept": 0, "slope": 1, "own": true, "origin": {"clips": 1}}',
        '{"intercept": 0, "slope": 1, "own": true, "origin": null, "decoding": "loud"}',
    ],
)
def test_a_damaged_calibration_is_one_clear_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "confidence.json"
    file.write_text(content)
    with pytest.raises(UserError, match=r"confidence\.json: is damaged.*; mend it") as told:
        read_calibration(file, "mend it")
    assert "\n" not in str(told.value)
