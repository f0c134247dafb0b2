"""What a study's adapters forgot, on every clip of the other set instead of a hundred.

    uv run python -m benchmarks.study.study STUDY --seeds 42 43 44
    uv run python -m benchmarks.study.forgetting STUDY

Those that were measured are not measured again. The table pools folds and seeds of a setting;
intervals are by speaker, of the tuned model against the base.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.study.study import SETS, place, rows_of
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.evaluate import evaluate
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, run_predictions
from moontune.models.adapter import load_adapter
from moontune.models.base_model import load_base
from moontune.models.transcriber import load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import write_jsonl


@dataclass(frozen=True)
class Args:
    """What a study's adapters forgot, on every clip of the other set."""

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    set: str = "accented_english"
    """Set of recordings that they were trained on."""


def folds(study: Path, name: str) -> list[RunDir]:
    """The folds of a set as they were first made."""
    return [RunDir(f) for f in sorted((study / name / "default").glob("fold-*"))]


def measure(run: RunDir, others: list[RunDir]) -> None:
    file = run / "whole_predictions_tuned.jsonl"
    if file.is_file():
        return
    config = run.config()
    base = load_base(config.model.model_id, None, "cpu")
    load_adapter(base, run.adapter)
    clips = [u for other in others for u in read_run_manifest(other.manifest("test"))]
    done = evaluate(base, clips, load_audio, cap=config.eval.token_cap)
    write_jsonl(file, [p.row() for p in done.predictions])


def main(args: Args) -> None:
    others = folds(args.study, SETS[args.set])
    base = [row for other in others for row in run_predictions(other / "predictions_base.jsonl")]
    settings: dict[str, list[RunDir]] = {}
    for record in sorted((args.study / args.set).glob("*/fold-*/run.json")):
        run = RunDir(record.parent)
        if "evaluate" in run.stages():
            measure(run, others)
            settings.setdefault(run.path.parent.name.split("@")[0], []).append(run)
    print(f"| setting | runs | clips | WER of the base | WER | change | 95 % |\n{'|---' * 7}|")
    for setting, runs in settings.items():
        before: list[PredictionRow] = [
            {**row, "id": f"{place(run)} {row['id']}"} for run in runs for row in base
        ]
        wer = compare(before, rows_of(runs, "tuned", "whole_"), 42).to_json()["measures"]["wer"]
        print(
            f"| {setting} | {len(runs)} | {len(base)} | {100 * wer['before']:.2f} "
            f"| {100 * wer['after']:.2f} | {100 * wer['difference']:+.2f} "
            f"| {show_interval('wer', wer['difference_interval'])} |"
        )


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
