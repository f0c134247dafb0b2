"""Attention for clips laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional

from moontune.rotary import turn

# Above so many weights a head, PyTorch's flash kernel is as fast as plain products, and it keeps no
# weights for the way back; below, it takes up to twice as long.
_FLASH_FROM = 400 * 400
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_back = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


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
    def _places(self) -> torch.Tensor:
        """(rows,): the place of each row in the flattened padded copy."""
        longest = max(self.lengths)
        starts = range(0, longest * len(self.lengths), longest)
        places = [torch.arange(s, s + n) for s, n in zip(starts, self.lengths, strict=True)]
        return torch.cat(places).to(self._device)

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, width) as (clips, longest, width), zero beyond a clip's end."""
        count, longest = len(self.lengths), max(self.lengths)
        padded = rows.new_zeros(count * longest, rows.shape[1])
        return padded.index_copy(0, self._places, rows).view(count, longest, -1)

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """(clips, longest, width) as (rows, width)."""
        return padded.flatten(0, 1).index_select(0, self._places)


def self_attention(
    qkv: torch.Tensor,
    turns: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
    heads: int,
    *,
    causal: bool,
) -> torch.Tensor:
    """Every clip's rows look at its own rows, at places given by `turns`.

    qkv is (rows, 3 * heads * head_dim); the result (rows, heads * head_dim) has its dtype, what is
    between is float32. On a CPU clip by clip, without padding; elsewhere in one go.
    """
    if qkv.device.type == "cpu":
        cos, sin = turns
        out: Any = _SelfApart.apply(qkv, torch.complex(cos, sin), layout, heads, causal)
        return out
    return padded_self_attention(qkv, turns, layout, heads, causal=causal)


def padded_self_attention(
    qkv: torch.Tensor,
    turns: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
    heads: int,
    *,
    causal: bool,
) -> torch.Tensor:
    """`self_attention` for devices that want few large products."""
    q, k, v = qkv.float().chunk(3, dim=-1)
    q, k = turn(q, turns, heads), turn(k, turns, heads)
    return _padded(q, k, v, layout, layout, heads, causal).to(qkv.dtype)


def cross_attention(
    q: torch.Tensor, kv: torch.Tensor, queries: Layout, keys: Layout, heads: int
) -> torch.Tensor:
    """Every clip's queries look at its own keys and values, (rows of `keys`, 2 * width)."""
    if q.device.type == "cpu":
        out: Any = _CrossApart.apply(q, kv, queries, keys, heads)
        return out
    return padded_cross_attention(q, kv, queries, keys, heads)


def padded_cross_attention(
    q: torch.Tensor, kv: torch.Tensor, queries: Layout, keys: Layout, heads: int
) -> torch.Tensor:
    """`cross_attention` for devices that want few large products."""
    k, v = kv.float().chunk(2, dim=-1)
    return _padded(q.float(), k, v, queries, keys, heads, False).to(q.dtype)


def _padded(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    queries: Layout,
    keys: Layout,
    heads: int,
    causal: bool,
) -> torch.Tensor:
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


class _SelfApart(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv, turns, layout, heads, causal):  # type: ignore[override]
        parts = _by_head(qkv.to(torch.float32, copy=True), 3, heads)
        _pairs(parts[:, :2]).mul_(turns[:, None])
        lengths = layout.lengths
        out, kept = _look(parts.unbind(1), lengths, lengths, causal, qkv.dtype)
        ctx.save_for_backward(parts, turns, *kept)
        ctx.lengths = lengths
        return out

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        parts, turns, *kept = ctx.saved_tensors
        grads = torch.empty_like(parts)
        _look_back(grad, parts.unbind(1), grads.unbind(1), ctx.lengths, ctx.lengths, kept)
        _pairs(grads[:, :2]).mul_(turns.conj().resolve_conj()[:, None])
        return grads.flatten(1).to(grad.dtype), None, None, None, None


