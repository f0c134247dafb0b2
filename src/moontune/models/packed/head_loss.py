"""Cross-entropy behind the output head, with its gradient computed at once."""

from __future__ import annotations

from typing import Any

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
        by = _by_words if head.in_parts else _by_rows
        rows = hidden.to(head.weight.dtype)
        blocks = zip(rows.split(_ROWS), targets.split(_ROWS), strict=True)
        found = [by(block, head, right, wanted) for block, right in blocks]
        losses, grads = zip(*found, strict=True)
        if wanted:
            ctx.save_for_backward(torch.cat(grads))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * grad[:, None], None, None


_Found = tuple[torch.Tensor, torch.Tensor | None]  # losses (rows,), gradients (rows, width)


def _by_words(rows: torch.Tensor, head: Head, targets: torch.Tensor, wanted: bool) -> _Found:
    """Some words of all rows at a time, their softmax summed up as they come (Milakov & Gimelshein
    2018): no logits of all words are ever there."""
    top = rows.new_full((len(rows), 1), float("-inf"))
    sums, of_sums = torch.zeros_like(top), torch.zeros_like(rows)
    buffer = rows.new_empty(0)
    for weights in head.parts():
        shares = torch.mm(rows, weights, out=buffer.resize_(len(rows), weights.shape[1]))
        higher = torch.maximum(top, shares.amax(dim=1, keepdim=True))
        before, top = (top - higher).exp_(), higher
        shares.sub_(top).exp_()
        sums.mul_(before).add_(shares.sum(dim=1, keepdim=True))
        if wanted:
            of_sums.mul_(before).addmm_(shares, weights.t())
    right = head.weight.index_select(0, targets)
    losses = sums.log().add_(top)[:, 0] - (rows * right).sum(dim=1)
    return losses.clamp_(min=0), of_sums.div_(sums).sub_(right) if wanted else None


def _by_rows(rows: torch.Tensor, head: Head, targets: torch.Tensor, wanted: bool) -> _Found:
    """All words of all rows, in the head's dtype; what follows in float32, few rows at a time."""
    cached = _CACHED if rows.device.type == "cpu" else _ROWS
    logits, losses = functional.linear(rows, head.weight), []
    for part, chosen in zip(logits.split(cached), targets[:, None].split(cached), strict=True):
        probabilities = part.float()
        top = probabilities.amax(dim=1, keepdim=True)
        of_target = probabilities.gather(1, chosen)
        sums = probabilities.sub_(top).exp_().sum(dim=1, keepdim=True)
        losses.append((sums.log() + top - of_target)[:, 0])
        if wanted:
            probabilities.div_(sums).scatter_add_(1, chosen, -torch.ones_like(sums))
            part.copy_(probabilities)
    return torch.cat(losses), (logits @ head.weight).float() if wanted else None
