"""Two channels of a recording: opposite phases made mono, and two people told from one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Less than this of the louder channel is left of the average: a correlation of -0.98 or below.
_CANCELLED = 0.1

_WINDOW_S = 0.1
_AUDIBLE = 10**-1.5  # of the loudest window's amplitude: -30 dB
# Times the other channel's amplitude: 12 dB, beyond what crosses over in a call. Channels that take
# turns so are hardly correlated.
_APART = 4.0
_SHARE_OF_EACH = 0.15  # of the audible windows, in which one channel alone is heard
_SHARE_OF_BOTH = 0.7
_LEAST_S = 0.5  # of each


def mono_of(block: np.ndarray) -> np.ndarray:
    """Channels averaged, (frames, channels) to (frames,); of two in opposite phases, whose average
    is next to silence, the first."""
    if block.shape[1] == 1:
        return block[:, 0]
    mean = block.mean(axis=1)
    if block.shape[1] == 2:
        loudest = float(np.square(block, dtype=np.float64).sum(axis=0).max())
        left = float(np.square(mean, dtype=np.float64).sum())
        if left < _CANCELLED**2 * loudest:
            return np.ascontiguousarray(block[:, 0])
    return mean


class TwoChannels:
    """What is heard on each of two channels, and when: `hear` is called with every block."""

    def __init__(self) -> None:
        self._powers: list[np.ndarray] = []  # (windows, 2), mean squares

    def hear(self, block: np.ndarray, rate_hz: int) -> None:
        """A block, (frames, channels); those of another number than two say nothing."""
        if block.shape[1] != 2:
            return
        width = max(1, round(_WINDOW_S * rate_hz))
        windows = len(block) // width
        squares = np.square(block[: windows * width], dtype=np.float64)
        self._powers.append(squares.reshape(windows, width, 2).mean(axis=1))

    @property
    def two_people(self) -> bool:
        """Whether two people speak, each on a channel and mostly not at once, as in a call."""
        if not self._powers:
            return False
        left, right = np.sqrt(np.concatenate(self._powers)).T
        loudest = np.maximum(left, right)
        audible = loudest > _AUDIBLE * loudest.max(initial=0.0)
        first = int((audible & (left > _APART * right)).sum())
        second = int((audible & (right > _APART * left)).sum())
        least = max(_LEAST_S / _WINDOW_S, _SHARE_OF_EACH * audible.sum())
        apart = first + second >= _SHARE_OF_BOTH * audible.sum()
        return bool(apart and min(first, second) >= least)


Hear = Callable[[np.ndarray, int], object]
