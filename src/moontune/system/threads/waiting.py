"""Threads that wait for one another spin where nothing else is at work, and give their processor
away where something is.

PyTorch's threads meet thousands of times in an update. A thread that spins at such a meeting is
there at once, but keeps a processor busy on which another program, or the very thread it waits for,
could work: two programs of two threads each on two processors took 21 seconds for an update of 0.3.
A thread that sleeps is in nobody's way, but to wake it takes long where the system puts an idle
processor to sleep: on a virtual machine an update takes two to four times as long, longer than on
one thread (`docs/performance.md`).

So they spin, and a watch looks every quarter of a second whether others are at work. There is no
call for that, but a rule of GCC's libgomp, which PyTorch computes with on Linux: threads spin for
300,000 turns, and for 100 while there are more OpenMP threads than processors (GCC's manual,
GOMP_SPINCOUNT). One more team of threads, asleep, is enough for that, at once and in the middle of
an update. The number of threads that compute stays the same, and with it every bit of the result.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moontune.system.fast_imports import import_torch
from moontune.system.threads.processors import (
    THREADS_ASKED,
    Load,
    granted_processors,
    processors_of_the_machine,
    usable_processors,
)

WAITING_ASKED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # the user's own word
_LOOK_EVERY_S = 0.25
_IN_THE_WAY = 0.5  # of a processor, from which on others want one that this process computes on
_QUIET_LOOKS = 4  # after which they are believed to be gone
_GRAIN = 32_768  # numbers of which PyTorch gives a thread its part
_COMPUTING: list[int] = []  # threads, the innermost `computing_with` last


def wait_well() -> None:
    """Let threads wait as fits what else is at work. To be called before PyTorch is loaded.

    What the user asks for in the environment comes first. Where PyTorch computes with another
    library, or has no whole processors to itself, they always give their processor away.
    """
    if any(name in os.environ for name in WAITING_ASKED):
        return
    if _threads_asked() == 1:
        return
    if not _computes_with_libgomp() or granted_processors() != usable_processors():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        return
    _Watch().start()


def _computes_with_libgomp() -> bool:
    """Whether the PyTorch that is installed brings GCC's library for threads."""
    found = importlib.util.find_spec("torch")
    if found is None or not sys.platform.startswith("linux"):
        return False
    folders = [Path(place) for place in found.submodule_search_locations or ()]
    places = [place for f in folders for place in (f / "lib", f.with_name("torch.libs"))]
    return any(any(place.glob("libgomp*.so*")) for place in places)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Within it PyTorch computes with so many threads."""
    torch = import_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    _COMPUTING.append(threads)
    try:
        yield
    finally:
        _COMPUTING.pop()
        torch.set_num_threads(before)


def in_the_way(busy_elsewhere: float) -> bool:
    """Whether others want a processor that this process computes on."""
    threads = _COMPUTING[-1] if _COMPUTING else _threads_asked() or usable_processors()
    return busy_elsewhere > processors_of_the_machine() - threads + _IN_THE_WAY


def _crowded(load: Load) -> bool:
    """Where the system does not tell what others do, they may be at work."""
    try:
        return in_the_way(load.busy_elsewhere())
    except OSError:
        return True


def _threads_asked() -> int:
    """In the environment; 0 where nothing is, or no number."""
    said = (os.environ.get(name, "") for name in THREADS_ASKED)
    return next((int(words) for words in said if words.isdecimal()), 0)


class _Watch(threading.Thread):
    """Makes this process's threads give way while others are at work."""

    def __init__(self) -> None:
        super().__init__(name="moontune-watch", daemon=True)
        self._over = threading.Event()
        self._crowd: Crowd | None = None

    def run(self) -> None:
        atexit.register(self.stop)
        load, quiet = None, 0
        while not self._over.wait(_LOOK_EVERY_S):
            if load is None:
                load = Load() if "torch" in sys.modules else None
                continue
            quiet = 0 if _crowded(load) else quiet + 1
            if quiet == 0 and self._crowd is None:
                self._crowd = Crowd()
            elif quiet == _QUIET_LOOKS and self._crowd is not None:
                self._crowd.leave()
                self._crowd = None

    def stop(self) -> None:
        self._over.set()
        self.join()
        if self._crowd is not None:
            self._crowd.leave()


class Crowd:
    """More OpenMP threads than there are processors, all asleep, until they `leave`."""

    def __init__(self) -> None:
        self._there, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._stay, name="moontune-crowd", daemon=True)
        self._thread.start()
        self._there.wait()

    def _stay(self) -> None:
        """A team belongs to the thread that began it, and goes with it."""
        try:
            import torch

            own, count = torch.get_num_threads(), len(os.sched_getaffinity(0)) + 1
            torch.set_num_threads(count)
            torch.ones(count * _GRAIN).add_(1.0)
            torch.set_num_threads(own)
        finally:
            self._there.set()
        self._over.wait()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()
