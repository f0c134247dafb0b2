"""Small things to test with: clips of noise, sentences, utterances, a run's flags."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from hypothesis import strategies as st

from moontune.data.manifest import Utterance

if TYPE_CHECKING:
    import torch

SHARED = Path(__file__).resolve().parents[3] / "shared"
# What tests marked `device` compute on:
#     MOONTUNE_TEST_DEVICE=cuda pytest -m "device and not cpu"
DEVICE = os.environ.get("MOONTUNE_TEST_DEVICE", "cpu")
HUB_TOKEN = "secret-of-the-environment"  # as HF_TOKEN: it must reach no file
SENTENCES = (
    "the red boat sails home",
    "a cold wind blows north",
    "seven birds sing at dawn",
    "old maps show the bay",
    "rain fell on the quay",
    "she mends the long net",
    "two lamps burn all night",
    "his crew ate fresh bread",
)


def noise(seed: int, seconds: float) -> np.ndarray:
    """A clip of shaped noise, float32 16 kHz."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(int(16_000 * seconds)).astype(np.float32)
    return 0.1 * np.convolve(samples, np.ones(8, np.float32) / 8, mode="same")


def flags(model: Path, manifest: Path, name: str = "r", **more: object) -> list[str]:
    """Of a run that takes seconds."""
    settings = {
        "manifest": manifest,
        "model-id": model,
        "run-name": name,
        "device": DEVICE,
        "max-steps": 4,
        "eval-every-steps": 2,
        "grad-accum": 2,
        "general": "off",
    } | {k.replace("_", "-"): v for k, v in more.items()}
    return [word for k, v in settings.items() for word in (f"--{k}", str(v))]


def same_numbers(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the bit on a CPU; elsewhere to rounding, since sums there may change their order."""
    import torch

    if DEVICE == "cpu":
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def wav(seconds: float, rate: int = 44_100, kind: str = "WAV") -> bytes:
    stream = io.BytesIO()
    samples = noise(1, seconds * rate / 16_000)
    soundfile.write(stream, np.stack([samples, samples], axis=1), rate, format=kind)
    return stream.getvalue()


def utterances(seconds_by_speaker: dict[str, list[float]]) -> list[Utterance]:
    return [
        Utterance(f"{s}-{i}", Path(f"/{s}-{i}.wav"), f"{s} says {i}", d, s)
        for s, all_seconds in seconds_by_speaker.items()
        for i, d in enumerate(all_seconds)
    ]


speakers = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.lists(st.floats(0.5, 20), min_size=1, max_size=6),
    min_size=3,
    max_size=12,
)