class _CrossApart(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q, kv, queries, keys, heads):  # type: ignore[override]
        asked = _by_head(q.to(torch.float32, copy=True), 1, heads)
        seen = _by_head(kv.float(), 2, heads)
        parts = (asked[:, 0], *seen.unbind(1))
        out, kept = _look(parts, queries.lengths, keys.lengths, False, q.dtype)
        ctx.save_for_backward(asked, seen, *kept)
        ctx.lengths = queries.lengths, keys.lengths
        return out

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        asked, seen, *kept = ctx.saved_tensors
        of_asked, of_seen = torch.empty_like(asked), torch.empty_like(seen)
        parts, grads = (asked[:, 0], *seen.unbind(1)), (of_asked[:, 0], *of_seen.unbind(1))
        _look_back(grad, parts, grads, ctx.lengths[0], ctx.lengths[1], kept)
        of_q, of_kv = (t.flatten(1).to(grad.dtype) for t in (of_asked, of_seen))
        return of_q, of_kv, None, None, None


def _by_head(rows: torch.Tensor, parts: int, heads: int) -> torch.Tensor:
    """A view of (rows, parts * heads * head_dim) as (rows, parts, heads, head_dim)."""
    return rows.unflatten(1, (parts, heads, -1))


def _pairs(parts: torch.Tensor) -> torch.Tensor:
    """A view of each two neighbouring values as one complex number."""
    return torch.view_as_complex(parts.unflatten(-1, (-1, 2)))


def _spans(rows: torch.Tensor, lengths: Sequence[int]) -> list[torch.Tensor]:
    """(rows, heads, head_dim) as one (heads, length, head_dim) view a span."""
    return [part.transpose(0, 1) for part in rows.split(list(lengths))]


def _look(
    seen: Sequence[torch.Tensor],
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    causal: bool,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Attention of q, k, v, each (rows, heads, head_dim), span by span: (rows, heads * head_dim)
    and, for the way back, each span's weights, or the flash kernel's result and its sums. Scales q
    in place.
    """
    q, k, v = seen
    q *= q.shape[2] ** -0.5  # rather than every span's scores
    out = torch.empty(q.shape, dtype=dtype)
    kept: list[torch.Tensor] = []
    spans = zip(
        _spans(q, q_lengths),
        _spans(k, k_lengths),
        _spans(v, k_lengths),
        _spans(out, q_lengths),
        strict=True,
    )
    longest = max(q_lengths)
    later = torch.ones(longest, longest, dtype=torch.bool).triu_(1) if causal else None
    for qi, ki, vi, oi in spans:
        if not causal and qi.shape[1] * ki.shape[1] > _FLASH_FROM:
            found, sums = _flash(qi[None], ki[None], vi[None], scale=1.0)
            oi.copy_(found[0])
            kept += [found, sums]
            continue
        scores = torch.bmm(qi, ki.transpose(1, 2))
        if later is not None:
            scores.masked_fill_(later[: qi.shape[1], : qi.shape[1]], float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        oi.copy_(torch.bmm(weights, vi))
        kept.append(weights)
    return out.flatten(1), kept


def _look_back(
    grad: torch.Tensor,
    seen: Sequence[torch.Tensor],
    grads: Sequence[torch.Tensor],
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    kept: Sequence[torch.Tensor],
) -> None:
    """Fill `grads` with the gradients of q, k and v in `seen`, given that of `_look`'s result."""
    of_out = grad.float().view(seen[0].shape)
    lengths = (q_lengths, k_lengths, k_lengths)
    saved = iter(kept)
    spans = zip(
        _spans(of_out, q_lengths),
        *(_spans(t, n) for t, n in zip(seen, lengths, strict=True)),
        *(_spans(t, n) for t, n in zip(grads, lengths, strict=True)),
        strict=True,
    )
    for gi, qi, ki, vi, to_q, to_k, to_v in spans:
        weights = next(saved)
        if weights.dim() == 4:
            four = (t[None] for t in (gi, qi, ki, vi))
            parts = _flash_back(*four, weights, next(saved), 0.0, False, scale=1.0)
            for to, part in zip((to_q, to_k, to_v), parts, strict=True):
                to.copy_(part[0])
            continue
        to_v.copy_(torch.bmm(weights.transpose(1, 2), gi))
        of_weights = torch.bmm(gi, vi.transpose(1, 2))
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, torch.float32)
        to_q.copy_(torch.bmm(of_scores, ki))
        to_k.copy_(torch.bmm(of_scores.transpose(1, 2), qi))
    grads[0].mul_(seen[0].shape[2] ** -0.5)
