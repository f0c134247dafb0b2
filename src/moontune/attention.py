"""Attention and rotary positions for clips laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional

# Longer clips use PyTorch's flash kernel, which keeps no weights for the backward pass; for
# shorter ones plain products take half its time (docs/performance.md).
_PLAIN_UP_TO = 512


class Layout:
    """Where clips lie end to end: their lengths, and what a padded copy of them needs."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.lengths = tuple(lengths)
        self._device = device

    @cached_property
    def real(self) -> torch.Tensor:
        """(clips, longest) bool: true within each clip's length."""
        counts = torch.tensor(self.lengths, device=self._device)
        return torch.arange(max(self.lengths), device=self._device) < counts[:, None]

    @cached_property
    def _row(self) -> torch.Tensor:
        """(clips, longest): the row at each place; some row of the clips beyond a clip's end."""
        return ((self.real.flatten().cumsum(0) - 1).view_as(self.real)).clamp_(min=0)

    @cached_property
    def _place(self) -> torch.Tensor:
        """(rows,): the place of each row in the flattened padded copy."""
        starts = torch.arange(len(self.lengths)) * max(self.lengths)
        places = [start + torch.arange(n) for start, n in zip(starts, self.lengths, strict=True)]
        return torch.cat(places).to(self._device)

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, width) as (clips, longest, width); what is beyond a clip's end means nothing."""
        return rows[self._row]

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """(clips, longest, width) as (rows, width)."""
        return padded.flatten(0, 1)[self._place]


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    queries: Layout,
    keys: Layout,
    heads: int,
    *,
    causal: bool = False,
) -> torch.Tensor:
    """Scaled dot-product attention of every clip's queries over its own keys and values.

    q is (rows of `queries`, heads * head_dim), k and v (rows of `keys`, heads * head_dim); the
    result has q's shape. On a CPU clip by clip; elsewhere padded, with a mask, in one go.
    """
    if q.device.type == "cpu":
        out: Any = _Apart.apply(q, k, v, queries.lengths, keys.lengths, heads, causal)
        return out
    return attend_padded(q, k, v, queries, keys, heads, causal=causal)


def _cut(rows: torch.Tensor, lengths: Sequence[int], heads: int) -> list[torch.Tensor]:
    """(rows, heads * head_dim) as one (heads, length, head_dim) view a clip."""
    split = rows.view(len(rows), heads, -1).split(list(lengths))
    return [part.transpose(0, 1) for part in split]


class _Apart(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q, k, v, q_lengths, k_lengths, heads, causal):  # type: ignore[override]
        scale = (q.shape[1] // heads) ** -0.5
        out = torch.empty((len(q), heads, q.shape[1] // heads), dtype=q.dtype)
        kept: list[torch.Tensor] = []
        parts = zip(
            _cut(q, q_lengths, heads),
            _cut(k, k_lengths, heads),
            _cut(v, k_lengths, heads),
            out.split(q_lengths),
            strict=True,
        )
        for qi, ki, vi, oi in parts:
            if max(qi.shape[1], ki.shape[1]) > _PLAIN_UP_TO:
                found, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                    qi[None], ki[None], vi[None], 0.0, causal
                )
                oi.copy_(found[0].transpose(0, 1))
                kept += [found, sums]
                continue
            scores = torch.baddbmm(
                qi.new_zeros(1, 1, 1), qi, ki.transpose(1, 2), beta=0, alpha=scale
            )
            if causal:
                scores.masked_fill_(_later(qi.shape[1], ki.shape[1]), float("-inf"))
            weights = torch.softmax(scores, dim=-1)
            oi.copy_(torch.bmm(weights, vi).transpose(0, 1))
            kept += [weights]
        ctx.save_for_backward(q, k, v, *kept)
        ctx.fixed = (q_lengths, k_lengths, heads, causal, scale)
        return out.flatten(1)

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        q, k, v, *kept = ctx.saved_tensors
        q_lengths, k_lengths, heads, causal, scale = ctx.fixed
        saved = iter(kept)
        grads = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (q, k, v)]
        parts = zip(
            *(_cut(t, n, heads) for t, n in zip((q, k, v), (q_lengths, k_lengths, k_lengths))),
            _cut(grad.contiguous(), q_lengths, heads),
            *(_cut(t, n, heads) for t, n in zip(grads, (q_lengths, k_lengths, k_lengths))),
            strict=True,
        )
        for qi, ki, vi, gi, to_q, to_k, to_v in parts:
            weights = next(saved)
            if weights.dim() == 4:  # the flash kernel's output
                found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                    gi[None], qi[None], ki[None], vi[None], weights, next(saved), 0.0, causal
                )
                for to, part in zip((to_q, to_k, to_v), found, strict=True):
                    to.copy_(part[0])
                continue
            to_v.copy_(torch.bmm(weights.transpose(1, 2), gi))
            grad_weights = torch.bmm(gi, vi.transpose(1, 2))
            scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            scores.mul_(scale)
            to_q.copy_(torch.bmm(scores, ki))
            to_k.copy_(torch.bmm(scores.transpose(1, 2), qi))
        return *grads, None, None, None, None


def _later(queries: int, keys: int) -> torch.Tensor:
    """(queries, keys) bool: true where a key comes after its query."""
    return torch.ones(queries, keys, dtype=torch.bool).triu_(1)


def attend_padded(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    queries: Layout,
    keys: Layout,
    heads: int,
    *,
    causal: bool = False,
) -> torch.Tensor:
    """`attend` with padding inside attention only, for devices that want few large products."""

    def by_head(rows: torch.Tensor, layout: Layout) -> torch.Tensor:
        return layout.pad(rows).unflatten(-1, (heads, -1)).transpose(1, 2)

    # A causal query sees no key beyond its own place; other ones have to be kept from them.
    uneven = not causal and len(set(keys.lengths)) > 1
    found = functional.scaled_dot_product_attention(
        by_head(q, queries),
        by_head(k, keys),
        by_head(v, keys),
        keys.real[:, None, None] if uneven else None,
        is_causal=causal,
    )
    return queries.unpad(found.transpose(1, 2).flatten(2))


class Rotary:
    """Rotary positions on interleaved pairs of the first dimensions of each head.

    Su et al. 2021, as transformers' Moonshine has them: a pair of a head's values is one complex
    number, turned by its position; pairs beyond the rotary ones stand still.
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

    def turns(self, lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines for clips end to end, each (sum of lengths, 1, head_dim / 2)."""
        self._grow(max(lengths))
        return (
            torch.cat([self._cos[:n] for n in lengths])[:, None],
            torch.cat([self._sin[:n] for n in lengths])[:, None],
        )

    def turns_at(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for one place, (1, 1, head_dim / 2)."""
        self._grow(place + 1)
        return self._cos[place][None, None], self._sin[place][None, None]


def turn(
    rows: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], heads: int
) -> torch.Tensor:
    """Rotate (rows, heads * head_dim) by `turns`, in float32; returns the dtype and shape given."""
    cos, sin = turns
    pairs = rows.reshape(len(rows), heads, -1, 2).float()
    if rows.device.type == "cpu":
        turned = torch.view_as_complex(pairs) * torch.complex(cos, sin)
        out = torch.view_as_real(turned)
    else:  # Apple's GPU lacks some of complex arithmetic
        even, odd = pairs.unbind(-1)
        out = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return out.reshape(rows.shape).to(rows.dtype)


