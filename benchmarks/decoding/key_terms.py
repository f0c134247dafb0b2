"""What a list of key terms brings at decoding, and what it costs all other words.

    uv run python -m benchmarks.decoding.key_terms outputs/CROSSVAL...

Of every fold the list is 40 rare words of its test clips: those that no training or validation clip
has, of five letters or more and of three tokens or more, the most frequent first. The fold's base
and adapter write the test clips greedily, then with the list. Prints Markdown: the share of the
terms said that is written, false alarms an hour, and the WER of all other words with the change's
95 % interval; then the same with lists of words that nobody says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.comparison import ratio_of_sums
from moontune.evaluation.key_terms.counting import ClipTerms, TermCounts, clip_terms
from moontune.evaluation.measures import Measure
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, prediction_row
from moontune.models.adapter import load_adapted
from moontune.models.base_model import Base, load_base
from moontune.models.decoding import length_batches
from moontune.models.key_terms.weighing import KeyTerms
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.formatting import percent

_LETTERS, _TOKENS = 5, 3  # that a rare word has at least
PLAIN = ("", 0.0)  # without a list


@dataclass(frozen=True)
class Args:
    """Key terms at decoding."""

    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """Finished cross-validations."""
    terms: int = 40
    """Of each fold's list."""
    bonuses: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Nats a token."""
    unsaid: tuple[int, ...] = (100, 1000)
    """Sizes of lists of words that nobody says."""
    seed: int = 42
    """Of these lists, and of the bootstrap."""


@dataclass(frozen=True)
class Written:
    """A fold's test clips, and their transcripts by list and bonus."""

    utterances: Sequence[Utterance]
    lists: dict[str, list[KeyTerm]]
    transcripts: dict[tuple[str, float], list[str]]


def rare_words(run: RunDir, base: Base, count: int) -> list[KeyTerm]:
    """The list of a fold."""
    known = {
        word
        for name in ("train", "val")
        for u in read_run_manifest(run.manifest(name))
        for word in normalize(u.text).split()
    }
    counts = Counter(
        word
        for u in read_run_manifest(run.manifest("test"))
        for word in set(normalize(u.text).split()) - known
        if word.isalpha() and len(word) >= _LETTERS and tokens(base, word) >= _TOKENS
    )
    return [KeyTerm(w) for w, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))][
        :count
    ]


def tokens(base: Base, word: str) -> int:
    """The fewest that a word is written with."""
    spellings = (f" {word}", f" {word.capitalize()}")
    return min(len(base.tokenizer(text, add_special_tokens=False).input_ids) for text in spellings)


def unsaid_words(base: Base, run: RunDir, count: int, seed: int) -> list[KeyTerm]:
    """Words of the tokenizer that none of the fold's test clips has."""
    said = {w for u in read_run_manifest(run.manifest("test")) for w in normalize(u.text).split()}
    words = sorted(
        {
            word
            for token in base.tokenizer.get_vocab()
            if token.startswith("\u2581")
            and (word := token[1:]).isascii()
            and word.isalpha()
            and word.islower()
            and len(word) >= _LETTERS
            and word not in said
        }
    )
    rng = np.random.default_rng(seed)
    return [KeyTerm(str(word)) for word in rng.permutation(words)[:count]]


def written(run: RunDir, which: str, args: Args, listed: RunDir | None = None) -> Written:
    """All transcripts of a fold by its base or its tuned model; `listed` is the fold whose rare
    words are the list, itself by default."""
    config = run.config()
    base = load_base(config.model.model_id, config.model.revision, "cpu")
    said = rare_words(listed or run, base, args.terms)
    lists: dict[str, list[KeyTerm]] = {"said": said} | {
        f"{n:,} unsaid": unsaid_words(base, run, n, args.seed) for n in args.unsaid
    }
    if which == "tuned":
        base, _ = load_adapted(base, run.adapter, run.processor)
    plain, cap = Transcriber(base), config.eval.token_cap
    writers = {
        name: Transcriber(base, key_terms=KeyTerms(tuple(terms))) for name, terms in lists.items()
    }
    utterances = read_run_manifest(run.manifest("test"))
    found: dict[tuple[str, float], dict[int, str]] = {}
    for places in length_batches([u.duration_or_1s for u in utterances]):
        clips = [load_audio(utterances[i]) for i in places]
        keys, seconds = plain.encode(clips), [len(c) / SAMPLE_RATE_HZ for c in clips]
        greedy = plain.greedy(keys, seconds, cap)
        made = {PLAIN: greedy}
        for name, writer in writers.items():
            by_bonus = writer.by_bonus(keys, greedy, args.bonuses)
            made |= {(name, b): t for b, t in zip(args.bonuses, by_bonus, strict=True)}
        for key, transcripts in made.items():
            found.setdefault(key, {}).update(
                zip(places, [t.text for t in transcripts], strict=True)
            )
    ordered = {key: [texts[i] for i in range(len(utterances))] for key, texts in found.items()}
    return Written(utterances, lists, ordered)


