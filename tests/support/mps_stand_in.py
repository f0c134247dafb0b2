"""A stand-in for Apple's GPU: device "mps" on any machine, computed by the CPU, refusing what MPS
refuses.

Read from PyTorch's own sources:

    torchgen/packaged/ATen/native/native_functions.yaml, in the wheel: which operators have a kernel
        for MPS or one for every device, and which go through TensorIterator, which takes a single
        number on the CPU beside tensors on a GPU.
    aten/src/ATen/mps/MPSFallback.mm: the sentence of a missing operator. The few that run on the
        CPU instead without being asked to are refused too: moontune accepts no run with them.
    aten/src/ATen/mps/EmptyTensor.cpp: the sentence about float64.
    aten/src/ATen/native/mps/OperationUtils.mm: the types that Metal has.
    aten/src/ATen/native/mps/operations/Copy.mm: what copies between the devices can cast to.
    torch/nn/utils/clip_grad.py and torch/optim: ask for a tensor's device, and take plain operators
        on MPS where they take fused ones on a CPU.

A tensor is on MPS if its storage is. Attention goes the way that is written in plain operators, as
MPS does where gradients are recorded; `linear`, and attention without gradients, have kernels of
their own there, which are not called here. MPS has a random generator of its own here as there.

It shows what would be refused. It cannot show numerics (all is float32 on the CPU), speed, memory,
what an MPS kernel itself refuses (a type, a size, a version of macOS) or computes wrongly, what a
kernel for every device calls in turn, and anything of a torch that is not installed here. bfloat16,
which MPS has from macOS 14 on, is let through; moontune trains in float32 there. Gradients cannot
cross from one device to the other here. Only the thread that opens it sees it.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torchgen
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

MPS = torch.device("mps", 0)  # as a tensor there names its device
_OPERATORS = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
_HAVE_MPS = {
    "MPS",
    "CompositeImplicitAutograd",
    "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
}
_NOT_THERE = {  # types, their name in C++ and what is said of them
    torch.float64: (
        "Double",
        "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support "
        "float64. Please use float32 instead.",
    ),
    torch.complex128: (
        "ComplexDouble",
        "Trying to convert ComplexDouble to the MPS backend but it does not have support for that "
        "dtype.",
    ),
}
_ACROSS_DEVICES = {"aten::copy_", "aten::_to_copy"}
_INDEXING = {"aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_"}


@contextlib.contextmanager
def mps_stand_in() -> Iterator[None]:
    """Device "mps" for the time of the block, in this thread."""
    storages = _Storages()
    kernels = _Kernels(storages)
    calls = _Calls(storages, kernels)
    with contextlib.ExitStack() as stack:
        for owner, name, value in _replaced(storages, kernels, calls):
            stack.enter_context(mock.patch.object(owner, name, value))
        _forget_what_is_available()
        stack.callback(_forget_what_is_available)
        stack.enter_context(kernels)
        stack.enter_context(calls)
        yield


class _Storages:
    """The storages that are on MPS; kept, so that no other one gets the address of one of them."""

    def __init__(self) -> None:
        self._kept: dict[int, torch.UntypedStorage] = {}
        self._most = 1_000

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self._kept

    def add(self, tensor: torch.Tensor) -> None:
        if tensor.dtype in _NOT_THERE:
            raise TypeError(_NOT_THERE[tensor.dtype][1])
        storage = tensor.untyped_storage()
        self._kept[storage._cdata] = storage
        if len(self._kept) > self._most:
            uses = torch._C._storage_Use_Count  # 1: no tensor's any more
            self._kept = {at: kept for at, kept in self._kept.items() if uses(at) > 1}
            self._most = 1_000 + 2 * len(self._kept)


class _Calls(TorchFunctionMode):
    """Calls as Python makes them. A device that one names is told to the operators; PyTorch itself
    is told the CPU."""

    def __init__(self, storages: _Storages, kernels: _Kernels) -> None:
        super().__init__()
        self._storages, self._kernels = storages, kernels
        self._depth = 0  # of calls inside which this mode is off

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._depth += 1
        try:
            there = any(tensor in self._storages for tensor in _tensors((args, kwargs)))
            if there and func in (torch.Tensor.numpy, torch.Tensor.__array__):
                raise TypeError(
                    "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                    "tensor to host memory first."
                )
            with contextlib.ExitStack() as stack:
                if there and func is torch.nn.functional.scaled_dot_product_attention:
                    stack.enter_context(sdpa_kernel(SDPBackend.MATH))
                asked = self._asked(func, args, kwargs)
                stack.enter_context(self._kernels.making("mps" if there else "cpu", asked))
                if asked is None:
                    return func(*args, **kwargs)
                args, kwargs = tree_map(_on_cpu, (args, kwargs))
                return self._brought(func(*args, **kwargs), asked)
        finally:
            self._depth -= 1

    def _asked(self, func: Any, args: Any, kwargs: Any) -> str | None:
        """The device that a call names, if it is one of the two."""
        wanted = "cpu" if func is torch.Tensor.cpu else kwargs.get("device")
        if func is torch.Tensor.to and wanted is None and len(args) > 1:
            wanted = args[1].device if isinstance(args[1], torch.Tensor) else args[1]
        if not isinstance(wanted, str | torch.device):
            return None
        kind = torch.device(wanted).type
        return kind if kind in ("cpu", "mps") else None

    def _brought(self, result: Any, asked: str) -> Any:
        """A copy where PyTorch, which knows one device, made none or made it unseen."""
        if not isinstance(result, torch.Tensor) or (result in self._storages) == (asked == "mps"):
            return result
        return result.to(result.dtype, copy=True)

    @contextlib.contextmanager
    def on_again(self) -> Iterator[None]:
        """This mode for Python that PyTorch calls back from inside a call."""
        depth, self._depth = self._depth, 0
        try:
            with self if depth else contextlib.nullcontext():
                yield
        finally:
            self._depth = depth


class _Kernels(TorchDispatchMode):
    """Operators as they reach a device's kernels: refuses those MPS would, and keeps account of
    what is made there."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch.compile is imported, which takes seconds

    def __init__(self, storages: _Storages) -> None:
        super().__init__()
        self.generator = torch.Generator()
        self._storages = storages
        self._home, self._asked = "cpu", None

    @contextlib.contextmanager
    def making(self, home: str, asked: str | None = None) -> Iterator[None]:
        """`home` is where tensors are made of no other ones, `asked` where operators that take a
        device make theirs."""
        before = self._home, self._asked
        self._home, self._asked = home, asked
        try:
            yield
        finally:
            self._home, self._asked = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        there = [tensor in self._storages for tensor in given]
        device = self._device_of_result(func, there)
        if device == "cpu" and not any(there):
            return func(*args, **kwargs)
        name = func.name()
        _refuse_missing(name)
        if any(there) and name not in _ACROSS_DEVICES:
            _refuse_mixed(name, args, given, there)
        with self._random_numbers(func):
            result = func(*args, **kwargs)
        if name in _ACROSS_DEVICES and there[-1] and not (there[0] and device == "mps"):
            _refuse_cast(given[-1], result)
        known = {tensor.untyped_storage()._cdata for tensor in given}
        for made in _tensors(result):
            if device == "mps" and made.untyped_storage()._cdata not in known:
                self._storages.add(made)
        return result

    def _device_of_result(self, func: Any, there: Sequence[bool]) -> str:
        if self._asked is not None and _takes_device(func):
            return self._asked
        if not there:
            return self._home
        return "mps" if any(there) else "cpu"

    @contextlib.contextmanager
    def _random_numbers(self, func: Any) -> Iterator[None]:
        if torch.Tag.nondeterministic_seeded not in func.tags:
            yield
            return
        of_cpu = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        try:
            yield
        finally:
            self.generator.set_state(torch.get_rng_state())
            torch.set_rng_state(of_cpu)


