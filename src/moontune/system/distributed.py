"""Several processes as one run: torchrun or accelerate starts them, each takes its share.

All goes over gloo, through the CPU, also on GPUs: an adapter's gradients are a megabyte or two
an update, and so one way of exchange serves every device, and processes may share a GPU.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from moontune.errors import UserError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those of the run. Every process must come to the same calls in order.

    All raise UserError where another process has ended.
    """

    rank: int = 0
    size: int = 1
    _store: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def shard(self, items: Sequence[T], cost: Callable[[T], float]) -> list[T]:
        """This process's share: every item is in one share, and shares cost about the same."""
        if self.size == 1:
            return list(items)
        loads, taken = [0.0] * self.size, []
        for i in sorted(range(len(items)), key=lambda i: -cost(items[i])):
            least = loads.index(min(loads))
            loads[least] += cost(items[i])
            if least == self.rank:
                taken.append(i)
        return [items[i] for i in sorted(taken)]

    def on_main(self, work: Callable[[], T]) -> T:
        """The result of `work` in the main process, which alone does it; the others wait for it."""
        if self.size == 1:
            return work()
        box: list[Any] = [work() if self.is_main else None]
        with reaching_the_others() as distributed:
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, part: list[T]) -> list[T]:
        """The parts of all processes, one after the other."""
        if self.size == 1:
            return part
        parts: list[Any] = [None] * self.size
        with reaching_the_others() as distributed:
            distributed.all_gather_object(parts, part)
        return [item for part in parts for item in part]

    def sums(self, *values: float) -> list[float]:
        """Each value summed over the processes, in float64."""
        if self.size == 1:
            return list(values)
        import torch

        total = torch.tensor(values, dtype=torch.float64)
        with reaching_the_others() as distributed:
            distributed.all_reduce(total)
        return total.tolist()

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Each parameter's gradient summed over the processes; none counts as zero."""
        if self.size == 1:
            return
        import torch

        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([grad.reshape(-1) for grad in own]).cpu()
        with reaching_the_others() as distributed:
            distributed.all_reduce(flat)
        sums = flat.to(own[0].device).split([p.numel() for p in parameters])
        for p, total in zip(parameters, sums, strict=True):
            p.grad = total.view_as(p)

    def first_to_fail(self) -> bool:
        """Whether no other process has failed: the first one's message is everyone's."""
        if self._store is None:
            return True
        try:
            return self._store.add("failed", 1) == 1
        except RuntimeError:  # the process that failed kept the store
            return False

    def end(self, code: int) -> int:
        """The exit code; with several processes, this one ends here.

        It leaves its connections to the kernel: taken down in order, gloo's threads may abort
        (signal 6 instead of the code) when the other process has gone meanwhile.
        """
        if self.size == 1:
            return code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


SINGLE = ProcessGroup()


@contextmanager
def reaching_the_others() -> Iterator[Any]:
    """torch.distributed; what goes wrong in it becomes a UserError."""
    import torch.distributed

    try:
        yield torch.distributed
    except RuntimeError as error:
        detail = re.sub(r"^\[\S+\] ", "", str(error).strip()).split("\n")[0].split(". ")[0]
        raise UserError(
            f"another process of this run has ended or cannot be reached ({detail}); "
            "what it said is the reason"
        ) from error


_WAIT = timedelta(hours=12)


_JOINING = timedelta(minutes=10)


_ITS_NAMES = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
}


def is_main_process() -> bool:
    """True if this process would be the main one, without joining the others."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def init_from_launcher() -> ProcessGroup:
    """The processes that the launcher's environment names; SINGLE, without torch, if none."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return SINGLE
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise UserError(
                f"WORLD_SIZE is set and {name} is not; start with torchrun, or unset it"
            )
    for name in ("WORLD_SIZE", "RANK"):
        if not os.environ[name].isdecimal():
            raise UserError(
                f"{name} is {os.environ[name]!r}, not a number; start with torchrun, or unset it"
            )
    import torch
    from torch.distributed.rendezvous import rendezvous

    if torch.cuda.is_available():  # "cuda" is this process's own GPU from here on
        local = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(local % torch.cuda.device_count())
    with reaching_the_others() as distributed:
        store, rank, size = next(rendezvous("env://", timeout=_JOINING))
        distributed.init_process_group(
            "gloo",
            store=distributed.PrefixStore("group", store),
            rank=rank,
            world_size=size,
            timeout=_WAIT,
        )
    return ProcessGroup(rank, size, store)


def lone_environment() -> dict[str, str]:
    """The environment for a program that is no part of the group."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _ITS_NAMES and not name.startswith("TORCHELASTIC_")
    }
