"""One trial of a sweep: the settings that were tried and how its training went.

`trial.json` in the trial's folder holds it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from moontune.config.loading import retired
from moontune.errors import UserError
from moontune.pipeline.run_folder.run_dir import RunDir

# finished: its training came to an end. pruned: given up early. aborted: its numbers ran away.
State = Literal["finished", "pruned", "aborted"]


@dataclass(frozen=True)
class Trial:
    """A trial that was done. Losses are nats per target token, of the validation split."""

    number: int  # 0 has the run's own settings
    values: dict[str, Any]  # by setting
    state: State
    best_val_loss: float
    best_step: int
    updates: int  # planned
    validations: dict[int, float]  # loss by update

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Trial:
        values: dict[str, Any] = dict(row)
        values["validations"] = {int(step): loss for step, loss in row["validations"].items()}
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def trial_folder(run: RunDir, number: int) -> Path:
    return run / f"trial-{number}"


def recorded_trial(folder: Path) -> Trial | None:
    """The trial of a folder; None if it is not done.

    Raises UserError if it no longer describes the adapter beside it.
    """
    run = RunDir(folder)
    if not (run / "trial.json").is_file():
        return None
    trial = Trial.from_json(run.read("trial.json"))
    for sentence in retired(trial.values).values():
        raise UserError(f"{folder}: {sentence.partition(';')[0]}; start another sweep")
    if trial.state == "finished":
        trained = run.read("train.json")["best_val_loss"] if "train" in run.stages() else None
        if trained != trial.best_val_loss:
            raise UserError(
                f"{folder}: was trained again since the sweep; delete {run / 'trial.json'} to have "
                "the sweep do this trial over"
            )
    return trial


def best_of(trials: list[Trial]) -> Trial:
    """The trial with the lowest validation loss, of those that came to their end."""
    finished = [t for t in trials if t.state == "finished"]
    return min(finished, key=lambda t: (t.best_val_loss, t.number))


def described(values: dict[str, Any]) -> str:
    """A trial's settings in words."""
    parts = (f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
    return ", ".join(parts)
