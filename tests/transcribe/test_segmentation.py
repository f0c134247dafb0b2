"""Cutting: what must hold for any recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import noise
from hypothesis import given, settings
from hypothesis import strategies as st

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.transcribe.segmentation import (
    Segment,
    SegmentationConfig,
    hysteresis,
    quietest,
    runs,
    segments,
)
from moontune.transcribe.vad import FRAME, SpeechDetector

CONFIG = SegmentationConfig()
SECOND = SAMPLE_RATE_HZ


class Marked(SpeechDetector):
    """Takes the mean of a frame's samples for its probability."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // FRAME * FRAME
        self._rest = waiting[whole:]
        return waiting[:whole].reshape(-1, FRAME).mean(axis=1)


def recording(parts: Sequence[tuple[float, float]]) -> np.ndarray:
    """Speech of some seconds then a pause of some seconds, again and again, as Marked hears it."""
    levels = np.array([0.9, 0.0], np.float32)
    return np.concatenate([np.repeat(levels, [int(a * SECOND), int(b * SECOND)]) for a, b in parts])


def cut(
    samples: np.ndarray, block: int = 7 * SECOND, config: SegmentationConfig = CONFIG
) -> list[Segment]:
    blocks = (samples[i : i + block] for i in range(0, len(samples), block))
    return list(segments(blocks, config, Marked))


speech = st.tuples(st.floats(0.2, 45), st.floats(0.0, 6))


@settings(max_examples=20)
@given(st.lists(speech, min_size=1, max_size=8), st.sampled_from([2 * SECOND, 4 * SECOND, 10**9]))
def test_segments_are_in_order_apart_short_enough_and_hold_all_speech(parts, block) -> None:
    samples = recording(parts)
    found = cut(samples, block)
    covered = np.zeros(len(samples), bool)
    before = 0
    for segment in found:
        assert before <= segment.start < segment.end <= len(samples)
        assert len(segment.samples) <= 30 * SECOND
        assert np.array_equal(segment.samples, samples[segment.start : segment.end])
        assert len(segment.voice) == -(-len(segment.samples) // FRAME)
        covered[segment.start : segment.end] = True
        before = segment.end
    missed = (samples > 0) & ~covered
    assert missed.sum() <= FRAME * len(parts)  # an edge that fills too little of its frame


@settings(max_examples=20)
@given(st.lists(speech, min_size=1, max_size=5), st.integers(3000, 20 * SECOND))
def test_segments_do_not_depend_on_the_blocks(parts, block) -> None:
    samples = recording(parts)
    one, other = cut(samples, 10**9), cut(samples, block)
    assert [(p.start, p.end) for p in one] == [(p.start, p.end) for p in other]
    assert all(np.array_equal(a.voice, b.voice) for a, b in zip(one, other, strict=True))


def test_half_a_minute_is_one_segment_uncut_and_more_is_cut() -> None:
    short = recording([(1, 4), (2, 20), (3, 0)])
    [segment] = cut(short)
    assert (segment.start, segment.end) == (0, len(short))
    assert len(cut(recording([(1, 4), (2, 20), (3, 1)]))) == 3


@pytest.mark.parametrize("seconds", [0, 0.01, 5, 90])
def test_silence_gives_no_segment(seconds) -> None:
    assert cut(np.zeros(int(seconds * SECOND), np.float32)) == []


def test_the_cut_is_in_the_longest_pause_and_shares_it() -> None:
    parts = [(6, 0.3), (6, 0.5), (6, 0.2), (6, 0.3), (10, 0.2)]
    first, second, *_ = cut(recording(parts))
    middle = (6 + 0.3 + 6 + 0.25) * SECOND
    assert abs(first.end - middle) <= 2 * FRAME
    assert second.start == first.end


def test_a_word_alone_is_joined_to_its_neighbours_unless_far_apart() -> None:
    near = cut(recording([(8, 0.8), (0.4, 0.8), (8, 30)]))
    assert [round(p.end_s - p.start_s) for p in near] == [18]
    far = cut(recording([(8, 5), (0.4, 5), (8, 30)]))
    assert [round(p.end_s - p.start_s, 0) for p in far] == [8, 1, 9]


def test_a_click_is_no_segment() -> None:
    assert len(cut(recording([(8, 10), (0.04, 10), (8, 10)]))) == 2


def test_speech_without_a_pause_is_cut_where_there_is_least_voice() -> None:
    samples = recording([(70, 0)])
    samples[22 * SECOND : 22 * SECOND + 8 * FRAME] = 0.3  # over the threshold that ends speech
    found = cut(samples)
    assert abs(found[0].end_s - 22.1) < 0.2
    assert [p.start for p in found[1:]] == [p.end for p in found[:-1]]
    assert found[-1].end == len(samples)


def test_halves_are_cut_at_the_best_pause() -> None:
    [segment] = cut(recording([(8, 0.2), (4, 0.6), (9, 0)]))
    first, second = segment.halves(CONFIG) or pytest.fail("not cut")
    assert abs(first.end_s - 12.5) < 0.35
    assert first.end == second.start
    assert len(first.voice) + len(second.voice) == len(segment.voice)
    [short] = cut(recording([(3, 0)]))
    assert short.halves(CONFIG) is None


def test_times_of_speech_within_a_segment() -> None:
    [segment] = cut(recording([(2, 3), (4, 1)]))
    found = segment.speech_s(CONFIG)
    assert np.abs(np.array(found) - np.array([(0, 2), (5, 9)])).max() < 0.04
    assert replace(segment, voice=np.zeros_like(segment.voice)).speech_s(CONFIG) == [(0, 10)]


def test_hysteresis_goes_on_over_stretches() -> None:
    voice = np.array([0.1, 0.6, 0.3, 0.1, 0.3, 0.7])
    assert hysteresis(voice, 0.5).tolist() == [False, True, True, False, False, True]
    assert hysteresis(voice[2:], 0.5, speaking=True).tolist() == [True, False, False, True]
    assert runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert quietest(np.ones(9)) == 4


def test_the_detector_hears_speech_and_nothing_else(bundled_base) -> None:
    from moontune.data.audio import read_audio
    from moontune.data.sources.bundled_speech import bundled_recordings

    said = read_audio(bundled_recordings()[0][0])
    whole = SpeechDetector()
    voice = np.concatenate([whole(said), whole.end()])
    assert len(voice) == -(-len(said) // FRAME)
    assert (voice > 0.5).mean() > 0.3
    parts = SpeechDetector()
    pieced = [parts(said[i : i + 5_000]) for i in range(0, len(said), 5_000)]
    assert np.allclose(np.concatenate([*pieced, parts.end()]), voice, atol=1e-5)
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(20 * SECOND) / SECOND)
    for nothing in (np.zeros(20 * SECOND), noise(1, 20), hum):
        assert list(segments([nothing.astype(np.float32)])) == []