def _replaced(
    storages: _Storages, kernels: _Kernels, calls: _Calls
) -> Iterator[tuple[Any, str, Any]]:
    """Owner, name and stand-in of what is asked where no mode is: a tensor's attributes, the
    machine's devices, the autograd engine."""
    for name, there in (("device", MPS), ("is_mps", True), ("is_cpu", False)):
        yield torch.Tensor, name, _attribute(name, there, storages)
    for name in ("is_available", "is_built"):
        yield torch.backends.mps, name, functools.cache(lambda: True)
    generator = kernels.generator
    yield torch.mps, "manual_seed", generator.manual_seed
    yield torch.mps, "get_rng_state", lambda device="mps": generator.get_state()
    yield torch.mps, "set_rng_state", lambda state, device="mps": generator.set_state(state)
    run_backward = torch.autograd.graph._engine_run_backward
    grouped = torch._C._group_tensors_by_device_and_dtype

    def engine(roots: Sequence[torch.Tensor], *given: Any, **named: Any) -> Any:
        with calls.on_again(), kernels.making("mps" if roots[0] in storages else "cpu"):
            return run_backward(roots, *given, **named)

    def by_device(lists: Any, with_indices: bool = False) -> Any:
        groups: dict[Any, Any] = grouped(lists, with_indices)
        return {
            (MPS if group[0][0][0] in storages else device, dtype): group
            for (device, dtype), group in groups.items()
        }

    yield torch.autograd, "_engine_run_backward", engine
    yield torch._C, "_group_tensors_by_device_and_dtype", by_device


