"""Which device computes and why, and which operators it handed back to the CPU."""

from __future__ import annotations

import ctypes
import platform
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from moontune.errors import UserError
from moontune.system.fast_imports import import_torch

if TYPE_CHECKING:
    import torch


DeviceName = Literal["auto", "cuda", "mps", "cpu"]


@dataclass(frozen=True)
class Device:
    name: str  # "cuda", "mps" or "cpu"
    reason: str
    dtype: str = "float32"  # the one dtype that is safe on all three; on MPS the only one


def choose_device(wanted: str) -> Device:
    """Resolve auto|cuda|mps|cpu. Raises UserError for a device that this machine lacks."""
    if wanted not in get_args(DeviceName):
        raise UserError(f"--device {wanted}: give one of {', '.join(get_args(DeviceName))}")
    torch = import_torch()
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            return Device("cuda", f"found {torch.cuda.get_device_name(0)}")
        if mps:
            return Device("mps", "found Apple's GPU")
        return Device("cpu", "no CUDA or Apple GPU found")
    if wanted == "cuda" and not cuda:
        raise UserError("--device cuda: PyTorch finds no CUDA GPU here; use --device auto or cpu")
    if wanted == "mps" and not mps:
        built = torch.backends.mps.is_built()
        why = "macOS 14 or newer is needed" if built else "this PyTorch is built without it"
        raise UserError(f"--device mps: no Apple GPU ({why}); use --device auto or cpu")
    return Device(wanted, "asked for")


def gpu_in_sight() -> bool:
    """Whether this machine may have a GPU that PyTorch computes on, told without importing it.

    A GPU that is in sight and that PyTorch cannot use after all costs time, no more.
    """
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if Path("/dev/kfd").exists():  # AMD's
        return True
    try:
        driver = ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return (
            driver.cuInit(0) == 0
            and not driver.cuDeviceGetCount(ctypes.byref(count))
            and (count.value > 0)
        )
    except (OSError, AttributeError):
        return False


def training_dtype(device: str, wanted: str) -> str:
    """Resolve auto|float32|bfloat16 for training on a device. Raises UserError."""
    import torch

    if wanted == "bfloat16" and device == "mps":
        raise UserError("--dtype bfloat16: Apple's GPU is used in float32; use --dtype auto")
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device == "cpu":
        able = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.8 has none
        return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
    return "float32"


# What PyTorch says when an operator is missing on MPS and PYTORCH_ENABLE_MPS_FALLBACK is set
# (aten/src/ATen/mps/MPSFallback.mm).
_FALLBACK = re.compile(r"operator '([^']+)'.*MPS.*fall back to run on the CPU", re.DOTALL)


@dataclass
class FallbackWatch:
    """Operators that PyTorch reported running on the CPU instead of MPS, with their counts."""

    operators: Counter[str] = field(default_factory=Counter)

    def note(self, message: str) -> bool:
        match = _FALLBACK.search(message)
        if match:
            self.operators[match.group(1)] += 1
        return match is not None


@contextmanager
def watch_fallbacks() -> Iterator[FallbackWatch]:
    """Collect MPS fallback warnings; every other warning goes where it went before."""
    watch = FallbackWatch()
    show = warnings.showwarning

    def showwarning(message, category, filename, lineno, file=None, line=None):
        if not watch.note(str(message)):
            show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=r"(?s).*fall back to run on the CPU.*")
        warnings.showwarning = showwarning
        yield watch


def missing_operator(error: BaseException) -> str | None:
    """The operator's name if `error` says that MPS lacks it (fallback not enabled), else None."""
    match = re.search(r"operator '([^']+)' is not currently implemented for the MPS", str(error))
    return match.group(1) if match else None


def random_state(device: str) -> dict[str, torch.Tensor]:
    """The state of the generators that PyTorch draws from in this process."""
    import torch

    found = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        found["cuda"] = torch.cuda.get_rng_state()
    elif device.startswith("mps"):
        found["mps"] = torch.mps.get_rng_state()
    return found


def set_random_state(device: str, state: dict[str, torch.Tensor]) -> None:
    """Draw on from a `random_state` of the same kind of device."""
    import torch

    torch.set_rng_state(state["cpu"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state["cuda"])
    elif device.startswith("mps"):
        torch.mps.set_rng_state(state["mps"])
