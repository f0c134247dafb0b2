"""A clip as it would sound at another speed, for models that hear it several times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SPEEDS = (0.95, 1.05)  # beside its own


def at_other_speeds(clip: np.ndarray, shortest: int) -> Iterator[np.ndarray]:
    """(samples,) float32 at each of SPEEDS, pitch and all; itself where fewer samples would be left
    than `shortest`."""
    import soxr

    for speed in SPEEDS:
        if len(clip) < speed * (shortest + 1):
            yield clip
        else:
            yield soxr.resample(clip, speed, 1.0)
