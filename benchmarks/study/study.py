"""A study of settings on folds of the shared recordings: train, test, and say how sure it is.

    uv run python -m benchmarks.study.study STUDY                            # the defaults alone
    uv run python -m benchmarks.study.study STUDY --settings lr=1e-4 lora_r=16,lr=5e-4 --seeds 42 43
    uv run python -m benchmarks.study.study STUDY --table        # what is there, as Markdown

A setting is `key=value` pairs as in a configuration file, separated by commas, the items of a list
by `+`; `default` is none. `clips=N` trains and validates on N clips of what there is, `trim=WER`
on those on which the base has less, and `cross=0` leaves cross-attention as it is. Each is trained
and tested on the same folds, disjoint by speaker, which `moontune crossval` made (in
STUDY/SET/default); what is done is not done again. The other set's clips are the general speech on
which forgetting shows. The table pools folds and seeds; intervals are by speaker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tyro

from benchmarks.paths import SHARED, default_model
from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main as moontune
from moontune.config.loading import with_settings
from moontune.config.schema import LoraConfig
from moontune.config.validation import resolve
from moontune.data.manifest import read_run_manifest, write_manifest
from moontune.data.splitting import SPLITS
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, run_predictions
from moontune.models import adapter
from moontune.pipeline.run_folder.creating import fork_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import stage_named

SETS = {"accented_english": "adventure_game", "adventure_game": "accented_english"}


@dataclass(frozen=True)
class Args:
    """A study of settings on folds of the shared recordings."""

    study: tyro.conf.Positional[Path]
    """Folder of the study; one that is there is gone on with."""
    settings: tuple[str, ...] = ("default",)
    """Settings to try, each `key=value[,key=value]`."""
    sets: tuple[str, ...] = tuple(SETS)
    """Sets of recordings."""
    folds: tuple[int, ...] = ()
    """Folds to use, from 1. Default: all."""
    of: int = 3
    """Folds to make."""
    seeds: tuple[int, ...] = (42,)
    """Seeds of the adapter's start, the order and the dropout."""
    model_id: str = default_model()
    """The base."""
    table: bool = False
    """Compute nothing, print what is there."""
    against: str = "default"
    """The setting to compare the others with."""


def prepare(args: Args, name: str) -> RunDir:
    """The set's folds, labelled, with the base and the defaults measured on them."""
    run = args.study / name / "default"
    if (run / "crossval.json").is_file():
        return RunDir(run)
    words: list[Any] = ["--manifest", SHARED / "data" / name / "manifest.jsonl"]
    words += ["--model-id", args.model_id, "--folds", args.of]
    words += ["--general-manifest", SHARED / "data" / SETS[name] / "manifest.jsonl"]
    words += ["--output-dir", run.parent, "--run-name", run.name]
    words += ["--report-file", args.study / "report.md"]
    again = ["--resume"] if (run / "run.json").is_file() else []
    if moontune(["crossval", *again, *map(str, words)]):
        raise SystemExit(1)
    return RunDir(run)


def fold_of(args: Args, name: str, setting: str, seed: int, fold: int) -> RunDir:
    if setting == "default" and seed == 42:
        return RunDir(args.study / name / "default" / f"fold-{fold}")
    return RunDir(args.study / name / f"{setting.replace('/', '_')}@{seed}" / f"fold-{fold}")


def do(args: Args, name: str, setting: str, seed: int, fold: int) -> None:
    """Train and test one setting on one fold, unless that is done."""
    made = fold_of(args, name, "default", 42, fold)
    run = fold_of(args, name, setting, seed, fold)
    if (run / "run.json").is_file() and "evaluate" in run.stages():
        return
    given, only = parsed(setting)
    config = with_settings(made.config(), given, setting)
    config = resolve(replace(config, output=replace(config.output, seed=seed)))
    stages = ["sample", "clean", "split", "labels", "baseline"]
    fork_run(made, run.path, config, stages)
    if "clips" in only:
        keep_some(run, int(only["clips"]), seed)
    if "trim" in only:
        keep_plausible(run, float(only["trim"]))
    if config.general.replay_share:
        replay_others(args, name, run)
    ui = ConsoleUi()
    stages = ["train", "evaluate"] if config.labels == made.config().labels else ["labels"]
    if stages == ["labels"]:
        stages = ["labels", "baseline", "train", "evaluate"]
    for stage in stages:
        ui.stage(f"{name} {setting}@{seed} fold {fold}: {stage}", "", 1, 1)
        with mock.patch.object(
            adapter, "_target_pattern", partial(pattern, cross=only.get("cross"))
        ):
            run_stage(run, config, stage_named(stage), ui)
    ui.close()


