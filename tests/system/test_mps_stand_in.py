"""The stand-in for Apple's GPU refuses what MPS refuses, and lets through what it does not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from mps_stand_in import mps_stand_in
from torch.nn import functional

from moontune.doctor import environment
from moontune.errors import UserError
from moontune.system.device import choose_device, missing_operator, random_state, set_random_state


@pytest.fixture
def mps() -> Iterator[torch.device]:
    with mps_stand_in():
        yield torch.device("mps")


def there(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, device="mps")


class Doubled(torch.autograd.Function):
    """Twice its input, by way of `back` in the backward pass."""

    back: Callable[[torch.Tensor], torch.Tensor]

    @staticmethod
    def forward(ctx: Any, x):  # type: ignore[override]
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        return Doubled.back(2 * grad)


def test_a_tensor_says_where_it_is_and_so_does_what_is_made_of_it(mps) -> None:
    x = torch.randn(2, 3).to(mps)
    tensors = [x, x + 1, x[0], x.t(), x.new_zeros(2), torch.zeros_like(x), copy.deepcopy(x)]
    tensors += [torch.tensor([1.0], device="mps"), torch.as_tensor(torch.ones(1), device=x.device)]
    tensors += [torch.nn.Linear(3, 2).to("mps").weight, torch.arange(3, device=x.device), x.to(x)]
    assert {t.device for t in tensors} == {torch.device("mps:0")}
    assert all(t.is_mps and not t.is_cpu for t in tensors)
    others = [torch.ones(1), x.cpu(), x.to("cpu"), torch.zeros_like(x, device="cpu"), x.cpu() + 1]
    assert {t.device for t in others} == {torch.device("cpu")}
    copied = x.cpu()
    x.zero_()
    assert copied.any()


def test_it_is_chosen_and_gone_afterwards(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with mps_stand_in():
        assert choose_device("mps").name == "mps"
        kept = there(2)
        found = [(f.name, f.state) for f in environment.device("mps")]
    assert found == [("device", "ok"), ("products", "ok")]
    with pytest.raises(UserError, match="no Apple GPU"):
        choose_device("mps")
    assert (kept.double() + torch.ones(2)).device.type == "cpu"


@pytest.mark.parametrize(
    "make",
    [
        lambda: there(2).double(),
        lambda: torch.zeros(2, dtype=torch.float64, device="mps"),
        lambda: torch.tensor([1.0], dtype=torch.float64).to("mps"),
        lambda: torch.tensor([1.0], dtype=torch.float64, device="mps"),
        lambda: there(2).sum(dtype=torch.float64),
        lambda: there(2).to(torch.complex128),
    ],
)
def test_a_float64_is_refused(mps, make) -> None:
    with pytest.raises(TypeError, match=r"to float64 dtype|to the MPS backend"):
        make()


def test_a_cast_on_the_way_to_the_cpu_is_made_on_mps(mps) -> None:
    assert there(2).cpu().double().dtype == torch.float64
    assert torch.ones(2, dtype=torch.float64).to("mps", torch.float32).dtype == torch.float32
    double = torch.empty(2, dtype=torch.float64)
    for cast in (lambda: there(2).to("cpu", torch.float64), lambda: double.copy_(there(2))):
        with pytest.raises(RuntimeError, match="Undefined type Double"):
            cast()


def test_an_operator_without_a_kernel_is_missing(mps) -> None:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with pytest.raises(NotImplementedError) as caught:
        flash(there(1, 1, 2, 4), there(1, 1, 2, 4), there(1, 1, 2, 4))
    assert missing_operator(caught.value) == "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert flash(*[torch.ones(1, 1, 2, 4)] * 3)[0].device.type == "cpu"


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_another_kernel_there(mps, causal) -> None:
    x = torch.randn(1, 2, 3, 4, device="mps").requires_grad_()
    found = functional.scaled_dot_product_attention(x, x, x, is_causal=causal)
    found.sum().backward()
    assert (found.device, x.device) == (torch.device("mps:0"),) * 2
    with torch.no_grad():
        own = x.cpu()
        expected = functional.scaled_dot_product_attention(own, own, own, is_causal=causal)
        torch.testing.assert_close(found.cpu(), expected)


def test_devices_do_not_mix(mps) -> None:
    index = torch.tensor([1])
    for mix in (
        lambda: there(2) + torch.ones(2),
        lambda: torch.ones(2) @ there(2),
        lambda: torch.cat([there(2), torch.ones(2)]),
        lambda: functional.linear(there(1, 2), torch.ones(2, 2)),
        lambda: there(2).index_select(0, index),
        lambda: torch.ones(2)[there(2).bool()],
        lambda: there(2).index_put_((index,), torch.ones(1)),
        lambda: there(1, 2, 2).bmm(torch.ones(1, 2, 2)),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix()
    with pytest.raises(TypeError, match="device type tensor to numpy"):
        there(2).numpy()
    assert (there(2) * torch.tensor(3.0)).tolist() == [3.0, 3.0]
    assert there(2)[index].tolist() == [1.0]
    assert there(2).copy_(torch.zeros(2)).is_mps
    assert torch.zeros(2).copy_(there(2)).is_cpu


def test_the_way_back_is_looked_at_too(mps) -> None:
    made: list[torch.Tensor] = []

    def back(grad: torch.Tensor) -> torch.Tensor:
        made.extend([grad, torch.ones(2, device="mps"), torch.ones(2)])
        return grad * made[1]

    weight = torch.nn.Parameter(there(2))
    Doubled.back = back
    Doubled.apply(weight).sum().backward()
    assert [t.device.type for t in made] == ["mps", "mps", "cpu"]
    assert weight.grad is not None
    assert weight.grad.is_mps
    Doubled.back = lambda grad: grad.double().float()
    with pytest.raises(TypeError, match="float64"):
        Doubled.apply(weight).sum().backward()
    Doubled.back = lambda grad: grad * torch.ones(2)
    with pytest.raises(RuntimeError, match="same device"):
        torch.autograd.grad(Doubled.apply(weight).sum(), weight)


def test_it_draws_from_a_generator_of_its_own(mps) -> None:
    torch.manual_seed(1)
    first = torch.rand(2, device="mps").tolist()
    state = random_state("mps")
    of_cpu, more = torch.rand(2).tolist(), torch.rand(2, device="mps").tolist()
    assert first == of_cpu != more
    set_random_state("mps", state)
    assert torch.rand(2, device="mps").tolist() == more
    assert torch.rand(2).tolist() == of_cpu
