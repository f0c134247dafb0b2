"""How many processors there are for this process, and how many others leave free.

Figures depend on the number of threads in their last bits, so a run keeps the one it began with.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

THREADS_ASKED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # the user's own word
_SAMPLE_S = 0.25
_LOOKS = 3
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
            "programs (OMP_NUM_THREADS=N asks for N)"
        )


def free_threads() -> Threads:
    """As many as processors are free, at least one. Looks for a quarter of a second; where others
    are at work up to twice more, since what is over in a moment is no reason to compute on fewer to
    the end of a run."""
    processors = usable_processors()
    if processors == 1:
        return Threads(1, 1)
    most = 1
    for _ in range(_LOOKS):
        free = processors_of_the_machine() - _busy_for_a_moment()
        most = max(most, min(processors, math.floor(free + _MOSTLY)))
        if most == processors:
            break
    return Threads(most, processors)


def _busy_for_a_moment() -> float:
    """Nothing where the system does not tell."""
    load = Load()
    time.sleep(_SAMPLE_S)
    try:
        return load.busy_elsewhere()
    except OSError:
        return 0.0


def processors_of_the_machine() -> int:
    """All of them, those of others too."""
    return max(os.cpu_count() or 1, usable_processors())


def usable_processors() -> int:
    """Those that this process may use: a container or a batch system may grant fewer than there
    are."""
    return max(1, math.ceil(granted_processors()))


def granted_processors() -> float:
    """The same, not rounded: a container may grant one and a half."""
    return min(allowed_processors(), _quota(_CGROUP))


def allowed_processors() -> int:
    """Those that the system may put this process's threads on, for however little of their time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(cgroup: Path) -> float:
    """Processors' worth of time that the control group grants; infinite where it sets no limit."""
    return min(
        (_granted(words) for words in (_quota_v2(cgroup), _quota_v1(cgroup)) if words),
        default=math.inf,
    )


def _quota_v2(cgroup: Path) -> list[str]:
    return _words(cgroup / "cpu.max")


def _quota_v1(cgroup: Path) -> list[str]:
    folder = cgroup / "cpu"
    return _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []


def _granted(words: list[str]) -> float:
    """Time granted in each period; `max` (v2) and -1 (v1) are no limit."""
    try:
        granted, period = map(float, words)
        share = granted / period
    except (ValueError, ZeroDivisionError):
        return math.inf
    return share if share > 0 else math.inf


class Load:
    """What others compute on this machine from one look to the next."""

    def __init__(self) -> None:
        self._before = (0.0, 0.0, 0.0)
        with suppress(OSError):
            self._before = self._spent()

    def busy_elsewhere(self) -> float:
        """How many processors' worth of work others did since the last look, as far as it stands in
        this process's way. Raises OSError where the system does not tell."""
        now, of_all, own = spent = self._spent()
        (begun, all_before, own_before), self._before = self._before, spent
        others = (of_all - all_before) - (own - own_before)
        return max(0.0, others / max(now - begun, 1e-9))

    @staticmethod
    def _spent() -> tuple[float, float, float]:
        """The time, and seconds of all processors and of this process so far."""
        import psutil

        try:
            times = psutil.cpu_times()
        except (TypeError, ValueError) as error:  # a container's stand-in for /proc/stat
            raise OSError("the system does not tell what its processors did") from error
        idle = times.idle + getattr(times, "iowait", 0.0)
        niced = getattr(times, "nice", 0.0) if _goes_first() else 0.0  # gives way by itself
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        spent = sum(times) - idle - niced - twice
        return time.perf_counter(), spent, time.process_time()


def _goes_first() -> bool:
    """Whether others that run under `nice` give way to this process; not where it does itself."""
    return not hasattr(os, "nice") or os.nice(0) <= 0