def parsed(setting: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A setting's keys and values, and apart from them those that only this study has."""
    pairs = dict(pair.split("=", 1) for pair in setting.split(",") if setting != "default")
    only = {k: pairs.pop(k) for k in ("clips", "trim", "cross") if k in pairs}
    return {k: v.split("+") if "+" in v else v for k, v in pairs.items()}, only


def keep_some(run: RunDir, clips: int, seed: int) -> None:
    """Leave `clips` clips to train and validate on, drawn from both as they are; a smaller number
    keeps a part of what a larger one keeps."""
    parts = {name: read_run_manifest(run.manifest(name)) for name in ("train", "val")}
    total = sum(map(len, parts.values()))
    rng = np.random.default_rng(seed)
    for name, rows in parts.items():
        order = rng.permutation(len(rows))
        kept = sorted(order[: max(1, round(clips * len(rows) / total))])
        write_manifest(run.manifest(name), [rows[i] for i in kept])


def keep_plausible(run: RunDir, most: float) -> None:
    """Leave out clips to train and validate on on which the base has so high a WER, of those that
    it transcribed for their style."""
    written = run.read("base_transcripts.json")
    for name in ("train", "val"):
        rows = read_run_manifest(run.manifest(name))
        edits = [word_edits(u.text, written.get(u.id, u.text)) for u in rows]
        wers = [corpus_wer([e]) for e in edits]
        kept = [u for u, wer in zip(rows, wers, strict=True) if wer is not None and wer < most]
        write_manifest(run.manifest(name), kept)


TARGET_PATTERN = adapter._target_pattern


def pattern(config: LoraConfig, cross: str | None) -> str:
    """Layers to adapt; cross-attention is not if `cross` is 0."""
    return ("(?!.*encoder_attn)" if cross == "0" else "") + TARGET_PATTERN(config)


def replay_others(args: Args, name: str, run: RunDir) -> None:
    """Replay what the other set has beyond the clips on which forgetting is measured: other clips,
    but of the same speakers, so that forgetting looks smaller than with other speech."""
    other = fold_of(args, SETS[name], "default", 42, 1)
    rows = [u for part in SPLITS for u in read_run_manifest(other.manifest(part))]
    measured = {u.id for u in read_run_manifest(run.manifest("general"))}
    write_manifest(run.manifest("replay"), [u for u in rows if u.id not in measured])


def rows_of(runs: list[RunDir], which: str, prefix: str = "") -> list[PredictionRow]:
    """Prediction rows of several runs of one setting, each clip under the id of its place too."""
    return [
        {**row, "id": f"{place(run)} {row['id']}"}
        for run in runs
        for row in run_predictions(run / f"{prefix}predictions_{which}.jsonl")
    ]


def place(run: RunDir) -> tuple[int, str]:
    """Seed and fold, by which runs of two settings are paired."""
    return run.config().output.seed, run.path.name


def table(study: Path, against: str) -> None:
    head = f"setting | runs | WER base | WER | change | 95 % | to {against} | 95 % |"
    head += " loss of words | to it | 95 % | general WER | kept update | s"
    for name in SETS:
        settings: dict[str, list[RunDir]] = {}
        for record in sorted((study / name).glob("*/fold-*/run.json")):
            run = RunDir(record.parent)
            if "evaluate" in run.stages():
                setting = run.path.parent.name.split("@")[0]
                settings.setdefault(setting, []).append(run)
        print(f"\n### {name}\n\n| {head} |\n|{'---|' * 14}")
        others = {place(run): run for run in settings.get(against, ())}
        for setting, runs in settings.items():
            c = compare(rows_of(runs, "base"), rows_of(runs, "tuned"), 42).to_json()["measures"]
            beside = [""] * 4
            both = [run for run in runs if place(run) in others]
            if setting != against and both:
                theirs = rows_of([others[place(run)] for run in both], "tuned")
                d = compare(theirs, rows_of(both, "tuned"), 42).to_json()["measures"]
                beside = [f"{100 * d['wer']['difference']:+.2f} ({len(both)} runs)"]
                beside += [show_interval("wer", d["wer"]["difference_interval"])]
                beside += [f"{d['loss_words']['difference']:+.3f}"]
                beside += [show_interval("loss_words", d["loss_words"]["difference_interval"])]
            trainings = [run.read("train.json") for run in runs]
            kept = ", ".join(str(t["best_step"]) for t in trainings)
            general = compare(
                rows_of(runs, "base", "general_"), rows_of(runs, "tuned", "general_"), 42
            ).to_json()["measures"]["wer"]
            cells = [
                setting,
                len(runs),
                f"{100 * c['wer']['before']:.2f}",
                f"{100 * c['wer']['after']:.2f}",
                f"{100 * c['wer']['relative']:+.1f} %",
                show_interval("wer", c["wer"]["difference_interval"]),
                *beside[:2],
                f"{c['loss_words']['before']:.3f} -> {c['loss_words']['after']:.3f}",
                *beside[2:],
                f"{100 * general['before']:.2f} -> {100 * general['after']:.2f}",
                kept,
                f"{sum(t['seconds'] for t in trainings) / len(trainings):.0f}",
            ]
            print("| " + " | ".join(map(str, cells)) + " |")


def main(args: Args) -> None:
    if not args.table:
        for name in args.sets:
            prepare(args, name)
        for setting in args.settings:
            for seed in args.seeds:
                for name in args.sets:
                    for fold in args.folds or range(1, args.of + 1):
                        do(args, name, setting, seed, fold)
    table(args.study, args.against)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
