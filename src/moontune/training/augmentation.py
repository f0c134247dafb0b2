"""Training audio changed a little each time it is heard: speed, loudness, noise, a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from moontune.config.schema import Augmentation
from moontune.data.audio import SAMPLE_RATE_HZ, SHORTEST_SAMPLES

if TYPE_CHECKING:
    import torch

_SPEEDS = (0.9, 1.1)
_GAINS_DB = (-12.0, 6.0)
_NOISE_SNR_DB = (10.0, 30.0)
_TELEPHONE_HZ = 8_000
_MU = 255.0  # of the telephone's logarithmic 8-bit steps (G.711)
_HOW_OFTEN: dict[Augmentation, float] = {"speed": 0.67, "gain": 0.5, "noise": 0.3, "codec": 0.2}
_MASKED_SHARE = 0.1  # of a clip's frames, and at most of its channels
_MASKED_FRAMES = 10  # at most, in one stretch: a quarter of a second


class Augment:
    """Changes of the given kinds, drawn from a seed: another clip of a clip each time."""

    def __init__(self, kinds: Sequence[Augmentation], seed: Sequence[int]) -> None:
        self._rng = np.random.default_rng(seed)
        self._of_samples: list[Augmentation] = [kind for kind in kinds if kind != "mask"]
        self._masks = "mask" in kinds

    @property
    def rng(self) -> np.random.Generator:
        """The random generator of the changes."""
        return self._rng

    @property
    def changes_samples(self) -> bool:
        return bool(self._of_samples)

    def samples(self, samples: np.ndarray) -> np.ndarray:
        return augmented(samples, self._of_samples, self._rng)

    def features(self, front: torch.Tensor) -> torch.Tensor:
        """Features of the front end, (frames, channels)."""
        return masked(front, self._rng) if self._masks else front


class TokenDropout:
    """Replaces a share of a text's tokens by others, drawn evenly from `tokens`.

    In training the decoder is told the right words so far; in use it is told its own, errors and
    all. One that has seen wrong words listens more, and is thrown off less by them.
    """

    def __init__(self, share: float, tokens: Sequence[int], seed: Sequence[int]) -> None:
        self._share, self._tokens = share, tokens
        self._rng = np.random.default_rng((*seed, 1))  # another stream than the audio's

    @property
    def rng(self) -> np.random.Generator:
        """The random generator of `drawn`."""
        return self._rng

    def drawn(self, ids: Sequence[int]) -> list[int]:
        """Other tokens replaced each time."""
        return self._replaced(ids, self._rng)

    def fixed(self, ids: Sequence[int]) -> list[int]:
        """The same tokens of a text replaced always, to measure with."""
        return self._replaced(ids, np.random.default_rng(ids))

    def _replaced(self, ids: Sequence[int], rng: np.random.Generator) -> list[int]:
        wrong = rng.random(len(ids)) < self._share
        others = rng.integers(len(self._tokens), size=len(ids))
        return [
            self._tokens[other] if is_wrong else right
            for right, is_wrong, other in zip(ids, wrong, others, strict=True)
        ]


def augmented(
    samples: np.ndarray, kinds: Sequence[Augmentation], rng: np.random.Generator
) -> np.ndarray:
    """A clip, float32 mono 16 kHz (samples,), with each of `kinds` applied as often as it should.

    Speed changes the pitch with the length, as a tape does. The clip itself is left as it is.
    """
    changes = {"speed": _speed, "gain": _gain, "noise": _noise, "codec": _codec}
    for kind in get_args(Augmentation):  # always in this order
        if kind in kinds and kind in changes and rng.random() < _HOW_OFTEN[kind]:
            samples = changes[kind](samples, rng)
    return np.ascontiguousarray(samples, dtype=np.float32)


def masked(front: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Short stretches of frames, and some channels, set to their channel's mean over the clip.

    SpecAugment (Park et al. 2019), on the front end's features as wav2vec 2.0 has it.
    """
    frames, channels = front.shape
    mean = front.mean(dim=0)
    out = front.clone()
    for _ in range(rng.poisson(2 * _MASKED_SHARE * frames / (_MASKED_FRAMES + 1))):
        start = int(rng.integers(frames))
        out[start : start + int(rng.integers(1, _MASKED_FRAMES + 1))] = mean
    count = int(rng.integers(0, round(_MASKED_SHARE * channels) + 1))
    hidden = rng.choice(channels, count, replace=False)
    out[:, hidden] = mean[hidden]
    return out


def _speed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    import soxr

    faster = soxr.resample(samples, SAMPLE_RATE_HZ * rng.uniform(*_SPEEDS), SAMPLE_RATE_HZ)
    return faster if len(faster) >= SHORTEST_SAMPLES else samples


def _gain(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Louder or softer, cut off where a recording would be."""
    return np.clip(samples * 10 ** (rng.uniform(*_GAINS_DB) / 20), -1.0, 1.0)


def _noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stationary noise between white and brown, as loud as the drawn ratio to the clip says."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if not level:
        return samples
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.uniform(0.0, 1.0)
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, len(samples))
    wanted = level * 10 ** (-rng.uniform(*_NOISE_SNR_DB) / 20)
    return samples + noise * (wanted / np.sqrt(np.mean(np.square(noise))))


def _codec(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A telephone line: half the bandwidth, and 8 bits a sample on a logarithmic scale."""
    import soxr

    narrow = np.clip(soxr.resample(samples, SAMPLE_RATE_HZ, _TELEPHONE_HZ), -1.0, 1.0)
    folded = np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)
    coarse = np.round(folded * 127) / 127
    heard = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(_MU)) / _MU
    wide = soxr.resample(heard.astype(np.float32), _TELEPHONE_HZ, SAMPLE_RATE_HZ)
    return wide if len(wide) >= SHORTEST_SAMPLES else samples
