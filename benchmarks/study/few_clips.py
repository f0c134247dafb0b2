"""Thorough decoding after a training on few clips, beside the base by the same decoding.

    uv run python -m benchmarks.study.few_clips outputs/CROSSVAL STUDY --clips 25 50 100 200

The folds of a finished cross-validation are trained again on some of their clips, and their test
clips transcribed greedily and thoroughly; what is done is not done again. Prints Markdown: WER of
the base and of the trained adapters, with the change and its 95 % interval over speakers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.study.seeds import trained
from benchmarks.study.study import keep_some
from moontune.cli.console import ConsoleUi
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
from moontune.system.formatting import percent


@dataclass(frozen=True)
class Args:
    """Thorough decoding after a training on few clips."""

    crossval: tyro.conf.Positional[Path]
    """A finished cross-validation."""
    study: tyro.conf.Positional[Path]
    """Folder of what is made."""
    clips: tuple[int, ...] = (25, 50, 100, 200)
    """Clips to train and validate on, of each fold."""
    folds: tuple[int, ...] = ()
    """Folds to use, from 1. Default: all."""


def rows_of(fold: RunDir, adapter: Path | None, file: Path) -> list[PredictionRow]:
    """The fold's test clips, by the base or an adapter."""
    if not file.is_file():
        config = fold.config()
        base = load_base(config.model.model_id, config.model.revision, "cpu")
        if adapter is not None:
            load_adapter(base, adapter)
        clips, cap = read_run_manifest(fold.manifest("test")), config.eval.token_cap
        done = evaluate(base, clips, load_audio, cap=cap, decoding="thorough")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(file, [p.row() for p in done.predictions])
    return list(run_predictions(file))


def line(name: str, base: list[PredictionRow], tuned: list[PredictionRow]) -> str:
    """A row of the table."""
    found, cells = compare(base, tuned, 42).measures, [name]
    for measure in ("wer", "wer_consensus"):
        m = found[measure]
        cells += [percent(m.before), percent(m.after)]
        cells.append(show_interval(measure, m.difference_interval))
    return f"| {' | '.join(cells)} |"


def main(args: Args) -> None:
    folds = [RunDir(args.crossval / f"fold-{i}") for i in args.folds]
    folds = folds or [RunDir(f) for f in sorted(args.crossval.glob("fold-*"))]
    base = [row for f in folds for row in rows_of(f, None, args.study / f.path.name / "base.jsonl")]
    print("| clips | greedy: base | tuned | 95 %, points | thorough: base | tuned | 95 %, points |")
    print("|---|---|---|---|---|---|---|")
    for clips in args.clips:
        tuned: list[PredictionRow] = []
        for fold in folds:
            seed, place = fold.config().output.seed, args.study / fold.path.name / f"clips-{clips}"

            def some(run: RunDir, clips: int = clips, seed: int = seed) -> None:
                keep_some(run, clips, seed)

            run = trained(fold, place, seed, ConsoleUi(), some)
            tuned += rows_of(fold, run.adapter, place / "thorough.jsonl")
        print(line(str(clips), base, tuned), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
