"""Whether wrong transcripts are found, and whether they do harm: some are swapped with each other.

    uv run python -m benchmarks.study.wrong_transcripts STUDY          # minutes: found, untrained
    uv run python -m benchmarks.study.wrong_transcripts STUDY --train  # and WER after tuning

A share of each set's transcripts is swapped. Prints Markdown: how many of the swapped ones among
the clips to train and validate on are found, and what else is suspected, as far as it is not
suspected without any swap too. With --train each is cross-validated with the defaults, once as it
is and once with --keep-suspects, and scored on the transcripts as they were.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from benchmarks.paths import SHARED, default_model
from benchmarks.study.transcript_styles import scored
from moontune.cli.dispatch import main as moontune
from moontune.data.manifest import read_manifest, read_run_manifest, write_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.pipeline.run_folder.run_dir import RunDir


@dataclass(frozen=True)
class Args:
    """Find swapped transcripts in the shared recordings."""

    study: tyro.conf.Positional[Path]
    """Folder of the study; what is done is not done again."""
    shares: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Shares of the transcripts to swap; none at all is always among them."""
    sets: tuple[str, ...] = ("accented_english", "adventure_game")
    """Sets of recordings."""
    seed: int = 42
    """Seed of the swaps, the splits and the trainings."""
    model_id: str = default_model()
    """The base."""
    train: bool = False
    """Train too."""


def manifest_of(args: Args, name: str, share: float) -> tuple[Path, set[str]]:
    """A set's manifest with a share of its transcripts swapped, and the ids of these."""
    source = SHARED / "data" / name / "manifest.jsonl"
    utterances, _ = read_manifest(source)
    rng = random.Random(f"{args.seed} {share}")
    chosen = rng.sample(range(len(utterances)), round(share * len(utterances)))
    swapped = list(utterances)
    for i, k in zip(chosen, [*chosen[1:], *chosen[:1]], strict=True):
        swapped[i] = replace(utterances[i], text=utterances[k].text)
    path = args.study / name / f"swapped-{100 * share:g}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(path, swapped)
    return path, {utterances[i].id for i in chosen}


def words(args: Args, name: str, manifest: Path, run_name: str) -> list[str]:
    folder = (args.study / name).resolve()
    flags: dict[str, Any] = {
        "manifest": manifest.resolve(),
        "model-id": args.model_id,
        "general": "off",
        "seed": args.seed,
        "run-name": run_name,
        "output-dir": folder,
        "report-file": folder / "report.md",
    }
    return [str(w) for k, v in flags.items() for w in (f"--{k}", v)]


def screened(args: Args, name: str, share: float) -> RunDir:
    """A run that has found its suspects."""
    manifest, _ = manifest_of(args, name, share)
    run = RunDir((args.study / name).resolve() / f"run-{100 * share:g}")
    if not (run / "suspects.jsonl").is_file():
        codes = [moontune(["sample", *words(args, name, manifest, run.path.name)])]
        codes += [moontune([stage, str(run.path)]) for stage in ("clean", "split", "labels")]
        if any(codes):
            raise SystemExit(1)
    return run


def found(args: Args, name: str, share: float) -> list[str]:
    """Cells: the judge, those found of the swapped, the others, those of them without a swap."""
    _, wrong = manifest_of(args, name, share)
    run, unswapped = screened(args, name, share), screened(args, name, 0.0)
    there = {u.id for part in ("train", "val") for u in read_run_manifest(run.manifest(part))}
    suspects = {s.id for s in run.suspects() if s.split != "test"}
    anyway = {s.id for s in unswapped.suspects()}
    wrong &= there
    hits, others = suspects & wrong, suspects - wrong
    judges = {s.judge for s in run.suspects() if s.split != "test"}
    recall = len(hits) / len(wrong) if wrong else 0.0
    precision = len(hits) / (len(suspects - anyway | hits)) if hits else 0.0
    return [
        ", ".join(sorted(judges)),
        f"{len(hits)} of {len(wrong)} ({recall:.0%})",
        f"{len(others)}, {len(others & anyway)} of them also without any swap ({precision:.0%})",
    ]


def trained(
    args: Args, name: str, share: float, *, keep: bool
) -> tuple[list[PredictionRow], list[PredictionRow]]:
    """Predictions of the base and of the tuned models of three folds, on the right transcripts."""
    manifest, _ = manifest_of(args, name, share)
    run = (args.study / name).resolve() / f"crossval-{100 * share:g}{'-kept' if keep else ''}"
    if not (run / "crossval.json").is_file():
        more = ["--folds", "3", *(["--keep-suspects"] if keep else [])]
        more += ["--resume"] if run.is_dir() else []
        if moontune(["crossval", *words(args, name, manifest, run.name), *more]) not in (0, 1):
            raise SystemExit(1)
    right, _ = read_manifest(SHARED / "data" / name / "manifest.jsonl")
    texts = {u.id: u.text for u in right}
    before, after = (scored(run, which, texts) for which in ("base", "tuned"))
    return before, after


def of_both(
    one: list[PredictionRow], other: list[PredictionRow]
) -> tuple[list[PredictionRow], list[PredictionRow]]:
    """Those of clips in both: a swap gives some clips more text than can be said in them, and these
    are dropped."""
    ids = {row["id"] for row in one} & {row["id"] for row in other}
    first, second = ([row for row in rows if row["id"] in ids] for rows in (one, other))
    return first, second


def main(args: Args) -> None:
    for name in args.sets:
        print(f"\n### {name}\n", flush=True)
        head = ["swapped", "judge", "found", "others suspected"]
        if args.train:
            head += ["WER set aside", "to no swap, 95 %", "WER kept", "to set aside, 95 %"]
        print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
        clean: list[PredictionRow] = []
        for share in dict.fromkeys((0.0, *args.shares)):
            cells = [f"{share:.0%}", *found(args, name, share)]
            if args.train:
                _, aside = trained(args, name, share, keep=False)
                clean = clean or aside
                pairs = [(clean, aside)]
                pairs += [(aside, trained(args, name, share, keep=True)[1])] if share else []
                for one, other in pairs:
                    wer = compare(*of_both(one, other), args.seed).error_rate
                    interval = show_interval("wer", wer.difference_interval)
                    cells += [f"{100 * (wer.after or 0):.2f} %", f"{interval}: {wer.outcome}"]
            print(f"| {' | '.join(cells)} |{' |' * (len(head) - len(cells))}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
