"""How a stage tells the user what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

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


class PassingLine:
    """A line on a terminal that what is written next takes the place of; elsewhere nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False

    def say(self, text: str) -> None:
        if self._stream.isatty():
            self.clear()
            # The cursor goes back, so that a line of anybody else's begins at its place.
            self._stream.write(f"{text}\r")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


def starting(stream: TextIO) -> None:
    """Tell on a terminal that a command was heard, before the seconds that its libraries take to
    load. Whatever is written next takes the place of the line."""
    if stream.isatty():
        PassingLine(stream).say("starting ...")


class Pace:
    """About how long the rest of a work takes, by what its parts took so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._took_s = clock, list[float]()

    @contextmanager
    def part(self, whole: bool = True) -> Iterator[None]:
        """One part is done within the block; one that was begun before tells nothing."""
        begun = self._clock()
        yield
        if whole:
            self._took_s.append(self._clock() - begun)

    def left(self, parts: int) -> str | None:
        """How long so many parts take, in words; None before the first was done."""
        if not self._took_s:
            return None
        seconds = parts * sum(self._took_s) / len(self._took_s)
        if seconds < 90:
            return f"about {max(1, round(seconds))} s left"
        if seconds < 5400:
            return f"about {seconds / 60:.0f} min left"
        return f"about {seconds / 3600:.1f} h left"
