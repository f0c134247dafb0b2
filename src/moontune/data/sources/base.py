"""What every source hands over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moontune.data.manifest import Dropped, Utterance

# progress(done, wanted, what): sources call it as they go; the command line draws it.
Progress = Callable[[int, int, str], None]


def no_progress(done: int, wanted: int, what: str) -> None:
    """The default progress callback: nothing."""


@dataclass(frozen=True)
class Sample:
    """Utterances of one source, the rows that were unusable, and where they are from."""

    utterances: list[Utterance]
    dropped: list[Dropped] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)  # dataset id, revision, voices, ...
