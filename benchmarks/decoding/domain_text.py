"""What a language model of the training transcripts would bring to the consensus of beams.

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL...
    uv run python -m benchmarks.decoding.domain_text LISTS outputs/CROSSVAL...

The first decodes the folds' test clips. Then a trigram of the words of a fold's training and
validation transcripts (`moontune.models.language_model`) has a say in which of a clip's beams are
likely, before moontune's own rule chooses. Prints Markdown: WER without it and with it, and the
change's 95 % interval over speakers, for the weight that `transcribe --domain-text` has and for one
that is chosen for every fold by the errors in the others; then WER by each weight for all folds.
With `--thorough` also what both the number of beams that count and the weight give where they are
chosen by the errors in the other folds of all the cross-validations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.decoding.consensus import scored_by, span
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.models.consensus import agreed, consensus
from moontune.models.decoding import Transcript, endless
from moontune.models.language_model import WEIGHT, LanguageModel
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl
from moontune.system.formatting import percent

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
NUMBERS = (6, 7, 8, 9, 10, 12)  # of 24 beams


@dataclass(frozen=True)
class Args:
    """A language model of the training transcripts."""

    lists: tyro.conf.Positional[Path]
    """Folder of what `benchmarks.decoding.consensus` decoded."""
    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """The cross-validations."""
    width: int = 8
    """Beams of a clip."""
    thorough: bool = False
    """Beams at three speeds, as of --decoding thorough."""


def chosen_with(
    weight: float, texts: Sequence[str], of: str, number: int | None = None
) -> Callable[[dict[str, Any]], str]:
    """moontune's own rule with a language model of texts; of so many beams, or as many as it
    takes."""
    known = LanguageModel(texts, weight)

    def rule(row: dict[str, Any]) -> str:
        written = [(Transcript(t, [], cut), p + known.bonus(t)) for t, p, cut in row[of]]
        written.sort(key=lambda pair: -pair[1])
        if number is None:
            return agreed(written).text
        ended = [pair for pair in written if not endless(pair[0])] or written
        some = ended[:number]
        return some[consensus([t.text for t, _ in some], [p for _, p in some])][0].text

    return rule


def errors(rows: Sequence[PredictionRow]) -> int:
    kinds = ("substitutions", "deletions", "insertions")
    return sum(row["edits"][kind] for row in rows for kind in kinds)


@dataclass(frozen=True)
class Fold:
    """A fold's test clips as a model wrote them, and what its language model is of."""

    crossval: str
    which: str
    name: str
    rows: list[dict[str, Any]]
    texts: list[str]

    def by(self, weight: float, of: str, number: int | None = None) -> list[PredictionRow]:
        return scored_by(self.rows, chosen_with(weight, self.texts, of, number))


def read_fold(args: Args, place: Path, which: str) -> Fold:
    run = RunDir(place)
    parts = [read_run_manifest(run.manifest(name)) for name in ("train", "val")]
    file = args.lists / place.parent.name / f"{place.name}-{which}-{args.width}.jsonl"
    texts = [u.text for part in parts for u in part]
    return Fold(place.parent.name, which, place.name, list(read_jsonl(file)), texts)


def row_of(
    fold: Fold, before: Sequence[PredictionRow], after: Sequence[PredictionRow], how: str
) -> str:
    """A row of a table: WER before and after, and the intervals of what is after."""
    wer = compare(list(before), list(after), 42).measures["wer"]
    cells = [fold.crossval, fold.which, percent(wer.before), percent(wer.after)]
    cells += [span(wer.after_interval), show_interval("wer", wer.difference_interval), how]
    return f"| {' | '.join(cells)} |"


def by_weights(folds: Sequence[Fold], of: str) -> str:
    """Prints what the folds of a model gain by the weight of `transcribe --domain-text` and by one
    that is chosen elsewhere; returns WER by each weight."""
    by_weight = [[fold.by(weight, of) for weight in WEIGHTS] for fold in folds]
    totals = [[errors(rows) for rows in fold] for fold in by_weight]
    picked = [
        min(range(len(WEIGHTS)), key=lambda w: sum(t[w] for t in totals if t is not own))
        for own in totals
    ]
    without = [row for fold in by_weight for row in fold[0]]
    for places in ([WEIGHTS.index(WEIGHT)] * len(by_weight), picked):
        within = [row for fold, w in zip(by_weight, places, strict=True) for row in fold[w]]
        weights = ", ".join(f"{WEIGHTS[w]:g}" for w in places)
        print(row_of(folds[0], without, within, weights), flush=True)
    words = sum(len(row["normalized_reference"].split()) for row in without)
    rates = [percent(sum(t[w] for t in totals) / words) for w in range(len(WEIGHTS))]
    return f"| {folds[0].crossval} | {folds[0].which} | {' | '.join(rates)} |"


def chosen_elsewhere(models: Sequence[Sequence[Fold]]) -> None:
    """Prints what the number of beams that count, and the weight, give where both are those with
    the fewest errors in all folds of other speakers."""
    pairs = [(number, weight) for number in NUMBERS for weight in WEIGHTS]
    every = [fold for folds in models for fold in folds]
    found = [[fold.by(weight, "thorough", number) for number, weight in pairs] for fold in every]
    totals = [[errors(rows) for rows in of_fold] for of_fold in found]
    for folds in models:
        after: list[PredictionRow] = []
        how = []
        for fold in folds:
            others = [
                t
                for other, t in zip(every, totals, strict=True)
                if (other.crossval, other.name) != (fold.crossval, fold.name)
            ]
            best = min(range(len(pairs)), key=lambda p: sum(t[p] for t in others))
            after += found[every.index(fold)][best]
            how.append("{} of {:g}".format(*pairs[best]))
        before = [row for fold in folds for row in fold.by(0.0, "beams")]
        print(row_of(folds[0], before, after, ", ".join(how)), flush=True)


def main(args: Args) -> None:
    models = [
        [read_fold(args, place, which) for place in sorted(path.glob("fold-*"))]
        for path in args.crossvals
        for which in ("base", "tuned")
    ]
    of = "thorough" if args.thorough else "beams"
    print("| set | model | without | with | 95 % | change, 95 % | weights of the folds |")
    print("|---|---|---|---|---|---|---|")
    tables = [by_weights(folds, of) for folds in models]
    head = " | ".join(f"weight {w:g}" for w in WEIGHTS)
    print(f"\n| set | model | {head} |\n|---|---{'|---' * len(WEIGHTS)}|")
    print("\n".join(tables))
    if args.thorough:
        print("\n| set | model | one speed | with | 95 % | change, 95 % | beams and weights |")
        print("|---|---|---|---|---|---|---|")
        chosen_elsewhere(models)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
