"""Cross-entropy behind the output head, with its gradient computed at once."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


class HeadLoss(torch.autograd.Function):
    """Cross-entropy of hidden @ weight.T against targets; the weight gets no gradient.

    The gradient for `hidden` is computed with the loss, a block of rows at a time, so that no
    logits of all tokens are kept.
    """

    ROWS = 256  # through the head at once
    CACHED = 32  # rows of logits that stay in a CPU's cache from one step to the next

    @staticmethod
    def forward(ctx: Any, hidden, weight, targets):  # type: ignore[override]
        wanted = ctx.needs_input_grad[0]
        rows = hidden.to(weight.dtype)
        cached = HeadLoss.CACHED if rows.device.type == "cpu" else HeadLoss.ROWS
        losses, grads = [], []
        for block, right in zip(
            rows.split(HeadLoss.ROWS), targets.split(HeadLoss.ROWS), strict=True
        ):
            logits = functional.linear(block, weight)
            parts, chosen_ones = logits.split(cached), right[:, None].split(cached)
            for part, chosen in zip(parts, chosen_ones, strict=True):
                probabilities = part.float()
                top = probabilities.amax(dim=1, keepdim=True)
                of_target = probabilities.gather(1, chosen)
                sums = probabilities.sub_(top).exp_().sum(dim=1, keepdim=True)
                losses.append((sums.log() + top - of_target)[:, 0])
                if wanted:
                    probabilities.div_(sums).scatter_add_(1, chosen, -torch.ones_like(sums))
                    part.copy_(probabilities)
            if wanted:
                grads.append((logits @ weight).float())
        if wanted:
            ctx.save_for_backward(torch.cat(grads))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * grad[:, None], None, None
