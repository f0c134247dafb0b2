"""The value that every source returns: a sample of utterances, and its origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from moontune.data.manifest import Dropped, Utterance


@dataclass(frozen=True)
class DataOrigin:
    """A source of utterances and what asks it for the same ones again; None does not apply."""

    source: str  # "librispeech", "manifest", "synthetic", "silence", or the bundled recordings
    manifest: tuple[str, ...] | None = None  # files, joined in this order
    rows: int | None = None  # of the manifests
    speakers_from: str | None = None  # folders or file names, where no row named one
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
        values = {f.name: row[f.name] for f in fields(cls) if f.name in row}
        files = values.get("manifest")
        if files is not None:  # older runs have one, and no list
            values["manifest"] = (files,) if isinstance(files, str) else tuple(files)
        return cls(**values)

    @property
    def in_words(self) -> dict[str, str]:
        """The same for people to read."""
        rows = self.to_json().items()
        return {
            name.replace("_", " "): " + ".join(value) if isinstance(value, tuple) else str(value)
            for name, value in rows
        }

    def same_corpus(self, other: DataOrigin) -> bool:
        """Whether both are of one corpus, or have a manifest in common."""
        ours, theirs = self.manifest or (), other.manifest or ()
        if ours or theirs:
            return not set(ours).isdisjoint(theirs)
        return (self.source, self.dataset) == (other.source, other.dataset)


@dataclass(frozen=True)
class Sample:
    """Utterances of one source, the rows that were unusable, and where they are from."""

    utterances: list[Utterance]
    dropped: list[Dropped] = field(default_factory=list)
    remark: str | None = None  # on what was done to it that a user should know
    origin: DataOrigin = field(kw_only=True)
