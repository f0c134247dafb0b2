"""Where clips laid end to end lie."""

from __future__ import annotations

from collections.abc import Sequence
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
        self._device = device

    @cached_property
    def real(self) -> torch.Tensor:
        """(clips, longest) bool: true within each clip's length."""
        counts = torch.tensor(self.lengths, device=self._device)
        return torch.arange(max(self.lengths), device=self._device) < counts[:, None]

    @cached_property
    def _places(self) -> torch.Tensor:
        """(rows,): the place of each row in the flattened padded copy."""
        longest = max(self.lengths)
        starts = range(0, longest * len(self.lengths), longest)
        places = [torch.arange(s, s + n) for s, n in zip(starts, self.lengths, strict=True)]
        return torch.cat(places).to(self._device)

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, width) as (clips, longest, width), zero beyond a clip's end."""
        assert self.rows == self.count
        count, longest = len(self.lengths), max(self.lengths)
        padded = rows.new_zeros(count * longest, rows.shape[1])
        return padded.index_copy(0, self._places, rows).view(count, longest, -1)

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """(clips, longest, width) as (rows, width)."""
        return padded.flatten(0, 1).index_select(0, self._places)
