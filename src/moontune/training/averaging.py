"""The weights of an adapter that are validated and kept: an average, a share of the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class WeightAverage:
    """Exponential moving average over updates; `decay` 0 is the weights themselves. Of the way from
    the start to it, `share` is gone: WiSE-FT (Wortsman et al. 2022), on the weights that train. Of
    LoRA's that is not quite the same share of the change in the base's.

    Early on the average is over what there is: the decay of update n is at most n / (n + 9), the
    warm-up that TensorFlow's ExponentialMovingAverage uses, so that the start is soon forgotten.
    """

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], decay: float, share: float = 1.0
    ) -> None:
        self._parameters = parameters
        self._decay, self._share = decay, share
        self._start = [p.detach().clone() for p in parameters]
        self._average = [p.clone() for p in self._start]
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
        """The weights to keep in the model for the time of the block."""
        kept = [p.detach().clone() for p in self._parameters]
        both = zip(self._start, self._average, strict=True)
        self._copy([torch.lerp(start, average, self._share) for start, average in both])
        try:
            yield
        finally:
            self._copy(kept)

    def state(self) -> tuple[list[torch.Tensor], list[torch.Tensor], int]:
        """Start, average, and over how many updates it is."""
        return self._start, self._average, self._updates

    def restore(
        self, start: Sequence[torch.Tensor], average: Sequence[torch.Tensor], updates: int
    ) -> None:
        """Go on from a `state`."""
        devices = [p.device for p in self._parameters]
        self._start = [t.to(d) for t, d in zip(start, devices, strict=True)]
        self._average = [t.to(d) for t, d in zip(average, devices, strict=True)]
        self._updates = updates

    @torch.no_grad()
    def _copy(self, values: Sequence[torch.Tensor]) -> None:
        for p, value in zip(self._parameters, values, strict=True):
            p.copy_(value)
