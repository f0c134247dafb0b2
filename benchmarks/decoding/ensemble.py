"""What the consensus of several adapters' beams gives beside that of one adapter's.

    uv run python -m benchmarks.decoding.ensemble LISTS STUDY outputs/CROSSVAL --seeds 43 44

Every fold of a cross-validation is trained again with each seed (`benchmarks.study.seeds`), and
the test clips' likeliest beams by every adapter are kept under LISTS; what is done is not done
again. Prints Markdown: WER by the consensus of the beams of one adapter, of two, of all, and of all
and the base, with the change to one adapter's and its 95 % interval over speakers.

An ensemble takes from each member the beams that its own consensus would be chosen from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.decoding.consensus import chosen, decoded, scored_by
from benchmarks.study.seeds import trained
from moontune.cli.console import ConsoleUi
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.models.consensus import consensus, counted
from moontune.models.decoding import Transcript
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_jsonl
from moontune.system.formatting import percent

Lists = dict[str, dict[str, Any]]  # rows of `decoded` by clip


@dataclass(frozen=True)
class Args:
    """The consensus of several adapters."""

    lists: tyro.conf.Positional[Path]
    """Folder of what was decoded."""
    study: tyro.conf.Positional[Path]
    """Folder of the trainings with other seeds."""
    crossval: tyro.conf.Positional[Path]
    """A finished cross-validation, itself one of the seeds."""
    seeds: tuple[int, ...] = (43, 44)
    """Seeds of the other trainings."""
    width: int = 8
    """Beams of a clip."""


def lists_of(file: Path, run: RunDir, which: str, width: int) -> Lists:
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(file, list(decoded(run, which, width)))
    return {row["id"]: row for row in read_jsonl(file)}


def together(members: Sequence[Lists]) -> Callable[[dict[str, Any]], str]:
    """The rule that takes the consensus of all members' beams."""

    def rule(row: dict[str, Any]) -> str:
        pairs = [
            pair
            for member in members
            for pair in counted(
                [(Transcript(t, [], cut), p) for t, p, cut in member[row["id"]]["beams"]]
            )
        ]
        return pairs[consensus([t.text for t, _ in pairs], [p for _, p in pairs])][0].text

    return rule


def main(args: Args) -> None:
    by_member: dict[str, Lists] = {}
    for place in sorted(args.crossval.glob("fold-*")):
        fold, name = RunDir(place), place.name
        folder = args.lists / args.crossval.name
        runs = {"base": (fold, "base"), "seed 0": (fold, "tuned")}
        for seed in args.seeds:
            run = trained(fold, args.study / f"seed-{seed}" / name / "run", seed, ConsoleUi())
            runs[f"seed {seed}"] = (run, "tuned")
        for member, (run, which) in runs.items():
            seed = "" if run is fold else f"-{member.split()[1]}"
            file = folder / f"{name}-{which}{seed}-{args.width}.jsonl"
            by_member.setdefault(member, {}).update(lists_of(file, run, which, args.width))
    base = by_member.pop("base")
    adapters = list(by_member.values())
    rows = list(base.values())
    print("| beams of | WER | to one adapter's, 95 % |\n|---|---|---|")
    print(f"| the base | {percent(corpus(scored_by(rows, chosen)))} | |", flush=True)
    for count in range(1, len(adapters) + 1):
        print(line(f"{count} adapters", rows, list(itertools.combinations(adapters, count))))
    print(line("all and the base", rows, [tuple(adapters)], (base,)))


def corpus(rows: list[PredictionRow]) -> float:
    found = compare(rows, rows, 42).error_rate.after
    assert found is not None
    return found


def line(
    name: str,
    rows: Sequence[dict[str, Any]],
    groups: Sequence[tuple[Lists, ...]],
    more: tuple[Lists, ...] = (),
) -> str:
    """A row of the table: each group beside each of its members, as if of clips of their own."""
    one: list[PredictionRow] = []
    ensemble: list[PredictionRow] = []
    for i, (group, member) in enumerate((g, m) for g in groups for m in g):
        for pool, members in ((one, (member,)), (ensemble, (*group, *more))):
            found = scored_by(rows, together(members))
            pool += [{**row, "id": f"{i} {row['id']}"} for row in found]
    found = compare(one, ensemble, 42).error_rate
    assert found.after is not None
    interval = show_interval("wer", found.difference_interval)
    return f"| {name} | {percent(found.after)} | {interval} |"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
