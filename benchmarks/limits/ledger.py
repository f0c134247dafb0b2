"""Processor time and floating-point operations of a program, by part: what adds up to the whole."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Part = tuple[str, str]  # of the model or the program, and kind of work
REST: Part = ("the rest", "Python and small operators")
INSTRUMENTS: Part = ("", "the ledger's own work")  # left out of every sum
_FORMULAS = flop_registry | {
    torch.ops.aten.addmm_: flop_registry[torch.ops.aten.addmm],
    torch.ops.aten.baddbmm_: flop_registry[torch.ops.aten.baddbmm],
}
_PRODUCT = re.compile(r"(mm|mv|linear|conv|dot|einsum|matmul|attention)", re.IGNORECASE)


@dataclass
class Account:
    """What was counted in a stretch of a program."""

    seconds: dict[Part, float] = field(default_factory=lambda: defaultdict(float))  # processor's
    flops: dict[tuple[Part, torch.dtype], float] = field(default_factory=lambda: defaultdict(float))

    @property
    def whole_s(self) -> float:
        return sum(self.seconds.values())

    def limits_s(self, peaks: Mapping[torch.dtype, float]) -> dict[Part, float]:
        """What each part's products take at so many operations a second."""
        found: dict[Part, float] = defaultdict(float)
        for (part, dtype), count in self.flops.items():
            found[part] += count / peaks[dtype]
        return found


def mean(timed: Sequence[Account], counted: Sequence[Account]) -> Account:
    """The seconds of the first, the operations of the second: the mean of as many like pieces."""
    found = Account()
    for account in timed:
        for part, seconds in account.seconds.items():
            found.seconds[part] += seconds / len(timed)
    for account in counted:
        for key, flops in account.flops.items():
            found.flops[key] += flops / len(counted)
    return found


class Ledger:
    """Counts what is spent to the innermost part that is open, and to `REST` while none is.

    Time is that of the process on its processors, so other programs' turns are not in it; threads
    add up, so take one. Operators of a backward pass count to the part that their forward did.
    """

    def __init__(self) -> None:
        self._account = Account()
        self._open = [REST]
        self._since = time.process_time()
        self._known: set[int] = set()  # nodes of the graph that belong to a part

    def _spend(self) -> None:
        now = time.process_time()
        self._account.seconds[self._open[-1]] += now - self._since
        self._since = now

    @property
    def part(self) -> Part:
        return self._open[-1]

    def begin(self, part: Part) -> None:
        self._spend()
        self._open.append(part)

    def end(self) -> None:
        self._spend()
        self._open.pop()

    def turn(self, part: Part) -> None:
        """What is open goes on as another part."""
        self._spend()
        self._open[-1] = part

    @contextmanager
    def inside(self, part: Part) -> Iterator[None]:
        self.begin(part)
        try:
            yield
        finally:
            self.end()

    def computed(self, flops: int, dtype: torch.dtype) -> None:
        self._account.flops[self._open[-1], dtype] += flops

    def take(self) -> Account:
        """What was counted since the last time."""
        self._spend()
        account, self._account = self._account, Account()
        self._known.clear()
        account.seconds.pop(INSTRUMENTS, None)
        return account

    def wrapped(self, function: Callable[..., Any], part: Callable[..., Part]) -> Callable:
        """`function`, what it spends and what its gradients cost counted to `part(*arguments)`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            first = torch.autograd._get_sequence_nr()  # type: ignore[reportPrivateImportUsage]
            own = part(*args, **kwargs)
            with self.inside(own):
                out = function(*args, **kwargs)
            if isinstance(out, torch.Tensor) and out.grad_fn is not None:
                with self.inside(INSTRUMENTS):
                    self._follow(out.grad_fn, first, own)
            return out

        return call

    def _follow(self, node: Any, first: int, part: Part) -> None:
        """Count the nodes of the graph since the `first`, those without a part yet, to `part`."""
        waiting, seen = [node], set()
        while waiting:
            node = waiting.pop()
            if node is None or node.name().endswith("AccumulateGrad"):
                continue
            number = node._sequence_nr()
            if number < first or number in seen:
                continue
            seen.add(number)
            waiting += [below for below, _ in node.next_functions]
            if number not in self._known:
                self._known.add(number)
                node.register_prehook(lambda grads: self.begin(part))
                node.register_hook(lambda to, grads: self.end())


class CountFlops(TorchDispatchMode):
    """Within the block every product of PyTorch counts to the ledger's open part, in its type.

    Raises NotImplementedError for one that has no formula: none is left out unseen.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = _FORMULAS.get(func._overloadpacket)
        if formula is not None:
            self._ledger.computed(formula(*args, **kwargs, out_val=out), _first(out).dtype)
        elif _PRODUCT.search(str(func)):
            raise NotImplementedError(f"{func}: no formula for its floating-point operations")
        return out


def _first(out: Any) -> torch.Tensor:
    return out if isinstance(out, torch.Tensor) else out[0]
