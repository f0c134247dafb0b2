"""The value that every source returns: a sample of utterances, and its origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from moontune.data.manifest import Dropped, Utterance


@dataclass(frozen=True)
class DataOrigin:
    """A source of utterances and what asks it for the same ones again; None does not apply."""

    source: str  # "librispeech", "manifest", "synthetic", "silence", or the bundled recordings
    manifest: str | None = None
    rows: int | None = None  # of the manifest
    engine: str | None = None  # that spoke
    voices: int | None = None
    dataset: str | None = None  # hub id or folder
    split: str | None = None
    asked: int | None = None  # utterances
    seed: int | None = None
    folder: str | None = None  # of the audio that was made
    rows_per_speaker: int | None = None  # at most
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    revision: str | None = None  # commit on the hub
    found: int | None = None  # utterances of those asked for
    speakers: int | None = None
    outside_duration: int | None = None  # rows left out by their length

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> DataOrigin:
        return cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})

    @property
    def corpus(self) -> tuple[str | None, ...]:
        """What is the same for two samples of one corpus."""
        return self.source, self.manifest, self.dataset


@dataclass(frozen=True)
class Sample:
    """Utterances of one source, the rows that were unusable, and where they are from."""

    utterances: list[Utterance]
    dropped: list[Dropped] = field(default_factory=list)
    origin: DataOrigin = field(kw_only=True)
