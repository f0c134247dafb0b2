"""The value that every source returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moontune.data.manifest import Dropped, Utterance


@dataclass(frozen=True)
class Sample:
    """Utterances of one source, the rows that were unusable, and where they are from."""

    utterances: list[Utterance]
    dropped: list[Dropped] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)  # dataset id, revision, voices, ...
