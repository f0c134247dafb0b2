"""A clip as it would sound at another speed, for models that hear it several times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ, SHORTEST_SAMPLES

SPEEDS = (0.95, 1.05)  # beside its own


def at_other_speeds(clip: np.ndarray) -> Iterator[np.ndarray]:
    """(samples,) float32 at 16 kHz at each of SPEEDS, pitch and all; itself where it would be too
    short for the model."""
    import soxr

    for speed in SPEEDS:
        if len(clip) < speed * (SHORTEST_SAMPLES + 1):
            yield clip
        else:
            yield soxr.resample(clip, speed * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
