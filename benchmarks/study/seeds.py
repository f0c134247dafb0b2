"""Several seeds of the trainings of a cross-validation, and the mean of their adapters.

    uv run python -m benchmarks.study.seeds outputs/CROSSVAL STUDY --seeds 43 44

Every fold is trained again with each seed, on the labels and splits that it has; what is done is
not done again. Prints Markdown: WER of all folds' test clips by greedy decoding and by consensus,
with the change to the base and its 95 % interval over speakers, for every seed, for all together,
and for adapters that are the mean of all seeds' (`means.py`).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from benchmarks.study.means import mean_adapter
from moontune.cli.console import ConsoleUi
from moontune.data.manifest import Utterance, read_manifest, read_run_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.evaluate import evaluate
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, run_predictions
from moontune.models.adapter import load_adapter, save_adapter
from moontune.models.base_model import load_base
from moontune.models.transcriber import load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.train import train_stage
from moontune.system.files import write_jsonl
from moontune.system.formatting import percent

GENERAL = 100
MEASURED = {"test": "predictions.jsonl", "general": "predictions_general.jsonl"}


@dataclass(frozen=True)
class Args:
    """Several seeds, and the mean of them."""

    crossval: tyro.conf.Positional[Path]
    """A finished cross-validation, itself one of the seeds."""
    study: tyro.conf.Positional[Path]
    """Folder of what is made."""
    seeds: tuple[int, ...] = (43, 44)
    """Seeds of the other trainings."""
    general: Path | None = None
    """Manifest of general speech, of which a hundred clips are measured too."""


def trained(
    fold: RunDir,
    place: Path,
    seed: int,
    ui: ConsoleUi,
    change: Callable[[RunDir], None] = lambda run: None,
) -> RunDir:
    """The fold, trained with another seed, or after a change to its files."""
    run = RunDir(place)
    if "train" in (run.stages() if place.exists() else {}):
        return run
    shutil.rmtree(place, ignore_errors=True)
    left_out = shutil.ignore_patterns("lora_adapter", "*tuned*", "train.json", "train_log.jsonl")
    shutil.copytree(fold.path, place, ignore=left_out)
    run.forget_stages([name for name in run.stages() if name in ("train", "evaluate")])
    config = run.config()
    config = replace(config, output=replace(config.output, seed=seed))
    run.save_config(config)
    change(run)
    run.finish_stage("train", train_stage(run, config, ui))
    return run


def measured(fold: RunDir, adapter: Path | None, place: Path, general: list[Utterance]) -> None:
    """Transcripts of the fold's test clips and of general speech, by the base or an adapter."""
    place.mkdir(parents=True, exist_ok=True)
    config = fold.config()
    clips = {"test": read_run_manifest(fold.manifest("test")), "general": general}
    for name, file in MEASURED.items():
        if (place / file).is_file() or not clips[name]:
            continue
        base = load_base(config.model.model_id, config.model.revision, "cpu")
        if adapter is not None:
            load_adapter(base, adapter)
        decoding = "consensus" if name == "test" else "greedy"
        done = evaluate(base, clips[name], load_audio, cap=config.eval.token_cap, decoding=decoding)
        write_jsonl(place / file, [p.row() for p in done.predictions])


def averaged(fold: RunDir, adapters: Sequence[Path], place: Path) -> Path:
    """The mean of the adapters, as a folder."""
    if not place.exists():
        config = fold.config()
        bases = [load_base(config.model.model_id, config.model.revision, "cpu") for _ in adapters]
        models = [load_adapter(base, at) for base, at in zip(bases, adapters, strict=True)]
        weights = [{n: p for n, p in m.named_parameters() if "lora_" in n} for m in models]
        mean = mean_adapter([{n: p.detach() for n, p in w.items()} for w in weights])
        for name, p in weights[0].items():
            p.data.copy_(mean[name])
        place.parent.mkdir(parents=True, exist_ok=True)
        save_adapter(models[0], bases[0], place)
    return place


def rows(places: Sequence[Path], which: str) -> list[PredictionRow]:
    """Transcripts of several measurements, told apart by where they are from."""
    return [
        {**row, "id": f"{i} {row['id']}"}
        for i, place in enumerate(places)
        for row in run_predictions(place / MEASURED[which])
    ]


def line(name: str, base: Sequence[Path], places: Sequence[Path]) -> str:
    """A row of the table."""
    times = len(places) // len(base)
    found = compare(rows([*base] * times, "test"), rows(places, "test"), 42)
    cells = [name]
    for measure in ("wer", "wer_consensus"):
        m = found.measures[measure]
        interval = show_interval(measure, m.difference_interval)
        cells += [percent(m.before), percent(m.after), interval]
    forgotten = "not measured"
    if (base[0] / MEASURED["general"]).is_file():
        general = compare(rows([*base] * times, "general"), rows(places, "general"), 42)
        wer = general.measures["wer"]
        forgotten = f"{percent(wer.before)} -> {percent(wer.after)}"
    cells += [forgotten, str(found.looped.after)]
    return f"| {' | '.join(cells)} |"


def main(args: Args) -> None:
    folds = [RunDir(f) for f in sorted(args.crossval.glob("fold-*"))]
    general = read_manifest(args.general)[0] if args.general else []
    general = random.Random(1).sample(general, min(GENERAL, len(general)))
    own = folds[0].config().output.seed
    base: list[Path] = []
    by_seed: dict[int, list[Path]] = {seed: [] for seed in (own, *args.seeds)}
    means: list[Path] = []
    for fold in folds:
        name = fold.path.name
        base.append(args.study / "base" / name)
        measured(fold, None, base[-1], general)
        adapters = []
        for seed, places in by_seed.items():
            place = args.study / f"seed-{seed}" / name
            run = fold if seed == own else trained(fold, place / "run", seed, ConsoleUi())
            adapters.append(run.adapter)
            places.append(place)
            measured(fold, run.adapter, place, general)
        means.append(args.study / "mean" / name)
        measured(fold, averaged(fold, adapters, means[-1] / "lora_adapter"), means[-1], general)
    print("| adapter | greedy: base | tuned | 95 % | consensus: base | tuned | 95 % ", end="")
    print(f"| other speech | loops |\n{'|---' * 9}|")
    for seed, places in by_seed.items():
        print(line(f"seed {seed}", base, places))
    print(line("all seeds", base, [place for places in by_seed.values() for place in places]))
    print(line("mean of the seeds", base, means))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
