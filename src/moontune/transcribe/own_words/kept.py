"""What a run, or an export of one, keeps for its models: a file of the user's, and a choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import damage_as_user_error, read_json, user_path

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Kept(Generic[Choice]):
    """A file of the user's that is kept with a model, and what was chosen for that."""

    file: Path
    of: str  # run or export
    chosen: Choice | None  # None: nothing was measured with it yet


@dataclass(frozen=True)
class Exported(Generic[Choice]):
    """The names of both in an export's folder, the choices of base and tuned model in one."""

    file: str
    choices: str
    choice: Callable[[dict[str, Any]], Choice]  # from JSON

    def kept(self, model: str, which: str) -> Kept[Choice] | None:
        """Of an exported model; None where it is none, or has none. Raises UserError."""
        export = user_path(model).parent
        file, choices = export / self.file, export / self.choices
        if not ((export / "export.json").is_file() and file.is_file() and choices.is_file()):
            return None
        remedy = "export the run again with --overwrite"
        with damage_as_user_error(choices, remedy):
            return Kept(file, "export", self.choice(read_json(choices, remedy)[which]))


def run_of(model: str) -> RunDir | None:
    """The run that a model is; None of any other."""
    run = RunDir(user_path(model))
    return run if (run / "run.json").is_file() else None
