"""Words of a segment within the stretches that somebody speaks in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from moontune.models.decoding import TimedWord
from moontune.transcribe.segmentation import Segment, SegmentationConfig
from moontune.transcribe.subtitles import TimedText, cues
from moontune.transcribe.vad import FRAME
from moontune.transcribe.word_times import times_in_recording

CONFIG = SegmentationConfig()


def segment(*speech_s: tuple[float, float], start_s: float = 10.0, seconds: int = 6) -> Segment:
    voice = np.zeros(seconds * 16_000 // FRAME)
    for start, end in speech_s:
        voice[int(start * 16_000 / FRAME) : int(end * 16_000 / FRAME)] = 1.0
    return Segment(int(16_000 * start_s), np.zeros(16_000 * seconds, np.float32), voice)


def placed(part: Segment, *edges: float) -> list[tuple[float, float]]:
    words = [TimedWord(str(i), a, b) for i, (a, b) in enumerate(pairwise(edges))]
    found = times_in_recording(words, part, CONFIG)
    assert found is not None
    return [(w.start_s, w.end_s) for w in found]


def test_a_word_ends_where_a_pause_begins_and_starts_where_it_ends() -> None:
    part = segment((0.5, 2.0), (4.0, 5.5))
    # The third is said to begin at the end of the first stretch, and is spoken in the second.
    found = placed(part, 0.3, 1.2, 1.9, 4.5, 6.0)
    expected = [(10.5, 11.2), (11.2, 11.9), (14.0, 14.5), (14.5, 15.5)]
    assert found == [pytest.approx(pair, abs=0.04) for pair in expected]


def test_a_short_gap_is_part_of_a_word() -> None:
    found = placed(segment((0.5, 1.0), (1.1, 2.0)), 0.5, 2.0)
    assert found == [pytest.approx((10.5, 12.0), abs=0.04)]


def test_words_without_speech_or_beyond_the_end_stay_in_the_segment() -> None:
    part = segment((0.5, 1.0))
    assert placed(part, 3.0, 3.5, 9.0) == [(13.0, 13.5), (13.5, 16.0)]
    assert times_in_recording(None, part, CONFIG) is None
    assert times_in_recording((), part, CONFIG) == ()


def test_subtitles_begin_and_end_with_their_words() -> None:
    texts = ["This", "sentence", "has", "sixty", "characters,", "all", "of", "them", "counted."] * 3
    words = [TimedWord(t, 2.0 * i, 2.0 * i + 1.5) for i, t in enumerate(texts)]
    made = cues([TimedText(" ".join(texts), [(0.0, 60.0)], words)])
    first = 0
    assert len(made) > 1
    for cue in made:
        count = len(" ".join(cue.lines).split())
        assert cue.start_ms == 2000 * first
        assert cue.end_ms == 2000 * (first + count - 1) + 1500
        first += count
    other = cues([TimedText("Two words", [(0.0, 4.0)], words[:1])])  # not these words' times
    assert (other[0].start_ms, other[0].end_ms) == (0, 4000)
