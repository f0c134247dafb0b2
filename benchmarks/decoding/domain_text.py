"""What a language model of the training transcripts would bring to the consensus of beams.

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL...
    uv run python -m benchmarks.decoding.domain_text LISTS outputs/CROSSVAL...

The first decodes the folds' test clips. Then a trigram of the words of a fold's training and
validation transcripts (Witten-Bell smoothing down to every word alike) is added to each beam's log
probability, before moontune's own rule chooses among the four likeliest. Its weight is chosen for
every fold by the errors in the other folds. Prints Markdown: WER without and with it, and the
change's 95 % interval over speakers; then WER by each weight for all folds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.decoding.consensus import chosen, scored_by
from moontune.data.manifest import read_run_manifest
from moontune.data.normalizer import normalize
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow
from moontune.pipeline.run_dir import RunDir
from moontune.system.files import read_jsonl
from moontune.system.formatting import percent

ORDER, WORDS = 3, 30_000  # words of a history and the next; words there are
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


class NGrams:
    """How likely words are behind others, by the words of some texts (Witten and Bell 1991)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            for history, word in self._places(text):
                for n in range(ORDER):
                    self._counts[history[ORDER - 1 - n :]][word] += 1

    @staticmethod
    def _places(text: str) -> list[tuple[tuple[str, ...], str]]:
        words = [*[""] * (ORDER - 1), *normalize(text).split(), ""]
        return [(tuple(words[i - ORDER + 1 : i]), words[i]) for i in range(ORDER - 1, len(words))]

    def probability(self, history: tuple[str, ...], word: str) -> float:
        found = 1 / WORDS
        for n in range(ORDER):
            seen = self._counts.get(history[ORDER - 1 - n :])
            if seen:
                found = (seen[word] + len(seen) * found) / (seen.total() + len(seen))
        return found

    def log_probability(self, text: str) -> float:
        """Of the whole text and its end, nats."""
        return sum(math.log(self.probability(*place)) for place in self._places(text))


def likelier(row: dict[str, Any], weight: float, known: NGrams) -> dict[str, Any]:
    """A row whose beams are as likely as both say, likeliest first."""
    both = [(t, p + weight * known.log_probability(t), cut) for t, p, cut in row["beams"]]
    return row | {"beams": sorted(both, key=lambda beam: -beam[1])}


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
                known = NGrams([u.text for part in parts for u in part])
                file = args.lists / path.name / f"{place.name}-{which}-{args.width}.jsonl"
                rows = list(read_jsonl(file))
                by_weight.append(
                    [
                        scored_by(rows, lambda r, w=weight, lm=known: chosen(likelier(r, w, lm)))
                        for weight in WEIGHTS
                    ]
                )
            totals = [[errors(rows) for rows in fold] for fold in by_weight]
            picked = [
                min(range(len(WEIGHTS)), key=lambda w: sum(t[w] for t in totals if t is not own))
                for own in totals
            ]
            without = [row for fold in by_weight for row in fold[0]]
            within = [row for fold, w in zip(by_weight, picked, strict=True) for row in fold[w]]
            wer = compare(without, within, 42).measures["wer"]
            weights = ", ".join(f"{WEIGHTS[w]:g}" for w in picked)
            interval = show_interval("wer", wer.difference_interval)
            cells = (path.name, which, percent(wer.before), percent(wer.after), interval, weights)
            print(f"| {' | '.join(cells)} |", flush=True)
            words = sum(len(row["normalized_reference"].split()) for row in without)
            rates = [percent(sum(t[w] for t in totals) / words) for w in range(len(WEIGHTS))]
            tables.append(f"| {path.name} | {which} | {' | '.join(rates)} |")
    head = " | ".join(f"weight {w:g}" for w in WEIGHTS)
    print(f"\n| set | model | {head} |\n|---|---{'|---' * len(WEIGHTS)}|")
    print("\n".join(tables))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
