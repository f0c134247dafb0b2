"""Rotary positions for clips laid end to end."""

from __future__ import annotations

import torch
from torch.nn import functional

from moontune.models.packed.layout import Layout


class Rotary:
    """Rotary positions on interleaved pairs of the first dimensions of each head.

    Su et al. 2021, as transformers' Moonshine has them: a pair of a head's values is one complex
    number, rotated by its position; pairs beyond the rotary ones stand still.
    """

    def __init__(self, inv_freq: torch.Tensor, head_dim: int, attention_scaling: float) -> None:
        still = head_dim // 2 - len(inv_freq)
        self._still = still
        self._inv_freq = inv_freq
        self._scaling = attention_scaling
        self._cos = self._sin = torch.empty(0, head_dim // 2)

    def _grow(self, length: int) -> None:
        if length <= len(self._cos):
            return
        length = max(length, 2 * len(self._cos), 256)
        places = torch.arange(length, dtype=torch.float32, device=self._inv_freq.device)
        angles = places[:, None] * self._inv_freq
        self._cos = functional.pad(angles.cos() * self._scaling, (0, self._still), value=1.0)
        self._sin = functional.pad(angles.sin() * self._scaling, (0, self._still))

    def rotations(self, layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines for clips end to end, each (rows, 1, head_dim / 2)."""
        lengths = (*layout.lengths, layout.rows - layout.count)
        self._grow(max(lengths))
        return (
            torch.cat([self._cos[:n] for n in lengths])[:, None],
            torch.cat([self._sin[:n] for n in lengths])[:, None],
        )

    def rotations_at(self, *places: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for some places, (places, 1, head_dim / 2) each."""
        self._grow(max(places) + 1)
        at = torch.tensor(places, device=self._cos.device)
        return self._cos[at][:, None], self._sin[at][:, None]


def rotate(
    rows: torch.Tensor, rotations: tuple[torch.Tensor, torch.Tensor], heads: int
) -> torch.Tensor:
    """(rows, heads * head_dim) rotated in float32, in the dtype and shape given."""
    cos, sin = rotations
    pairs = rows.reshape(len(rows), heads, -1, 2).float()
    even, odd = pairs.unbind(-1)  # complex arithmetic is not whole on Apple's GPU
    out = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return out.reshape(rows.shape).to(rows.dtype)
