"""A consensus of the beams of a clip as it is and at other speeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import noise

from moontune.config.schema import TokenCap
from moontune.data.audio import SHORTEST_SAMPLES
from moontune.data.manifest import Utterance
from moontune.data.sound.speeds import SPEEDS, at_other_speeds
from moontune.evaluation.comparison import compare
from moontune.evaluation.evaluate import Evaluation, evaluate
from moontune.evaluation.phrasing import measure_rows
from moontune.evaluation.predictions import prediction_row
from moontune.models.confidence.agreement import Evidence
from moontune.models.confidence.calibration import default_confidence
from moontune.models.consensus import BEAMS, Beams, agreed, counted
from moontune.models.decoding import Transcript
from moontune.models.transcriber import Transcriber, seconds_of

CLIPS = [noise(i, s) for i, s in enumerate((1.5, 0.06, 2.2))]
CAP = TokenCap(6.5, 2)


def test_speeds_change_the_length_and_the_pitch() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    for speed, heard in zip(SPEEDS, at_other_speeds(tone, SHORTEST_SAMPLES), strict=True):
        assert (heard.dtype, abs(len(heard) - 16_000 / speed) < 2) == (np.float32, True)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert spectrum.argmax() * 16_000 / len(heard) == pytest.approx(440 * speed, abs=2)


def test_a_clip_that_would_be_too_short_is_heard_as_it_is() -> None:
    shortest = noise(0, 1.0)[:SHORTEST_SAMPLES]
    slower, faster = at_other_speeds(shortest, SHORTEST_SAMPLES)
    assert len(slower) > len(shortest)
    assert faster is shortest
    assert all(
        len(x) >= SHORTEST_SAMPLES for x in at_other_speeds(noise(0, 1.0)[:945], SHORTEST_SAMPLES)
    )


def test_the_beams_are_those_of_every_speed_likeliest_first(tiny_base) -> None:
    transcriber = Transcriber(tiny_base, "thorough")
    found = transcriber.search_clips(CLIPS, CAP)
    hearings = [
        CLIPS,
        *zip(*(at_other_speeds(clip, SHORTEST_SAMPLES) for clip in CLIPS), strict=True),
    ]
    plain = Transcriber(tiny_base, "consensus")
    seconds = seconds_of(CLIPS)
    each = [plain.search(plain.encode(clips), seconds, CAP) for clips in hearings]
    for i, of_clip in enumerate(found):
        expected = [(t.tokens, p) for beams in each for t, p in beams[i]]
        assert len(expected) == 3 * BEAMS
        assert sorted((t.tokens, p) for t, p in of_clip) == sorted(expected)
        likely = [p for _, p in of_clip]
        assert likely == sorted(likely, reverse=True)
    assert [t.text for t in transcriber(CLIPS, CAP)] == [agreed(beams).text for beams in found]
    timed = transcriber.timed(CLIPS, CAP)
    assert [t.text for t in timed] == [agreed(beams).text for beams in found]


def test_a_few_of_the_beams_count_and_more_where_a_clip_was_heard_more_often() -> None:
    def searched(count: int) -> Beams:
        return [(Transcript(str(i), [], False), -float(i)) for i in range(count)]

    assert [len(counted(searched(n))) for n in (2, 8, 24)] == [2, 4, 8]


def test_a_word_that_half_of_the_beams_have_is_less_sure_at_three_speeds() -> None:
    """As it was measured: what holds for one hearing is too sure of three."""
    once, thrice = (default_confidence(Evidence(0.5, -0.1, n)) for n in (8, 24))
    assert thrice < once - 0.02


@pytest.fixture
def measured(tiny_base) -> dict[str, Evaluation]:
    clips = [Utterance(f"c{i}", Path(f"{i}.wav"), "What is it?", 1.0, "s") for i in range(2)]
    return {
        how: evaluate(tiny_base, clips, lambda u: CLIPS[2 * int(u.id[1])], cap=CAP, decoding=how)
        for how in ("greedy", "consensus", "thorough")
    }


def test_it_is_a_figure_of_its_own_by_name(measured) -> None:
    """Greedy transcripts, losses and WER are what they are without it."""
    for one, other in zip(
        measured["greedy"].predictions, measured["thorough"].predictions, strict=True
    ):
        assert replace(other, consensus=None, beams=None) == one
        assert other.consensus is not None
        assert other.consensus["speeds"] == 3
    assert measured["thorough"].decoding["method"] == "greedy, and consensus at three speeds"
    rows: list[Any] = [p.row() for p in measured["thorough"].predictions]
    assert [prediction_row(row, "1").get("consensus") for row in rows] == [
        row["consensus"] for row in rows
    ]
    found = compare(rows, rows, 1)
    assert found.consensus_flags == ("--decoding", "thorough")
    assert "WER, consensus at 3 speeds" in [row.label for row in measure_rows(found)]


def test_a_consensus_of_one_speed_is_not_compared_with_one_of_three(measured) -> None:
    once, thrice = (
        [p.row() for p in measured[how].predictions] for how in ("consensus", "thorough")
    )
    assert "wer_consensus" in compare(once, once, 1).measures
    assert compare(once, once, 1).consensus_flags == ("--decoding", "consensus")
    assert "wer_consensus" not in compare(once, thrice, 1).measures


@pytest.mark.parametrize("speeds", ["3", 2.5, -3, 0, 10**30, True, [3]])
def test_speeds_that_are_no_number_of_times_are_refused_in_a_row_of_anybodys(speeds) -> None:
    row = {"reference": "a", "hypothesis": "a", "consensus": {"hypothesis": "a", "speeds": speeds}}
    with pytest.raises(ValueError, match=r"speeds of consensus is .* whole number from 1 to"):
        prediction_row(row, "1")
