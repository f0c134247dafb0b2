"""Augmented audio is other audio of the same speech, drawn from a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moontune.data.audio import SAMPLE_RATE_HZ, SHORTEST_SAMPLES
from moontune.training import augmentation as augment
from moontune.training.augmentation import TokenDropout, augmented, masked

TIME = np.arange(SAMPLE_RATE_HZ, dtype=np.float32) / SAMPLE_RATE_HZ
TONE = (0.3 * np.sin(2 * np.pi * 440 * TIME) + 0.05 * np.sin(2 * np.pi * 6000 * TIME)).astype("f4")


@pytest.fixture
def always(monkeypatch) -> None:
    monkeypatch.setattr(augment, "_HOW_OFTEN", dict.fromkeys(augment._HOW_OFTEN, 1.0))


def power(samples: np.ndarray, hz: float) -> float:
    """Of the spectrum around a frequency."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    at = round(hz * len(samples) / SAMPLE_RATE_HZ)
    return float(spectrum[at - 5 : at + 6].sum())


def test_speed_changes_length_and_pitch_together(always) -> None:
    out = augmented(TONE, ["speed"], np.random.default_rng(1))
    factor = len(TONE) / len(out)
    assert 0.9 <= factor <= 1.1
    assert abs(factor - 1) > 0.005
    assert power(out, 440 * factor) > 20 * power(out, 440 * factor + 30)


def test_gain_is_within_its_bounds_and_never_clips_beyond_one(always) -> None:
    for seed in range(20):
        out = augmented(TONE, ["gain"], np.random.default_rng(seed))
        ratio = float(np.abs(out).max() / np.abs(TONE).max())
        assert 10 ** (-12 / 20) * 0.99 <= ratio <= 10 ** (6 / 20) * 1.01
    assert np.abs(augmented(3 * TONE, ["gain"], np.random.default_rng(0))).max() <= 1.0


def test_noise_is_as_loud_as_drawn(always) -> None:
    for seed in range(10):
        noise = augmented(TONE, ["noise"], np.random.default_rng(seed)) - TONE
        snr = 10 * np.log10(np.mean(TONE**2) / np.mean(noise**2))
        assert 9.9 <= snr <= 30.1
    silence = np.zeros(2000, np.float32)
    assert not augmented(silence, ["noise"], np.random.default_rng(0)).any()


def test_a_telephone_keeps_the_voice_and_loses_what_is_above(always) -> None:
    out = augmented(TONE, ["codec"], np.random.default_rng(0))
    assert len(out) == len(TONE)
    assert power(out, 440) == pytest.approx(power(TONE, 440), rel=0.1)
    assert power(out, 6000) < power(TONE, 6000) / 1000


def test_the_seed_decides_and_the_clip_is_left_alone() -> None:
    kept = TONE.copy()
    every = ("speed", "gain", "noise", "codec")
    one, again, other = (augmented(TONE, every, np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(one, again)
    assert len(one) != len(other) or not np.array_equal(one, other)
    assert np.array_equal(TONE, kept)
    assert one.dtype == np.float32
    assert one.flags.c_contiguous
    assert augmented(TONE, (), np.random.default_rng(0)) is not None
    assert np.array_equal(augmented(TONE, (), np.random.default_rng(0)), TONE)


def test_no_clip_becomes_too_short_for_the_model(always) -> None:
    shortest = TONE[:SHORTEST_SAMPLES]
    for seed in range(20):
        out = augmented(shortest, ("speed", "codec"), np.random.default_rng(seed))
        assert len(out) >= SHORTEST_SAMPLES


def test_a_mask_hides_about_a_tenth_of_the_frames_and_some_channels() -> None:
    front = torch.randn(500, 288, generator=torch.Generator().manual_seed(0))
    kept, mean = front.clone(), front.mean(dim=0)
    shares, channels = [], []
    for seed in range(50):
        out = masked(front, np.random.default_rng(seed))
        hidden = out == mean
        assert torch.equal(out[~hidden], front[~hidden])
        shares.append(float(hidden.all(dim=1).float().mean()))
        channels.append(float(hidden.all(dim=0).float().sum()))
    assert torch.equal(front, kept)
    assert 0.05 < np.mean(shares) < 0.15
    assert max(shares) < 0.3
    assert 0 < max(channels) <= 29
    assert len(set(channels)) > 5
    one = masked(front[:1], np.random.default_rng(1))  # the shortest clip
    assert one.shape == (1, 288)


def test_token_dropout_replaces_the_share_by_other_text() -> None:
    ids = list(range(1000, 3000))
    out = TokenDropout(0.1, [5, 6, 7], (42, 0)).drawn(ids)
    changed = [new for new, old in zip(out, ids, strict=True) if new != old]
    assert 150 < len(changed) < 250
    assert set(changed) == {5, 6, 7}
    assert TokenDropout(0.1, [5, 6, 7], (42, 0)).drawn(ids) == out
    other = TokenDropout(0.1, [5, 6, 7], (42, 1))
    assert other.drawn(ids) != out
    assert other.drawn(ids) != other.drawn(ids)


def test_what_is_measured_with_has_the_same_wrong_words_always() -> None:
    ids = list(range(1000, 3000))
    one, other = (TokenDropout(0.1, [5, 6, 7], (42, rank)) for rank in (0, 1))
    changed = sum(new != old for new, old in zip(one.fixed(ids), ids, strict=True))
    assert 150 < changed < 250
    one.drawn(ids)
    assert one.fixed(ids) == other.fixed(ids) == one.fixed(ids)
    assert one.fixed(ids[:1000]) != one.fixed(ids)[:1000]
