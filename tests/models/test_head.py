"""The output head, some words at a time, against all of them at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from moontune.models.packed import head as heads
from moontune.models.packed.head import Head
from moontune.models.packed.head_loss import HeadLoss


@pytest.fixture(autouse=True)
def _few_words_at_a_time(monkeypatch) -> None:
    monkeypatch.setattr(heads, "_BLOCK", 10)
    monkeypatch.setattr(heads, "PART", 4)


@pytest.mark.parametrize("rows", [1, 47, 48])
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_any_rows_are_those_of_one_product(rows, written, dtype) -> None:
    torch.manual_seed(0)
    weight, hidden = torch.randn(33, 6).to(dtype), torch.randn(rows, 6)
    found = Head(weight, written=written)(hidden)
    assert found.dtype == dtype
    assert torch.allclose(found, functional.linear(hidden.to(dtype), weight), atol=1e-5)


@pytest.mark.parametrize("written", [False, True])
def test_losses_and_gradients_are_cross_entropys(monkeypatch, written) -> None:
    """With logits that differ by hundreds, whose plain exponentials no float32 holds."""
    torch.manual_seed(0)
    monkeypatch.setattr("moontune.models.packed.head_loss._ROWS", 8)
    weight, targets = torch.randn(33, 6), torch.randint(33, (19,))
    hidden = (torch.randn(19, 6) * torch.logspace(-1, 2, 19)[:, None]).requires_grad_()
    push = torch.randn(19)
    exact = functional.cross_entropy(
        hidden.double() @ weight.double().t(), targets, reduction="none"
    )
    (right,) = torch.autograd.grad(exact, hidden, push.double())
    losses = HeadLoss.apply(hidden, Head(weight, written=written), targets)
    (found,) = torch.autograd.grad(losses, hidden, push)
    assert torch.allclose(losses, exact.float(), rtol=1e-5, atol=1e-4)
    assert torch.allclose(found, right, atol=1e-4)
    assert (losses >= 0).all()


def test_a_loss_that_is_no_number_stays_none() -> None:
    """A model whose weights went wrong is told by its losses."""
    hidden = torch.tensor([[float("nan"), 1.0], [1.0, 1.0]])
    losses = HeadLoss.apply(hidden, Head(torch.randn(33, 2), written=False), torch.tensor([1, 2]))
    assert losses.isnan().tolist() == [True, False]


def test_the_copy_to_write_with_is_a_snapshot() -> None:
    weight = torch.randn(33, 6)
    head, hidden = Head(weight.clone(), written=True), torch.randn(3, 6)
    before = head(hidden)
    head.weight.zero_()
    assert torch.equal(head(hidden), before)
