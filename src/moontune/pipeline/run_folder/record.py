"""The record of a run, `run.json`: what made it, which stages are done."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from moontune.pipeline.run_folder.environment import versions_here
from moontune.pipeline.run_folder.lock import exclusive_file
from moontune.pipeline.run_folder.log import RunLog
from moontune.system.files import read_json, write_json

KINDS = {
    "run": "a single run",
    "crossval": "a cross-validation",
    "sweep": "a sweep",
    "final": "an adapter trained on all clips, none held out",
}


@dataclass(frozen=True)
class RunRecord:
    """A run's folder with its record. Every file is written whole; the record has the finished
    stages."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def record(self) -> dict[str, Any]:
        return read_json(self.path / "run.json", "start over, with --overwrite")

    def note(self, **facts: Any) -> None:
        """Add to the run's record."""
        with self._changed() as record:
            record |= facts

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        """The record, to be changed; it is written at the end. Processes that work on the same run
        wait for each other."""
        with exclusive_file(self.path / "run.json"):
            record = self.record()
            yield record
            write_json(self.path / "run.json", record)

    @property
    def kind(self) -> str:
        """One of KINDS, which is also the verb that goes on with it."""
        record = self.record()
        if "kind" in record:
            return record["kind"]
        # older runs do not say it
        return "crossval" if "asked_folds" in record else "sweep" if "sweep" in record else "run"

    @property
    def whole(self) -> Self:
        """The cross-validation or search that it is part of; itself where it is none."""
        parent = self.path.parent
        return type(self)(parent) if (parent / "run.json").is_file() else self

    @property
    def threads(self) -> int | None:
        """How many the run, or the whole that it is part of, began to compute with."""
        count = self.whole.record().get("threads")
        return None if count is None else int(count)

    def commands(self) -> list[list[str]]:
        return self.record()["environment"]["commands"]

    def add_command(self, command: list[str]) -> None:
        with self._changed() as record:
            record["environment"]["commands"].append(command)
        self.log_command(command)

    def log_command(self, command: list[str]) -> None:
        """Where the following lines of the log are from."""
        versions = ", ".join(f"{k} {v}" for k, v in versions_here().items())
        RunLog(self.path)(f"$ moontune {shlex.join(command)}\n{versions}")

    def stages(self) -> dict[str, dict[str, Any]]:
        return self.record()["stages"]

    def finish_stage(self, name: str, facts: dict[str, Any], *, completes: bool = False) -> None:
        """Note a stage as done; in the same writing, if it is the last, that the run is complete:
        of a run killed between two no stage would be left to complete it."""
        with self._changed() as record:
            record["stages"][name] = facts
            record["complete"] = completes or record["complete"]

    def forget_stages(self, names: list[str]) -> None:
        with self._changed() as record:
            for name in names:
                record["stages"].pop(name, None)
            record["complete"] = False

    def mark_complete(self) -> None:
        """The last thing a run writes."""
        self.note(complete=True)
