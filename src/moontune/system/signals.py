"""Ctrl-C and the like while something is computed that can be finished first."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# What a terminal sends on Ctrl-C, a system that shuts down, and a terminal that is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_after_this_update(say: str, echo_s: float = 0.0) -> Iterator[Callable[[], bool]]:
    """Within the block the first signal to stop only makes the yielded function return True, and
    `say` is written to stderr; Ctrl-C after it raises KeyboardInterrupt at once. What was ignored
    before, as nohup has it, still is. A signal that comes within `echo_s` of the first is its echo:
    torchrun passes on what the terminal has sent to its processes already."""
    asked: list[float] = []  # when, and no lock: a handler may be interrupted by itself

    def take(number: int, frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT and time.monotonic() - asked[0] >= echo_s:
            raise KeyboardInterrupt
        if not asked:
            with suppress(OSError):  # the terminal may be what is gone
                os.write(2, f"\n{say}\n".encode())  # printing is not safe here
        asked.append(time.monotonic())

    before = {}
    if threading.current_thread() is threading.main_thread():  # signals are the main thread's
        found = {number: signal.getsignal(number) for number in _SIGNALS}
        before = {
            n: handler for n, handler in found.items() if handler not in (signal.SIG_IGN, None)
        }
        for number in before:
            signal.signal(number, take)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:  # too late to be seen within
        raise KeyboardInterrupt