def _attribute(name: str, there: Any, storages: _Storages) -> property:
    of_any_tensor: Any = torch._C.TensorBase
    plain = getattr(of_any_tensor, name).__get__

    def get(tensor: torch.Tensor) -> Any:
        with torch._C.DisableTorchFunction():
            return there if tensor in storages else plain(tensor)

    return property(get)


def _forget_what_is_available() -> None:
    """transformers asks once in a process."""
    if imported := sys.modules.get("transformers.utils.import_utils"):
        imported.is_torch_mps_available.cache_clear()


def _tensors(values: Any) -> list[torch.Tensor]:
    """Those in lists, tuples and dictionaries; `tree_leaves` takes a third of a training's time."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


@functools.cache
def _takes_device(func: Any) -> bool:
    return any(argument.name == "device" for argument in func._schema.arguments)


def _on_cpu(value: Any) -> Any:
    """The CPU where `value` names MPS, else `value`."""
    named = isinstance(value, torch.device) or (isinstance(value, str) and value[:3] == "mps")
    return torch.device("cpu") if named and torch.device(value).type == "mps" else value


@functools.cache
def _operators() -> dict[str, tuple[bool, bool]]:
    """Operators by name: whether MPS has it, and whether it takes a single number on the CPU."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(_OPERATORS.read_text(encoding="utf-8"), loader)
    by_name = {entry["func"].split("(")[0]: entry for entry in entries}
    found: dict[str, tuple[bool, bool]] = {}
    for name, entry in by_name.items():
        keys = _dispatch_keys(entry)
        if "structured_delegate" in entry:
            keys |= _dispatch_keys(by_name[entry["structured_delegate"]])
        elif not keys:
            keys = {"CompositeImplicitAutograd"}
        generated = filter(None, entry.get("autogen", "").split(", "))
        for each in (name, *generated):  # what is generated calls what it is generated from
            takes_numbers = entry.get("device_check") == "NoCheck"
            found[f"aten::{each}"] = bool(keys & _HAVE_MPS), takes_numbers
    return found


def _dispatch_keys(entry: dict[str, Any]) -> set[str]:
    return {key for keys in entry.get("dispatch", {}) for key in keys.split(", ")}


def _refuse_missing(operator: str) -> None:
    if not _operators().get(operator, (False, False))[0]:
        raise NotImplementedError(
            f"The operator '{operator}' is not currently implemented for the MPS device."
        )


def _refuse_mixed(
    operator: str, args: Sequence[Any], given: Sequence[torch.Tensor], there: Sequence[bool]
) -> None:
    on_cpu = [tensor for tensor, is_there in zip(given, there, strict=True) if not is_there]
    if operator in _INDEXING and there[0]:  # indices may be on the CPU
        on_cpu = [tensor for tensor in on_cpu if all(tensor is not index for index in args[1])]
    if _operators()[operator][1]:
        on_cpu = [tensor for tensor in on_cpu if tensor.dim()]
    if on_cpu:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, mps:0 "
            f"and cpu! ({operator})"
        )


def _refuse_cast(source: torch.Tensor, result: torch.Tensor) -> None:
    """A copy from MPS to the CPU is cast by MPS."""
    if source.dtype != result.dtype and result.dtype in _NOT_THERE:
        raise RuntimeError(f"Undefined type {_NOT_THERE[result.dtype][0]}")
