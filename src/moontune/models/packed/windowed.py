"""Attention of each row to those near it, for clips laid end to end.

Rows go in blocks, each with the rows before and behind it that its first and last row see: the work
grows with the rows, not with their square, and all blocks are one product, on any device.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from moontune.models.packed.layout import Layout

_BLOCK = 16  # rows at least; larger ones compute more that is hidden


class Window:
    """Which rows see which: of its own clip a row sees `before` rows, itself, and `ahead` more."""

    def __init__(self, layout: Layout, before: int, ahead: int) -> None:
        assert before >= 0 <= ahead
        self.before, self.ahead = before, ahead
        self.block = max(_BLOCK, before, ahead)
        self.blocks = -(-layout.rows // self.block)
        self.hidden = self._hidden(layout).to(layout.device)

    def _hidden(self, layout: Layout) -> torch.Tensor:
        """(blocks, 1, block, before + block + ahead): -inf for what a row does not see."""
        rows = self.blocks * self.block
        filler = [*layout.lengths, rows - layout.count]  # sees itself, or softmax gave no number
        clips = torch.repeat_interleave(torch.arange(len(filler)), torch.tensor(filler))
        around = functional.pad(clips, (self.before, self.ahead), value=-1)
        seen = around.unfold(0, self.before + self.block + self.ahead, self.block)
        distance = torch.arange(seen.shape[1]) - self.before - torch.arange(self.block)[:, None]
        near = (distance >= -self.before) & (distance <= self.ahead)
        own = clips.view(-1, self.block, 1) == seen[:, None]
        return torch.zeros(own.shape).masked_fill(~(near & own), float("-inf"))[:, None]

    def queries(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, heads, head_dim) as (blocks, heads, block, head_dim)."""
        missing = self.blocks * self.block - len(rows)
        padded = functional.pad(rows, (0, 0, 0, 0, 0, missing))
        return padded.unflatten(0, (self.blocks, self.block)).transpose(1, 2)

    def keys(self, rows: torch.Tensor) -> torch.Tensor:
        """The same, (blocks, heads, before + block + ahead, head_dim), with those around them."""
        size, missing = self.block, self.blocks * self.block - len(rows)
        padded = functional.pad(rows, (0, 0, 0, 0, size, missing + size))
        blocks = padded.unflatten(0, (self.blocks + 2, size))
        parts = [blocks[:-2, size - self.before :], blocks[1:-1], blocks[2:, : self.ahead]]
        return torch.cat(parts, dim=1).transpose(1, 2)


def windowed_attention(qkv: torch.Tensor, window: Window, heads: int) -> torch.Tensor:
    """(rows, 3 * heads * head_dim) to (rows, heads * head_dim) in its dtype; what is between is
    float32."""
    q, k, v = qkv.float().unflatten(1, (3, heads, -1)).unbind(1)
    found = functional.scaled_dot_product_attention(
        window.queries(q), window.keys(k), window.keys(v), window.hidden
    )
    return found.transpose(1, 2).flatten(0, 1)[: len(qkv)].flatten(1).to(qkv.dtype)
