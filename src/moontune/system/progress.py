"""How a stage tells the user what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

# progress(done, wanted, what): sources call it as they go; the command line draws it.
Progress = Callable[[int, int, str], None]


def no_progress(done: int, wanted: int, what: str) -> None:
    """The default progress callback: nothing."""


class Ui(Protocol):
    """The command line draws it, tests ignore it."""

    def stage(self, name: str, summary: str, index: int, count: int) -> None: ...
    def progress(self, done: int, wanted: int, what: str) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def alarm(self, text: str) -> None: ...  # the run goes on, but is likely not what was meant
    def training(self, event: dict[str, Any], max_steps: int) -> None: ...
