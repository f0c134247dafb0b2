"""Ctrl-C and the like while something is computed that can be finished first. No torch here."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# What a terminal sends on Ctrl-C, a system that shuts down, and a terminal that is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def finishing_first(say: str) -> Iterator[Callable[[], bool]]:
    """Within the block the first signal to stop only makes the yielded function return True, and
    `say` is written to stderr; the second raises KeyboardInterrupt at once. What was ignored before,
    as nohup has it, still is."""
    asked = threading.Event()

    def take(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, f"\n{say}\n".encode())  # printing is not safe here

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # signals are the main thread's
        return
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, take) for number in heeded}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked.is_set():  # too late to be seen within
        raise KeyboardInterrupt
