"""How a stage tells the user what happens."""

from __future__ import annotations

from typing import Any, Protocol


class Ui(Protocol):
    """The command line draws it, tests ignore it."""

    def stage(self, name: str, summary: str, index: int, count: int) -> None: ...
    def progress(self, done: int, wanted: int, what: str) -> None: ...
    def note(self, text: str) -> None: ...
    def training(self, event: dict[str, Any], max_steps: int) -> None: ...
