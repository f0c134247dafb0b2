"""Whether `moontune review` shows swapped transcripts first.

    uv run python -m benchmarks.decoding.review_order

The base hears a set of recordings once. Then, for each seed, a share of the transcripts is swapped
among clips, all are put into the order of a review, and the swapped ones are counted among the
first. Prints Markdown: the mean of the seeds, and the least.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.paths import SHARED, default_model
from moontune.data.audio import read_audio
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.error_rates import word_edits
from moontune.review.listening import ModelListener
from moontune.review.order import suspicion
from moontune.web.model_sources import ModelSource


@dataclass(frozen=True)
class Args:
    """Find swapped transcripts in the order of a review."""

    sets: tuple[str, ...] = ("accented_english", "adventure_game")
    """Sets of recordings."""
    clips: int = 200
    """Clips of each, taken by chance; 0 for all."""
    swapped: float = 0.05
    """Share of the transcripts that is swapped."""
    seeds: int = 20
    """So many times."""
    first_seed: int = 100
    """Of the swaps, and of the clips taken. 0 to 19 were looked at to choose the rule."""
    model_id: str = default_model()
    """The base."""


Rule = Callable[[str, str], float]


def _errors_a_word(text: str, heard: str) -> float:
    edits = word_edits(text, heard)
    return edits.errors / max(1, edits.words)


def _words_alone(text: str, heard: str) -> float:
    edits = word_edits(text, heard)
    longer = max(edits.words, edits.words - edits.deletions + edits.insertions)
    return edits.errors / (longer + 3)


RULES: dict[str, Rule] = {
    "the review's": lambda text, heard: suspicion(text, [heard]) or 0.0,
    "word errors, three words more": _words_alone,
    "errors a word": _errors_a_word,
    "errors": lambda text, heard: float(word_edits(text, heard).errors),
}


def chosen(args: Args, name: str) -> list[Utterance]:
    path: Path = SHARED / "data" / name / "manifest.jsonl"
    utterances, _ = read_manifest(path)
    return random.Random(args.first_seed).sample(utterances, args.clips or len(utterances))


def hear(args: Args, utterances: Sequence[Utterance]) -> list[str]:
    listener = ModelListener(ModelSource("base", args.model_id), "cpu", "greedy")
    return listener([read_audio(u.audio) for u in utterances])


def swap(texts: Sequence[str], share: float, seed: int) -> tuple[list[str], set[int]]:
    """Texts of which a share stands beside another clip, and where these are."""
    wrong = random.Random(seed).sample(range(len(texts)), max(2, round(share * len(texts))))
    mixed = list(texts)
    for i, k in zip(wrong, [*wrong[1:], wrong[0]], strict=True):
        mixed[i] = texts[k]
    return mixed, {i for i in wrong if mixed[i] != texts[i]}


def found(rule: Rule, texts: Sequence[str], heard: Sequence[str], wrong: set[int]) -> list[float]:
    """Shares of the wrong ones among the first as many, and the first 10 % of all."""
    scores = [rule(text, transcript) for text, transcript in zip(texts, heard, strict=True)]
    order = sorted(range(len(texts)), key=lambda i: -scores[i])
    return [len(wrong & {*order[:n]}) / len(wrong) for n in (len(wrong), len(texts) // 10)]


def main(args: Args) -> None:
    print("| set | rule | among the first 10 %, mean | least of the seeds | among the first 5 % |")
    print("|---|---|---|---|---|")
    for name in args.sets:
        utterances = chosen(args, name)
        heard = hear(args, utterances)
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        mixed = [swap([u.text for u in utterances], args.swapped, seed) for seed in seeds]
        for rule, score in RULES.items():
            shares = [found(score, texts, heard, wrong) for texts, wrong in mixed]
            tenth, first = [s[1] for s in shares], [s[0] for s in shares]
            cells = [f"{100 * sum(tenth) / len(tenth):.1f} %", f"{100 * min(tenth):.0f} %"]
            cells.append(f"{100 * sum(first) / len(first):.1f} %")
            print(f"| {name} | {rule} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
