"""The running average of an adapter's weights, which is what is validated and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class WeightAverage:
    """Exponential moving average over updates; `decay` 0 is the weights themselves.

    Early on the average is over what there is: the decay of update n is at most n / (n + 9), the
    warm-up that TensorFlow's ExponentialMovingAverage uses, so that the start is soon forgotten.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self._average = [p.detach().clone() for p in parameters]
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer update."""
        self._updates += 1
        decay = min(self._decay, self._updates / (self._updates + 9))
        for average, p in zip(self._average, self._parameters, strict=True):
            average.lerp_(p, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the model for the time of the block."""
        kept = [p.detach().clone() for p in self._parameters]
        self._copy(self._average)
        try:
            yield
        finally:
            self._copy(kept)

    @torch.no_grad()
    def _copy(self, values: Sequence[torch.Tensor]) -> None:
        for p, value in zip(self._parameters, values, strict=True):
            p.copy_(value)
