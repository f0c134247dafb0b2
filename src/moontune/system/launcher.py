"""The launcher's environment: which processes torchrun or accelerate started as one run."""

from __future__ import annotations

import os
from datetime import timedelta

from moontune.errors import UserError
from moontune.system.distributed import SOLO, Group, reaching_the_others

# Longer than the lead alone takes for a stage, such as streaming a corpus. A process that ends
# closes its connections, which the others notice at once; this is for a machine that vanishes.
_WAIT = timedelta(hours=12)
_JOINING = timedelta(minutes=10)
_ITS_NAMES = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
}


def leads() -> bool:
    """Whether this process would be the lead, without joining the others."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def join() -> Group:
    """The processes that the launcher's environment names; SOLO, without torch, if none."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return SOLO
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
    return Group(rank, size, store)


def lone_environment() -> dict[str, str]:
    """The environment for a program that is no part of the group."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _ITS_NAMES and not name.startswith("TORCHELASTIC_")
    }
