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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from moontune.system.fast_imports import import_torch
from moontune.system.threads.processors import (
    THREADS_ASKED,
    Load,
    allowed_processors,
    granted_processors,
    processors_of_the_machine,
    usable_processors,
)

WAITING_ASKED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # the user's own word
_LOOK_EVERY_S = 0.25
_IN_THE_WAY = 0.5  # of a processor, from which on others want one that this process computes on
_QUIET_LOOKS = 4  # after which they are believed to be gone
_COMPUTING: list[int] = []  # threads, the innermost `computing_with` last


def wait_well() -> None:
    """Let threads wait as fits what else is at work. To be called before PyTorch is loaded.

    What the user asks for in the environment comes first. Where PyTorch computes with another
    library, or is granted less time than the processors have that its threads run on, they always
    give their processor away.
    """
    if any(name in os.environ for name in WAITING_ASKED):
        return
    if _threads_asked() == 1:
        return
    if not _computes_with_libgomp() or granted_processors() < allowed_processors():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        return
    if not any(isinstance(thread, _Watch) for thread in threading.enumerate()):
        _Watch().start()


def _computes_with_libgomp() -> bool:
    """Whether the PyTorch that is installed brings GCC's library for threads."""
    if not sys.platform.startswith("linux"):
        return False
    places = [place for f in _torch_folders() for place in (f / "lib", f.with_name("torch.libs"))]
    return any(any(place.glob("libgomp*.so*")) for place in places)


def _torch_folders() -> list[Path]:
    found = importlib.util.find_spec("torch")
    return [Path(place) for place in found.submodule_search_locations or ()] if found else []


def _libgomp() -> Any:
    """What PyTorch calls for its threads, as a library of C; None before it is loaded."""
    import ctypes

    for folder in _torch_folders():
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(folder / "lib" / "libtorch_cpu.so"), os.RTLD_NOLOAD)
            if library.GOMP_parallel and library.omp_get_thread_num:
                return library
    return None


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
        libgomp, quiet = None, 0
        load: Load | None = None
        while not self._over.wait(_LOOK_EVERY_S):
            if load is None:
                if "torch" in sys.modules and (libgomp := _libgomp()) is not None:
                    load = Load()
                continue
            quiet = 0 if _crowded(load) else quiet + 1
            if quiet == 0 and self._crowd is None:
                with suppress(RuntimeError):  # no more threads may be started
                    self._crowd = Crowd(libgomp)
            elif quiet == _QUIET_LOOKS and self._crowd is not None:
                self._crowd.leave()
                self._crowd = None

    def stop(self) -> None:
        self._over.set()
        self.join()
        if self._crowd is not None:
            self._crowd.leave()


class Crowd:
    """More OpenMP threads than there are processors, all asleep, until they `leave`. Raises
    RuntimeError where no more threads may be started."""

    def __init__(self, libgomp: Any) -> None:
        self._libgomp, self._count = libgomp, allowed_processors() + 1
        _start_and_end(self._count)
        self._there, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._stay, name="moontune-crowd", daemon=True)
        self._thread.start()
        self._there.wait()

    def _stay(self) -> None:
        """A team belongs to the thread that began it, and goes with it. PyTorch is not asked for
        one: its number of threads is the whole process's, so that a thread that first computes in
        that moment would keep the crowd's. A function without effect is all that the team does."""
        try:
            self._libgomp.GOMP_parallel(self._libgomp.omp_get_thread_num, None, self._count, 0)
        finally:
            self._there.set()
        self._over.wait()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()


def _start_and_end(count: int) -> None:
    """So many threads at a time: where the system or a container has no room for them (`ulimit -u`,
    `pids.max`), libgomp would end the process, and Python raises RuntimeError."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(count)]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    finally:
        over.set()
        for thread in started:
            thread.join()
