"""The output head: what is thought of every word of the vocabulary."""

from __future__ import annotations

import torch
from torch.nn import functional

_BLOCK = 4096  # words whose weights lie together
PART = 1024  # words of a wide product: what 256 rows give of them stays in a CPU's cache
_WIDE = 48  # rows


class Head:
    """Logits of hidden states by weights of (words, width), in the weights' dtype.

    In float32 on a CPU by some words at a time: a product of all of them at once takes half as
    long again. With `written` the weights are copied so that few rows, as in writing, read them in
    order, which halves the time; the copy is a snapshot.
    """

    def __init__(self, weight: torch.Tensor, *, written: bool) -> None:
        self.weight, self.words = weight, len(weight)
        self.in_parts = weight.dtype == torch.float32 and weight.device.type == "cpu"
        blocks = weight.split(_BLOCK)
        copied = written and self.in_parts
        self._blocks = [block.t().contiguous() if copied else block.t() for block in blocks]

    def parts(self, most: int = PART) -> list[torch.Tensor]:
        """The weights (width, words) in the order of the words, at most so many words each."""
        return [part for block in self._blocks for part in block.split(most, dim=1)]

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, words) of hidden states (rows, width), without gradients."""
        rows = hidden.to(self.weight.dtype)
        if not self.in_parts:
            return functional.linear(rows, self.weight)
        logits = rows.new_empty(len(rows), self.words)
        parts = self.parts(_BLOCK if len(rows) < _WIDE else PART)
        to = logits.split([part.shape[1] for part in parts], dim=1)
        for weights, out in zip(parts, to, strict=True):
            torch.mm(rows, weights, out=out)
        return logits
