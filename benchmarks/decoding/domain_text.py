"""What a language model of the training transcripts would bring to the consensus of beams.

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL...
    uv run python -m benchmarks.decoding.domain_text LISTS outputs/CROSSVAL...

The first decodes the folds' test clips. Then a trigram of the words of a fold's training and
validation transcripts (`moontune.models.language_model`) has a say in which of a clip's beams are
likely, before moontune's own rule chooses. Prints Markdown: WER without it and with it, and the
change's 95 % interval over speakers, for the weight that `transcribe --domain-text` has and for one
that is chosen for every fold by the errors in the others; then WER by each weight for all folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.decoding.consensus import scored_by
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.models.consensus import agreed
from moontune.models.decoding import Transcript
from moontune.models.language_model import WEIGHT, LanguageModel
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl
from moontune.system.formatting import percent

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


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


def chosen_with(weight: float, texts: Sequence[str], of: str) -> Callable[[dict[str, Any]], str]:
    """moontune's own rule with a language model of texts."""
    known = LanguageModel(texts, weight)
    return lambda row: agreed([(Transcript(t, [], cut), p) for t, p, cut in row[of]], known).text


def errors(rows: Sequence[PredictionRow]) -> int:
    kinds = ("substitutions", "deletions", "insertions")
    return sum(row["edits"][kind] for row in rows for kind in kinds)


def main(args: Args) -> None:
    print(
        "| set | model | without | with | 95 % | weights of the folds |\n|---|---|---|---|---|---|"
    )
    tables: list[str] = []
    for path in args.crossvals:
        for which in ("base", "tuned"):
            by_weight: list[list[list[PredictionRow]]] = []  # of each fold
            for place in sorted(path.glob("fold-*")):
                run = RunDir(place)
                parts = [read_run_manifest(run.manifest(name)) for name in ("train", "val")]
                texts = [u.text for part in parts for u in part]
                file = args.lists / path.name / f"{place.name}-{which}-{args.width}.jsonl"
                rows = list(read_jsonl(file))
                of = "thorough" if args.thorough else "beams"
                rules = [chosen_with(weight, texts, of) for weight in WEIGHTS]
                by_weight.append([scored_by(rows, rule) for rule in rules])
            totals = [[errors(rows) for rows in fold] for fold in by_weight]
            picked = [
                min(range(len(WEIGHTS)), key=lambda w: sum(t[w] for t in totals if t is not own))
                for own in totals
            ]
            without = [row for fold in by_weight for row in fold[0]]
            for places in ([WEIGHTS.index(WEIGHT)] * len(by_weight), picked):
                within = [row for fold, w in zip(by_weight, places, strict=True) for row in fold[w]]
                wer = compare(without, within, 42).measures["wer"]
                weights = ", ".join(f"{WEIGHTS[w]:g}" for w in places)
                interval = show_interval("wer", wer.difference_interval)
                rates = (percent(wer.before), percent(wer.after))
                print(
                    f"| {' | '.join((path.name, which, *rates, interval, weights))} |", flush=True
                )
            words = sum(len(row["normalized_reference"].split()) for row in without)
            rates = [percent(sum(t[w] for t in totals) / words) for w in range(len(WEIGHTS))]
            tables.append(f"| {path.name} | {which} | {' | '.join(rates)} |")
    head = " | ".join(f"weight {w:g}" for w in WEIGHTS)
    print(f"\n| set | model | {head} |\n|---|---{'|---' * len(WEIGHTS)}|")
    print("\n".join(tables))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
