"""The mean of several trainings of an adapter, at the rank of one.

Trainings that differ in their seed end at the same loss with transcripts that differ; what they
have in common is what the clips taught. What a layer adds is a product, B·A, so products are
averaged, never their factors, and the mean is cut back to the rank by its singular values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

State = dict[str, torch.Tensor]  # an adapter's weights, by peft's names
_A, _B = ".lora_A.", ".lora_B."


def mean_adapter(states: Sequence[State]) -> State:
    """The adapter whose products are nearest to the mean of the products of `states`.

    All have the same names and shapes, A (rank, in) and B (out, rank), and one scale. Raises
    ValueError where they have not, or there is none.
    """
    if not states or any(_shapes(s) != _shapes(states[0]) for s in states):
        raise ValueError("adapters to average need the same layers, of the same shapes")
    mean: State = {}
    for name in (name for name in states[0] if _A in name):
        other = name.replace(_A, _B)
        a, b = ([s[key] for s in states] for key in (name, other))
        mean[name], mean[other] = _mean_product(a, b)
    return {name: mean[name] for name in states[0]}


def _shapes(state: State) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


def _mean_product(
    a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, in) and B (out, rank) of the mean product, the singular values shared by both."""
    rank = a[0].shape[0]
    # The product is B·A of all of them side by side; its values are those of a small square.
    left, small_left = torch.linalg.qr(torch.cat([m.double() for m in b], dim=1) / len(b))
    right, small_right = torch.linalg.qr(torch.cat([m.double() for m in a]).T)
    u, values, v = torch.linalg.svd(small_left @ small_right.T)
    roots = values[:rank].sqrt()
    down = (right @ v[:rank].T * roots).T
    up = left @ u[:, :rank] * roots
    return down.to(a[0].dtype).contiguous(), up.to(b[0].dtype).contiguous()
