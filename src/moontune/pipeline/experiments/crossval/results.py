"""What a fold's run came to, as its files tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moontune.data.manifest import Utterance
from moontune.evaluation.error_rates import evaluated_rate
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.training.summary import TrainingSummary


@dataclass(frozen=True)
class FoldResults:
    """A fold's run, trained and measured."""

    run: RunDir
    training: TrainingSummary
    before: dict[str, Any]  # eval_base.json
    after: dict[str, Any]
    general: tuple[float, float] | None  # errors on general speech, base and tuned


def read_fold(fold: RunDir) -> FoldResults:
    files = [fold / f"general_eval_{which}.json" for which in ("base", "tuned")]
    measured = [evaluated_rate(fold.read(file.name)) for file in files if file.is_file()]
    rates = [rate for rate in measured if rate is not None]
    return FoldResults(
        fold,
        TrainingSummary.from_json(fold.read("train.json")),
        fold.read("eval_base.json"),
        fold.read("eval_tuned.json"),
        (rates[0], rates[1]) if len(rates) == 2 else None,
    )


def tested(fold: FoldResults) -> list[Utterance]:
    return fold.run.utterances("test")
