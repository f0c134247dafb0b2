"""Clips of a batch end to end: where each lies, and how many go through the net at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch


class Layout:
    """Where clips lie end to end: their lengths, and what a padded copy of them needs.

    Of `rows` rows those beyond the clips' `count` are filler, which no clip ever sees.
    """

    def __init__(
        self, lengths: Sequence[int], device: torch.device, rows: int | None = None
    ) -> None:
        self.lengths = tuple(lengths)
        self.count = sum(lengths)
        self.rows = self.count if rows is None else rows
        self.device = device

    @cached_property
    def real(self) -> torch.Tensor:
        """(clips, longest) bool: true within each clip's length."""
        counts = torch.tensor(self.lengths, device=self.device)
        return torch.arange(max(self.lengths), device=self.device) < counts[:, None]

    @cached_property
    def _places(self) -> torch.Tensor:
        """(rows,): the place of each row in the flattened padded copy."""
        longest = max(self.lengths)
        starts = range(0, longest * len(self.lengths), longest)
        places = [torch.arange(s, s + n) for s, n in zip(starts, self.lengths, strict=True)]
        return torch.cat(places).to(self.device)

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, width) as (clips, longest, width), zero beyond a clip's end."""
        assert self.rows == self.count
        count, longest = len(self.lengths), max(self.lengths)
        padded = rows.new_zeros(count * longest, rows.shape[1])
        return padded.index_copy_(0, self._places, rows).view(count, longest, -1)

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """(clips, longest, width) as (rows, width)."""
        return padded.flatten(0, 1).index_select(0, self._places)


@dataclass(frozen=True)
class PackedClips:
    """Rows of several clips end to end, (rows, width), filler behind them."""

    rows: torch.Tensor
    layout: Layout


def pack(parts: Sequence[torch.Tensor]) -> PackedClips:
    """Parts of (rows, width) each, one behind the other, without filler."""
    rows = torch.cat(list(parts))
    return PackedClips(rows, Layout([len(part) for part in parts], rows.device))


def packs_of(parts: Iterable[torch.Tensor], most: int) -> Iterator[PackedClips]:
    """Parts end to end, in their order, as many at a time as have at most `most` rows, or one."""
    waiting: list[torch.Tensor] = []
    rows = 0
    for part in parts:
        if waiting and rows + len(part) > most:
            yield pack(waiting)
            waiting, rows = [], 0
        waiting.append(part)
        rows += len(part)
    if waiting:
        yield pack(waiting)


# Encoder frames, 41.6 or 50 a second, that go through a model at once, which bounds the memory.
PASS_FRAMES = {"cpu": 2_048, "cuda": 25_000, "mps": 25_000}


@dataclass(frozen=True)
class CrossKeys:
    """Keys and values of the encoder's states that each decoder layer attends to."""

    layers: list[torch.Tensor]  # (rows, 2 * width) each
    layout: Layout


def joined(parts: Sequence[CrossKeys]) -> CrossKeys:
    """Keys and values of several packs as one, without filler."""
    if len(parts) == 1 and parts[0].layout.rows == parts[0].layout.count:
        return parts[0]
    real = ([rows[: part.layout.count] for rows in part.layers] for part in parts)
    layers = [torch.cat(of_layer) for of_layer in zip(*real, strict=True)]
    lengths = [n for part in parts for n in part.layout.lengths]
    return CrossKeys(layers, Layout(lengths, layers[0].device))


def some_of(whole: CrossKeys, clips: Sequence[int]) -> CrossKeys:
    """Those of some of the clips, in the order asked for, without filler."""
    lengths = whole.layout.lengths
    firsts = [0, *itertools.accumulate(lengths)]
    kept = [range(firsts[i], firsts[i] + lengths[i]) for i in clips]
    rows = torch.tensor([row for span in kept for row in span], device=whole.layers[0].device)
    layout = Layout([lengths[i] for i in clips], rows.device)
    return CrossKeys([layer.index_select(0, rows) for layer in whole.layers], layout)
