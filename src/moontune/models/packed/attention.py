"""Attention for clips laid end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional

from moontune.models.packed.layout import Layout
from moontune.models.packed.rotary import rotate

# Above so many weights a head, PyTorch's flash kernel is as fast as plain products, and it keeps no
# weights for the way back; below, it takes up to twice as long.
_FLASH_FROM = 200 * 200
# Rows that are taken to float32 and back at once, so that no float32 copy of all is kept.
_CHUNK = 256
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_back = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def self_attention(
    qkv: torch.Tensor,
    rotations: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
    heads: int,
    *,
    causal: bool,
) -> torch.Tensor:
    """Every clip's rows look at its own rows, at places given by `rotations`.

    qkv is (rows, 3 * heads * head_dim); the result (rows, heads * head_dim) has its dtype, what is
    between is float32. On a CPU clip by clip, without padding; elsewhere in one go.
    """
    if qkv.device.type == "cpu":
        cos, sin = rotations
        out: Any = _SelfAttentionPerClip.apply(qkv, torch.complex(cos, sin), layout, heads, causal)
        return out
    return padded_self_attention(qkv, rotations, layout, heads, causal=causal)


def padded_self_attention(
    qkv: torch.Tensor,
    rotations: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
    heads: int,
    *,
    causal: bool,
) -> torch.Tensor:
    """`self_attention` for devices that want few large products."""
    q, k, v = qkv.float().chunk(3, dim=-1)
    q, k = rotate(q, rotations, heads), rotate(k, rotations, heads)
    return _padded((q, k, v), layout, layout, heads, causal).to(qkv.dtype)


def cross_attention(
    q: torch.Tensor, kv: torch.Tensor, queries: Layout, keys: Layout, heads: int
) -> torch.Tensor:
    """Every clip's queries look at its own keys and values, (rows of `keys`, 2 * width)."""
    if q.device.type == "cpu":
        out: Any = _CrossAttentionPerClip.apply(q, kv, queries, keys, heads)
        return out
    return padded_cross_attention(q, kv, queries, keys, heads)


def padded_cross_attention(
    q: torch.Tensor, kv: torch.Tensor, queries: Layout, keys: Layout, heads: int
) -> torch.Tensor:
    """`cross_attention` for devices that want few large products."""
    k, v = kv.float().chunk(2, dim=-1)
    return _padded((q.float(), k, v), queries, keys, heads, False).to(q.dtype)


def _padded(
    qkv: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
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
        by_head(qkv[0], queries),
        by_head(qkv[1], keys),
        by_head(qkv[2], keys),
        keys.real[:, None, None] if uneven else None,
        is_causal=causal,
    )
    return queries.unpad(found.transpose(1, 2).flatten(2))


class _SelfAttentionPerClip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv, rotations, layout, heads, causal):  # type: ignore[override]
        out = _empty_rows(layout, qkv.shape[1] // 3, qkv.dtype)
        kept: list[torch.Tensor] = []
        for rows, lengths in _chunks(layout.lengths):
            parts = _rotated(qkv[rows], rotations[rows], heads)
            to = _by_head(out[rows], 1, heads)[:, 0]
            kept += _attend(parts.unbind(1), to, lengths, lengths, causal)
        ctx.save_for_backward(qkv, rotations, *kept)
        ctx.layout, ctx.heads = layout, heads
        return out

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        qkv, rotations, *kept = ctx.saved_tensors
        back, saved = rotations.conj().resolve_conj(), iter(kept)
        of_qkv = _empty_rows(ctx.layout, qkv.shape[1], grad.dtype)
        for rows, lengths in _chunks(ctx.layout.lengths):
            parts = _rotated(qkv[rows], rotations[rows], ctx.heads)
            grads = torch.empty_like(parts)
            _attend_backward(grad[rows], parts.unbind(1), grads.unbind(1), lengths, lengths, saved)
            _pairs(grads[:, :2]).mul_(back[rows, None])
            of_qkv[rows] = grads.flatten(1)
        return of_qkv, None, None, None, None


class _CrossAttentionPerClip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q, kv, queries, keys, heads):  # type: ignore[override]
        out = _empty_rows(queries, q.shape[1], q.dtype)
        kept: list[torch.Tensor] = []
        for asking, seen, n, m in _chunk_pairs(queries.lengths, keys.lengths):
            parts = _asked_and_seen(q[asking], kv[seen], heads)
            kept += _attend(parts, _by_head(out[asking], 1, heads)[:, 0], n, m, False)
        ctx.save_for_backward(q, kv, *kept)
        ctx.queries, ctx.keys, ctx.heads = queries, keys, heads
        return out

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        q, kv, *kept = ctx.saved_tensors
        saved = iter(kept)
        of_q = _empty_rows(ctx.queries, q.shape[1], grad.dtype)
        of_kv = _empty_rows(ctx.keys, kv.shape[1], grad.dtype)
        for asking, seen, n, m in _chunk_pairs(ctx.queries.lengths, ctx.keys.lengths):
            parts = _asked_and_seen(q[asking], kv[seen], ctx.heads)
            grads = [torch.empty_like(part) for part in parts]
            _attend_backward(grad[asking], parts, grads, n, m, saved)
            of_q[asking] = grads[0].flatten(1)
            of_kv[seen] = torch.stack(grads[1:], dim=1).flatten(1)
        return of_q, of_kv, None, None, None