def rows_of(fold: int, one: Written, texts: Sequence[str]) -> list[PredictionRow]:
    return [
        prediction_row(
            {
                "id": f"{fold}:{u.id}", "speaker": u.speaker, "duration": u.duration_or_1s,
                "reference": u.text, "hypothesis": text,
            },
            "",
        )
        for u, text in zip(one.utterances, texts, strict=True)
    ]  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """Pooled clips, with and without a list."""

    rows: list[PredictionRow]
    before: list[ClipTerms]
    after: list[ClipTerms]


def counted(folds: Sequence[Written], key: tuple[str, float]) -> Counted:
    """Without the list, and with it."""
    return counted_beside(folds, folds, key[0], (PLAIN, key))


def counted_beside(
    folds: Sequence[Written],
    others: Sequence[Written],
    listed: str,
    keys: tuple[tuple[str, float], tuple[str, float]],
) -> Counted:
    """The terms of a list in one model's transcripts of folds, and in another's."""
    rows, before, after = [], [], []
    for number, pair in enumerate(zip(folds, others, strict=True)):
        terms = pair[0].lists[listed]
        for side, fold, key in zip((before, after), pair, keys, strict=True):
            mine = rows_of(number, fold, fold.transcripts[key])
            rows += mine if side is before else []
            side += [
                clip_terms(terms, r["normalized_reference"], r["normalized_hypothesis"])
                for r in mine
            ]
    return Counted(rows, before, after)


def line(name: str, which: str, key: tuple[str, float], c: Counted, seed: int) -> str:
    return f"| {name} | {which} | {key[0]} | {key[1]:g} | {cells(c, seed)} |"


def cells(c: Counted, seed: int) -> str:
    """Terms said, recall, false alarms and the WER of other words, of both sides."""
    hours = sum(r["duration"] for r in c.rows) / 3600
    one, other = (sum((t.total for t in side), TermCounts()) for side in (c.before, c.after))
    missed = ratio_of_sums(
        c.rows,
        [t.total.said - t.total.found for t in c.before],
        [t.total.said - t.total.found for t in c.after],
        [t.total.said for t in c.before],
        seed,
    )
    words = ratio_of_sums(
        c.rows,
        [t.other_errors for t in c.before],
        [t.other_errors for t in c.after],
        [t.other_words for t in c.before],
        seed,
    )
    return (
        f"{one.said} | {percent(one.recall)} -> "
        f"{percent(other.recall)} ({_ends(missed, -1)}) | {one.invented / hours:.1f} -> "
        f"{other.invented / hours:.1f} | {percent(words.before)} -> {percent(words.after)} "
        f"({_ends(words)})"
    )


def _ends(m: Measure, sign: int = 1) -> str:
    ends = sorted(sign * end for end in m.difference_interval or ())
    return show_interval("wer", ends).removesuffix(" points") if ends else "unknown"


def main(args: Args) -> None:
    print(
        "| set | model | list | bonus | said | recall (change) | false alarms/hour | "
        "WER of other words (change) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in args.crossvals:
        folds = [RunDir(folder) for folder in sorted(path.glob("fold-*"))]
        for which in ("base", "tuned"):
            found = [written(fold, which, args) for fold in folds]
            for key in [key for key in found[0].transcripts if key[0]]:
                name = path.parent.name if path.name == "clean" else path.name
                print(line(name, which, key, counted(found, key), args.seed), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
