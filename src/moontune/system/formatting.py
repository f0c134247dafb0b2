"""Text for a terminal: what others wrote made safe, numbers and counts in words."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

_JOINERS = "\u200c\u200d"  # scripts and emoji need them, and they move nothing


def printable(text: str) -> str:
    """One line without control characters and without what hides or reorders text, so that a
    transcript, a name or a path cannot move the cursor, set the clipboard or make a link."""
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """The nearest known word as a question; `otherwise` if none is near."""
    close = difflib.get_close_matches(word, [*known], n=1)
    return f"did you mean {close[0]}?" if close else otherwise


class HangupProofStream:
    """A stream that goes silent, and raises nothing, once the terminal or the program it writes to
    is gone: what is computed goes on, and is saved."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._or_silent(lambda: self._stream.write(text)) or len(text)

    def flush(self) -> None:
        self._or_silent(self._stream.flush)

    def _or_silent(self, work: Any) -> Any:
        try:
            return work()
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE):
                raise
            gone, self._stream = self._stream, open(os.devnull, "w")  # noqa: SIM115
            with suppress(OSError):  # what others print there, and what waits in its buffer
                os.dup2(self._stream.fileno(), gone.fileno())
            return None


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def shortened(text: str, most: int = 60) -> str:
    """A text, cut with an ellipsis where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def why(error: Exception) -> str:
    """What a library or the system says of a failure, without the number and the path that the
    system's own words begin and end with."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def agreeing(n: int, one: str, several: str) -> str:
    """The form of a verb, as in `1 clip is`, `2 clips are`."""
    return one if n == 1 else several


def counted(n: int, noun: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
