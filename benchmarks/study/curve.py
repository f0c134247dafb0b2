"""What more data buys: a picture and a table from a study's runs with `clips=N`.

    uv run python -m benchmarks.study.study STUDY --settings clips=25 clips=50 clips=100 clips=200
    uv run python -m benchmarks.study.curve STUDY --picture docs/data_size.svg

Every point pools the folds of a set, tested whole; intervals are by speaker, of the tuned model
against the base. Folds leave different numbers of clips to train on: the last point has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.study.study import SETS, parsed, rows_of
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.comparison import compare
from moontune.pipeline.run_folder.run_dir import RunDir

COLOURS = {"accented_english": "#2563a8", "adventure_game": "#b4541a"}


@dataclass(frozen=True)
class Args:
    """What more data buys: a picture and a table."""

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    picture: Path | None = None
    """SVG or PNG to write."""


@dataclass(frozen=True)
class Point:
    clips: float  # to train and validate on, mean over the folds
    minutes: float
    runs: int
    wer: dict[str, Any]  # as `comparison.compare` has it

    @property
    def gain(self) -> float:
        """Percent of the base's WER that went."""
        return -100 * self.wer["difference"] / self.wer["before"]

    @property
    def interval(self) -> tuple[float, float]:
        low, high = self.wer["difference_interval"]
        return -100 * high / self.wer["before"], -100 * low / self.wer["before"]


def points(study: Path, name: str) -> list[Point]:
    """Of the defaults, by number of clips."""
    found: dict[str, list[RunDir]] = {}
    for record in sorted((study / name).glob("*/fold-*/run.json")):
        run = RunDir(record.parent)
        setting = run.path.parent.name.split("@")[0]
        if "evaluate" in run.stages() and not parsed(setting)[0]:
            found.setdefault(setting, []).append(run)
    return sorted((_point(runs) for runs in found.values()), key=lambda p: p.clips)


def _point(runs: Sequence[RunDir]) -> Point:
    rows = [
        [u for part in ("train", "val") for u in read_run_manifest(r.manifest(part))] for r in runs
    ]
    seconds = [sum(u.duration_or_1s for u in part) for part in rows]
    c = compare(rows_of(list(runs), "base"), rows_of(list(runs), "tuned"), 42)
    return Point(
        sum(map(len, rows)) / len(runs),
        sum(seconds) / len(runs) / 60,
        len(runs),
        c.to_json()["measures"]["wer"],
    )


def draw(curves: dict[str, list[Point]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg" if file.suffix == ".svg" else "agg")
    matplotlib.rcParams["svg.hashsalt"] = "moontune"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    axes.axhline(0, color="#888", linewidth=1)
    for (name, found), shift in zip(curves.items(), (0.985, 1.015), strict=False):
        x = [p.clips * shift for p in found]
        gains = [p.gain for p in found]
        spans = [[g - p.interval[0] for g, p in zip(gains, found, strict=True)]]
        spans += [[p.interval[1] - g for g, p in zip(gains, found, strict=True)]]
        before = 100 * found[-1].wer["before"]
        label = f"{name.replace('_', ' ')}: base WER {before:.1f} %"
        axes.errorbar(x, gains, yerr=spans, marker="o", capsize=3, label=label, color=COLOURS[name])
    axes.set_xscale("log")
    sizes = sorted({round(p.clips) for found in curves.values() for p in found})
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set_xlabel("clips to train and validate on (about 4 s each)")
    axes.set_ylabel("% of the base's word errors gone, 95 % by speaker")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def main(args: Args) -> None:
    curves = {name: points(args.study, name) for name in SETS}
    print(
        "| set | clips | minutes | runs | WER | errors gone | 95 % |\n|---|---|---|---|---|---|---|"
    )
    for name, found in curves.items():
        for p in found:
            wer = f"{100 * p.wer['before']:.2f} -> {100 * p.wer['after']:.2f} %"
            low, high = p.interval
            print(
                f"| {name} | {p.clips:.0f} | {p.minutes:.1f} | {p.runs} | {wer} | {p.gain:.1f} % "
                f"| {low:.1f} to {high:.1f} % |"
            )
    if args.picture is not None:
        draw({name: found for name, found in curves.items() if found}, args.picture)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