def _empty_rows(layout: Layout, width: int, dtype: torch.dtype) -> torch.Tensor:
    """(rows, width) to be padded_row_count, but for the filler, which is zero."""
    out = torch.empty(layout.rows, width, dtype=dtype)
    out[layout.count :] = 0
    return out


def _chunks(lengths: Sequence[int]) -> Iterator[tuple[slice, Sequence[int]]]:
    """Clips next to each other, as many as have `_CHUNK` rows, or one: their rows and lengths."""
    for rows, _, own, _ in _chunk_pairs(lengths, lengths):
        yield rows, own


def _chunk_pairs(
    queries: Sequence[int], keys: Sequence[int]
) -> Iterator[tuple[slice, slice, Sequence[int], Sequence[int]]]:
    first = asked = seen = 0
    while first < len(keys):
        last = first + 1
        while last < len(keys) and sum(keys[first : last + 1]) <= _CHUNK:
            last += 1
        n, m = queries[first:last], keys[first:last]
        yield slice(asked, asked + sum(n)), slice(seen, seen + sum(m)), n, m
        first, asked, seen = last, asked + sum(n), seen + sum(m)


def _rotated(qkv: torch.Tensor, rotations: torch.Tensor, heads: int) -> torch.Tensor:
    """A float32 copy as (rows, 3, heads, head_dim), queries and keys rotated, queries scaled."""
    parts = _by_head(qkv.to(torch.float32, copy=True), 3, heads)
    _pairs(parts[:, :2]).mul_(rotations[:, None])
    parts[:, 0] *= parts.shape[-1] ** -0.5  # rather than every clip's scores
    return parts


def _asked_and_seen(q: torch.Tensor, kv: torch.Tensor, heads: int) -> list[torch.Tensor]:
    """Scaled queries, keys and values in float32, each (rows, heads, head_dim)."""
    asked = _by_head(q, 1, heads)[:, 0]
    return [asked.float() * asked.shape[-1] ** -0.5, *_by_head(kv.float(), 2, heads).unbind(1)]


def _by_head(rows: torch.Tensor, parts: int, heads: int) -> torch.Tensor:
    """A view of (rows, parts * heads * head_dim) as (rows, parts, heads, head_dim)."""
    return rows.unflatten(1, (parts, heads, -1))


def _pairs(parts: torch.Tensor) -> torch.Tensor:
    """A view of each two neighbouring values as one complex number."""
    return torch.view_as_complex(parts.unflatten(-1, (-1, 2)))


def _spans(rows: torch.Tensor, lengths: Sequence[int]) -> Sequence[torch.Tensor]:
    """(rows, heads, head_dim) as one (heads, length, head_dim) view a clip."""
    return torch.split_with_sizes(rows.transpose(0, 1), lengths, dim=1)  # type: ignore[arg-type]


def _attend(
    seen: Sequence[torch.Tensor],
    out: torch.Tensor,
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    causal: bool,
) -> list[torch.Tensor]:
    """Fill `out` with the attention of q, k, v, clip by clip; all are (rows, heads, head_dim).

    Returns for the way back each clip's weights, or the flash kernel's result and its sums.
    """
    kept: list[torch.Tensor] = []
    lengths = (q_lengths, k_lengths, k_lengths, q_lengths)
    longest = max(q_lengths)
    later = torch.ones(longest, longest, dtype=torch.bool).triu_(1) if causal else None
    clips = zip(*map(_spans, (*seen, out), lengths), strict=True)
    for q, k, v, to in clips:
        if not causal and q.shape[1] * k.shape[1] > _FLASH_FROM:
            found, sums = _flash(q[None], k[None], v[None], scale=1.0)
            to.copy_(found[0])
            kept += [found, sums]
            continue
        scores = torch.bmm(q, k.mT)
        if later is not None:
            scores.masked_fill_(later[: q.shape[1], : q.shape[1]], float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        to.copy_(torch.bmm(weights, v))
        kept.append(weights)
    return kept


def _attend_backward(
    grad: torch.Tensor,
    seen: Sequence[torch.Tensor],
    grads: Sequence[torch.Tensor],
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    saved: Iterator[torch.Tensor],
) -> None:
    """Fill `grads` with the gradients of q before it was scaled, k and v, given that of `_attend`'s
    result; takes what `_attend` kept from `saved`."""
    of_out = grad.float().view(seen[0].shape)
    lengths = (q_lengths, q_lengths, k_lengths, k_lengths, q_lengths, k_lengths, k_lengths)
    clips = zip(*map(_spans, (of_out, *seen, *grads), lengths), strict=True)
    for g, q, k, v, to_q, to_k, to_v in clips:
        weights = next(saved)
        if weights.dim() == 4:
            four = (t[None] for t in (g, q, k, v))
            parts = _flash_back(*four, weights, next(saved), 0.0, False, scale=1.0)
            for to, part in zip((to_q, to_k, to_v), parts, strict=True):
                to.copy_(part[0])
            continue
        torch.bmm(weights.mT, g, out=to_v)
        of_scores = torch.ops.aten._softmax_backward_data(
            torch.bmm(g, v.mT), weights, -1, torch.float32
        )
        torch.bmm(of_scores, k, out=to_q)
        torch.bmm(of_scores.mT, q, out=to_k)
    grads[0].mul_(seen[0].shape[2] ** -0.5)
