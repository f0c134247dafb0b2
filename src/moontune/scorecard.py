"""`moontune score`: every figure again from prediction files or runs, pooled. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from moontune.comparison import compare
from moontune.config import OutputConfig
from moontune.errors import UserError
from moontune.predictions import read_predictions


@dataclass(frozen=True)
class ScoreArgs:
    """Compute every figure again from predictions, with intervals. Several are pooled."""

    predictions: tyro.conf.Positional[tuple[Path, ...]]
    """Prediction files (JSONL), or runs' folders: those are scored tuned against base."""
    against: tuple[Path, ...] = ()
    """Prediction files of another model on the same clips, to compare with (the `before`)."""
    seed: int = OutputConfig.seed
    """Seed of the bootstrap."""
    json: Path | None = None
    """Also write all figures to this file."""


@dataclass(frozen=True)
class Scorecard:
    comparison: dict[str, Any]
    names: tuple[str, str] | None  # None: one model, nothing is compared
    remarks: list[str]


def score(args: ScoreArgs) -> Scorecard:
    """Raises UserError."""
    if not args.predictions:
        raise UserError("give predictions or a run: moontune score outputs/NAME")
    runs = [path for path in args.predictions if path.is_dir()]
    if runs and (args.against or len(runs) < len(args.predictions)):
        raise UserError("give runs' folders alone, or prediction files with --against FILES")
    if runs:
        before, after = ([_of(run, which) for run in runs] for which in ("base", "tuned"))
        names = ("base", "tuned")
    else:
        after = list(args.predictions)
        before, names = list(args.against), ("before", "after") if args.against else None
    remarks: list[str] = []
    rows = _pool(after, remarks)
    others = _pool(before, remarks) if names else rows
    return Scorecard(compare(others, rows, args.seed), names, remarks)


def _of(run: Path, which: str) -> Path:
    file = run / f"predictions_{which}.jsonl"
    if not file.is_file():
        raise UserError(f"{run}: holds no {file.name}; give a run that was evaluated")
    return file


def _pool(files: Sequence[Path], remarks: list[str]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for file in files:
        found, differing = read_predictions(file)
        if differing:
            remarks.append(
                f"{file}: {differing} rows hold other edits or normalised texts than computed here"
            )
        for row in found:
            if row["id"] in rows:
                raise UserError(f"{file}: clip {row['id']} was there before; give every clip once")
            rows[row["id"]] = row
    return list(rows.values())
