"""Warnings of a take: each for its reason alone, none of good speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moontune.data.audio import read_audio
from moontune.data.manifest import read_manifest
from moontune.record.take_quality import take_quality

TEXT = "A sentence of some forty letters that is read here."


def spoken(before_s: float = 0.5, speech_s: float = 4.0, after_s: float = 0.5) -> np.ndarray:
    """Syllables of noise at -18 dBFS with pauses between them, in a room of -70 dBFS."""
    rng = np.random.default_rng(1)
    total = int(16_000 * (before_s + speech_s + after_s))
    room = 10 ** (-70 / 20) * rng.standard_normal(total)
    inside = slice(int(16_000 * before_s), int(16_000 * (before_s + speech_s)))
    syllables = 10 ** (-18 / 20) * rng.standard_normal(inside.stop - inside.start)
    syllables *= np.arange(len(syllables)) % 4_000 < 3_000
    room[inside] += syllables
    return np.clip(room, -0.95, 0.95).astype(np.float32)


def warnings(samples: np.ndarray, text: str = TEXT) -> list[str]:
    return take_quality(samples).warnings(text)


def one(samples: np.ndarray, text: str = TEXT) -> str:
    [warning] = warnings(samples, text)
    return warning


def test_a_good_take_gets_no_warning() -> None:
    assert warnings(spoken()) == []


def test_clipping_is_told_with_its_share() -> None:
    samples = spoken()
    samples[10_000:10_600] = 1.0
    assert one(samples).startswith("Too loud: 0.8 % of the samples are at the limit.")
    samples[10_000:10_600] = -1.0
    assert one(samples).startswith("Too loud: 0.8 %")


def test_quiet_speech_is_told() -> None:
    assert one(spoken() * 10 ** (-25 / 20)).startswith("Too quiet")


def test_noise_is_told_by_how_far_speech_stands_out() -> None:
    hum = 10 ** (-27 / 20) * np.random.default_rng(2).standard_normal(80_000)
    assert one((spoken() + hum).astype(np.float32)).startswith("Noisy: the speech is only ")


def test_what_is_cut_at_an_end_is_told_and_a_key_is_none() -> None:
    assert one(spoken(before_s=0.0)).startswith("The beginning may be cut off")
    samples = spoken(after_s=0.0, speech_s=3.9)
    assert one(samples).startswith("The end may be cut off")
    clicked = spoken()
    clicked[100:400] = clicked[-400:-100] = 0.5  # 20 ms, as a key makes them
    assert warnings(clicked) == []


def test_a_take_that_is_too_short_for_its_sentence_is_told() -> None:
    assert one(spoken(speech_s=1.0)).startswith("Too short for the sentence: 0.9 seconds")
    assert warnings(spoken(speech_s=1.0), "Yes, of course.") == []
    long_silence = spoken(speech_s=1.0, after_s=8.0)
    assert any(w.startswith("Too short") for w in warnings(long_silence))


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(48_000), np.zeros(100), np.ones(50)])
def test_nothing_heard_is_told_alone(samples: np.ndarray) -> None:
    assert one(samples.astype(np.float32)).startswith("Nothing was heard.")


def test_real_speech_is_rarely_warned_of_and_always_where_it_is_clipped(adventure: Path) -> None:
    """Every tenth clip; all of them: benchmarks/statistics/take_warnings.py."""
    clips = read_manifest(adventure)[0][::10]
    heard = [(read_audio(u.audio), u.text) for u in clips]
    assert sum(bool(warnings(samples, text)) for samples, text in heard) <= 1
    for samples, text in heard:
        loud = np.clip(10 * samples, -1, 1)
        assert any(w.startswith("Too loud") for w in warnings(loud, text))
