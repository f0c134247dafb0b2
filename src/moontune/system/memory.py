"""Memory of the process: how it is given back, and when there is too little of it."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_PAGEOUT = 21  # MADV_PAGEOUT, Linux 5.4 or newer; an older one refuses, which does no harm


def tune_memory() -> None:
    """Spare a CPU two costs of many tensors of ever new sizes; before the first of them.

    glibc keeps memory that is freed, up to 1 GiB, for the next batch: by default every tensor of
    more than some 100 KiB is taken from the system and given back, and the system clears it each
    time, 10-15 % of an update's time. oneDNN keeps 384 compiled products instead of 1024, which
    would come to 100 MiB and more; a run's shapes are some 330, and with room for many fewer they
    are compiled again and again.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "384")
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # malloc.h; 32 MiB is the most that glibc takes
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_threshold, 32 * 2**20)
    libc.mallopt(trim_threshold, 2**30)


def lay_aside(tensors: Iterable[torch.Tensor]) -> None:
    """Give back the memory of tensors of which little is read for a while, where the system can.
    Measured: 103 MiB of the tiny model while it trains in bfloat16.

    Linux takes their pages out of memory, unless another process has them too; what is read after
    all comes back from the model's file (or from swap; where there is neither, nothing is taken).
    """
    if platform.system() != "Linux":
        return
    libc, page = ctypes.CDLL(None), mmap.PAGESIZE
    for tensor in tensors:
        if tensor.device.type != "cpu":
            continue
        start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        first, last = -(-start // page) * page, end // page * page
        if last > first:
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _PAGEOUT)


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or this machine had no memory left: the kinds that PyTorch raises."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "MPS backend out of memory" in text or "DefaultCPUAllocator: can't allocate" in text
    )
