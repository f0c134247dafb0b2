"""General speech as the base and all folds' adapters transcribe it, as one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from moontune.evaluation.comparison import compare
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import PredictionRow
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.verdict import general_row, has_general
from moontune.report.results.metrics import GeneralSpeech


def general_of_folds(folds: Sequence[RunDir], seed: int) -> GeneralSpeech | None:
    """Base and the folds' adapters on the same general speech; None where it was not measured."""
    measured = [fold for fold in folds if has_general(fold)]
    if not measured:
        return None
    before, after = (
        [fold.predictions(which, "general_") for fold in measured] for which in ("base", "tuned")
    )
    row = general_row(folds[0].stages(), compare_over_folds(before, after, seed))
    return GeneralSpeech.from_json(row)


def compare_over_folds(
    before: Sequence[Sequence[PredictionRow]], after: Sequence[Sequence[PredictionRow]], seed: int
) -> Comparison:
    """Predictions of the folds on the same clips as one comparison. A clip is resampled with what
    all folds made of it: three adapters on 12 clips are no 36 clips."""
    written = compare(_apart(before), _apart(after), seed)
    found = compare(_summed(before), _summed(after), seed)
    return replace(
        found,
        words=found.words // len(before),
        truncated=written.truncated,
        words_fixed=written.words_fixed,
        words_broken=written.words_broken,
        style=written.style,
        collapsed=written.collapsed,
        looped=written.looped,
    )


def _apart(folds: Sequence[Sequence[PredictionRow]]) -> list[PredictionRow]:
    """The rows of all folds, each under an id of its own."""
    rows: list[PredictionRow] = []
    for n, fold in enumerate(folds):
        for row in fold:
            one: PredictionRow = {**row, "id": f"{n} {row['id']}"}
            rows.append(one)
    return rows


def _summed(folds: Sequence[Sequence[PredictionRow]]) -> list[PredictionRow]:
    """A row a clip, whose counts and losses are the sums over the folds."""
    clips: dict[str, Any] = {}
    for row in (row for fold in folds for row in fold):
        known = clips.get(row["id"])
        if known is None:
            clips[row["id"]] = {k: v for k, v in row.items() if k != "consensus"}
            continue
        for name in ("edits", "characters"):
            known[name] = {k: n + row[name][k] for k, n in known[name].items()}
        for name in ("loss", "loss_words", "target_tokens"):
            if name in known:
                known[name] += row[name]
    return list(clips.values())
