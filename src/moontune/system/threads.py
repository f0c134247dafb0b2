"""How many threads a run computes with: as many as there are processors free for it.

Two programs of two threads each on two processors were seen ten to twenty times slower than with
one each: a thread that waits for another keeps a processor busy, on which that other could work.
Figures depend on the number of threads in their last bits, so a run keeps the one it began with.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

ASKED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # the user's own word
_SAMPLE_S = 0.25
_MOSTLY = 0.3  # of a processor, from which on another's work counts as one
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Threads:
    """Threads to compute with, of so many that there are processors for."""

    count: int
    processors: int

    @property
    def why(self) -> str:
        """A line for the user where it is not all; else nothing."""
        if self.count == self.processors:
            return ""
        busy = self.processors - self.count
        others = "the other is" if busy == 1 else f"{busy} are"
        return (
            f"computing on {self.count} of {self.processors} processors, {others} busy with other "
            "programs (OMP_NUM_THREADS says otherwise)"
        )


def wait_politely() -> None:
    """Let threads that wait give their processor away. To be called before PyTorch is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def free_threads() -> Threads:
    """As many as processors are free, at least one; takes a quarter of a second to look."""
    processors = usable_processors()
    busy = _busy_elsewhere() if processors > 1 else 0.0
    taken = math.floor(busy + 1 - _MOSTLY)
    return Threads(min(max(1, processors - taken), processors), processors)


def usable_processors() -> int:
    """Those that this process may use: a container or a batch system may grant fewer than there
    are."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota(_CGROUP))))


def _quota(cgroup: Path) -> float:
    """Processors' worth of time that the control group grants; infinite where it sets no limit."""
    try:
        granted, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return float(granted) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _busy_elsewhere() -> float:
    """How many processors' worth of work others do now, as far as it stands in this one's way."""
    import psutil

    def spent() -> float:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        niced = getattr(times, "nice", 0.0)  # gives way by itself
        return sum(times) - idle - niced - getattr(times, "guest", 0.0)

    begun, spent_before, own_before = time.perf_counter(), spent(), time.process_time()
    time.sleep(_SAMPLE_S)
    own = time.process_time() - own_before
    return max(0.0, (spent() - spent_before - own) / (time.perf_counter() - begun))
