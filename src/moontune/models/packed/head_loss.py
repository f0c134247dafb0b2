"""Cross-entropy behind the output head, with its gradient computed at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn import functional

from moontune.models.packed.head import Head

_ROWS = 256  # through the head at once
_CACHED = 32  # rows of all logits that stay in a CPU's cache from one step to the next


class HeadLoss(torch.autograd.Function):
    """Cross-entropy of the head's logits of `hidden` against targets; the head gets no gradient.

    The gradient for `hidden` is computed with the loss, a block of rows at a time, so that no
    logits of all tokens are kept.
    """

    @staticmethod
    def forward(ctx: Any, hidden, head: Head, targets):  # type: ignore[override]
        wanted = ctx.needs_input_grad[0]
        found = list(_in_blocks(hidden, head, targets, "gradients" if wanted else "losses"))
        if wanted:
            ctx.save_for_backward(torch.cat([block.grads for block in found]))
        return torch.cat([block.losses for block in found])

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * grad[:, None], None, None


def losses_and_likeliest(
    hidden: torch.Tensor, head: Head, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of every row's target, and the word that is likeliest there, (rows,) each;
    without gradients."""
    found = list(_in_blocks(hidden, head, targets, "likeliest"))
    return torch.cat([b.losses for b in found]), torch.cat([b.likeliest for b in found])


_Wanted = Literal["losses", "gradients", "likeliest"]


@dataclass(frozen=True)
class _Found:
    losses: torch.Tensor  # (rows,)
    grads: torch.Tensor  # (rows, width); empty if not wanted
    likeliest: torch.Tensor  # (rows,); empty if not wanted


def _in_blocks(
    hidden: torch.Tensor, head: Head, targets: torch.Tensor, wanted: _Wanted
) -> Iterator[_Found]:
    by = _by_words if head.in_parts else _by_rows
    rows = hidden.to(head.weight.dtype)
    for block, right in zip(rows.split(_ROWS), targets.split(_ROWS), strict=True):
        yield by(block, head, right, wanted)


def _by_words(rows: torch.Tensor, head: Head, targets: torch.Tensor, wanted: _Wanted) -> _Found:
    """Some words of all rows at a time, their softmax summed up as they come (Milakov & Gimelshein
    2018): no logits of all words are ever there."""
    top = rows.new_full((len(rows), 1), float("-inf"))
    sums, of_sums = torch.zeros_like(top), torch.zeros_like(rows)
    buffer, likeliest, first = rows.new_empty(0), torch.zeros_like(targets), 0
    for weights in head.parts():
        shares = torch.mm(rows, weights, out=buffer.resize_(len(rows), weights.shape[1]))
        if wanted == "likeliest":
            most, word = shares.max(dim=1, keepdim=True)
            likeliest = torch.where(most[:, 0] > top[:, 0], word[:, 0] + first, likeliest)
            first += weights.shape[1]
        else:
            most = shares.amax(dim=1, keepdim=True)
        higher = torch.maximum(top, most)
        before, top = (top - higher).exp_(), higher
        shares.sub_(top).exp_()
        sums.mul_(before).add_(shares.sum(dim=1, keepdim=True))
        if wanted == "gradients":
            of_sums.mul_(before).addmm_(shares, weights.t())
    right = head.weight.index_select(0, targets)
    losses = sums.log().add_(top)[:, 0] - (rows * right).sum(dim=1)
    grads = of_sums.div_(sums).sub_(right) if wanted == "gradients" else of_sums[:0]
    return _Found(losses.clamp_(min=0), grads, likeliest)


def _by_rows(rows: torch.Tensor, head: Head, targets: torch.Tensor, wanted: _Wanted) -> _Found:
    """All words of all rows, in the head's dtype; what follows in float32, few rows at a time."""
    cached = _CACHED if rows.device.type == "cpu" else _ROWS
    logits, losses = functional.linear(rows, head.weight), []
    likeliest = logits.argmax(dim=1) if wanted == "likeliest" else targets[:0]
    for part, chosen in zip(logits.split(cached), targets[:, None].split(cached), strict=True):
        probabilities = part.float()
        top = probabilities.amax(dim=1, keepdim=True)
        of_target = probabilities.gather(1, chosen)
        sums = probabilities.sub_(top).exp_().sum(dim=1, keepdim=True)
        losses.append((sums.log() + top - of_target)[:, 0])
        if wanted == "gradients":
            probabilities.div_(sums).scatter_add_(1, chosen, -torch.ones_like(sums))
            part.copy_(probabilities)
    grads = (logits @ head.weight).float() if wanted == "gradients" else rows[:0]
    return _Found(torch.cat(losses), grads, likeliest)
