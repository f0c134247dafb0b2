"""How many of the beams at three speeds count, and what that gives to others than it was chosen on.

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL...
    uv run python -m benchmarks.decoding.thorough LISTS outputs/CROSSVAL...

The first decodes the folds' test clips. Prints Markdown: WER by number; then for every fold the
number with the fewest errors in all other folds of all the cross-validations, base and tuned, and
what it gives to the fold: WER and the change to a consensus of one speed, 95 % over speakers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.decoding.consensus import chosen, scored_by, span
from benchmarks.decoding.domain_text import NUMBERS, chosen_with, errors
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.system.files import read_jsonl
from moontune.system.formatting import percent

Fold = tuple[str, str, str]  # of a cross-validation, which model, which fold


@dataclass(frozen=True)
class Args:
    """How many beams at three speeds count."""

    lists: tyro.conf.Positional[Path]
    """Folder of what `benchmarks.decoding.consensus` decoded."""
    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """The cross-validations."""
    width: int = 8
    """Beams of a clip at a speed."""


def main(args: Args) -> None:
    plain: dict[Fold, list[PredictionRow]] = {}
    by_number: dict[Fold, dict[int, list[PredictionRow]]] = {}
    for crossval in args.crossvals:
        for which in ("base", "tuned"):
            for place in sorted(crossval.glob("fold-*")):
                file = args.lists / crossval.name / f"{place.name}-{which}-{args.width}.jsonl"
                rows, fold = list(read_jsonl(file)), (crossval.name, which, place.name)
                plain[fold] = scored_by(rows, chosen)
                by_number[fold] = {
                    n: scored_by(rows, chosen_with(0.0, (), "thorough", n)) for n in NUMBERS
                }
    heads = " | ".join(f"{n} count" for n in NUMBERS)
    print(f"| set | model | consensus | {heads} | chosen elsewhere | 95 % | to consensus, 95 % |")
    print(f"|---|---|---{'|---' * (len(NUMBERS) + 3)}|")
    for name, which in dict.fromkeys(fold[:2] for fold in plain):
        folds = [fold for fold in plain if fold[:2] == (name, which)]
        before = [row for fold in folds for row in plain[fold]]
        words = sum(len(row["normalized_reference"].split()) for row in before)
        rates = [sum(errors(by_number[fold][n]) for fold in folds) / words for n in NUMBERS]
        after = [
            row for fold in folds for row in by_number[fold][chosen_elsewhere(fold, by_number)]
        ]
        wer = compare(before, after, 42).measures["wer"]
        cells = [name, which, *map(percent, (wer.before, *rates, wer.after))]
        cells.append(span(wer.after_interval))
        interval = show_interval("wer", wer.difference_interval)
        print(f"| {' | '.join(cells)} | {interval} |", flush=True)


def chosen_elsewhere(fold: Fold, by_number: dict[Fold, dict[int, list[PredictionRow]]]) -> int:
    """The number with the fewest errors in the folds of other speakers."""
    others = [
        found for other, found in by_number.items() if (other[0], other[2]) != (fold[0], fold[2])
    ]
    return min(NUMBERS, key=lambda n: sum(errors(found[n]) for found in others))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
