"""How well it is known which words of a consensus transcript are right.

    uv run python -m benchmarks.decoding.confidence LISTS outputs/CROSSVAL...

Every fold's adapter writes the most likely beams of its validation and test clips, the base those
of the test clips; kept under LISTS (what is done is not done again). Prints Markdown:

- what tells right words from wrong: logistic rules of the tuned models' test words, each speaker's
  by a rule fitted to all other speakers of the set;
- the weights of the default, fitted to the base's words, every set counting as much; and of one set
  alone, tried on the others;
- calibrations: of the tuned models' test words, by default and by what the fold's validation clips
  say (moontune's way, an intercept alone, isotonic).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.confidence.fitting import fit_calibration
from moontune.evaluation.confidence.judged import JudgedWord, judged_words
from moontune.evaluation.confidence.reliability import auc, brier_score, calibration_error
from moontune.models.adapter import load_adapted
from moontune.models.base_model import load_base
from moontune.models.confidence.agreement import evidence
from moontune.models.confidence.calibration import default_confidence, log_odds
from moontune.models.consensus import BEAMS, agreed
from moontune.models.decoding import Transcript, endless
from moontune.models.packed.beams import beams
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_jsonl

CLIPS = 16  # at once


@dataclass(frozen=True)
class Args:
    """Confidences of words."""

    lists: tyro.conf.Positional[Path]
    """Folder of what was decoded."""
    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """Finished cross-validations."""


def decoded(run: RunDir, which: str, split: str) -> Iterator[dict[str, Any]]:
    """A row a clip: its beams, and the log probability of each word of the consensus."""
    config = run.config()
    base = load_base(config.model.model_id, config.model.revision, "cpu")
    if which == "tuned":
        base, _ = load_adapted(base, run.adapter, run.processor)
    transcriber, cap = Transcriber(base), config.eval.token_cap
    packed = transcriber.packed

    def text(tokens: Sequence[int]) -> str:
        return base.tokenizer.decode(tokens, skip_special_tokens=True).strip()

    clips = sorted(read_run_manifest(run.manifest(split)), key=lambda u: u.duration_or_1s)
    for i in range(0, len(clips), CLIPS):
        part = clips[i : i + CLIPS]
        heard = [load_audio(u) for u in part]
        keys = transcriber.encode(heard)
        lists = beams(packed, keys, [cap(len(c) / SAMPLE_RATE_HZ) for c in heard], BEAMS)
        cut = [[b.tokens[-1] != packed.eos for b in found] for found in lists]
        chosen = [
            agreed([(Transcript(text(b.tokens), b.tokens, c), b.log_probability) for b, c in pairs])
            for pairs in (
                list(zip(found, c, strict=True)) for found, c in zip(lists, cut, strict=False)
            )
        ]
        lengths = [len(t.tokens) for t in chosen]
        losses = packed.token_losses(keys, [t.tokens for t in chosen]).detach().split(lengths)
        for j, u in enumerate(part):
            yield {
                "id": u.id,
                "speaker": u.speaker,
                "reference": u.text,
                "beams": [
                    [text(b.tokens), b.log_probability, c]
                    for b, c in zip(lists[j], cut[j], strict=True)
                ],
                "own": own_probabilities(text, chosen[j].tokens, losses[j].tolist()),
            }


def own_probabilities(
    text: Callable[[Sequence[int]], str], tokens: list[int], losses: list[float]
) -> list[float] | None:
    """Log probability of each word's tokens; None where tokens make other words than the text."""
    firsts: list[int] = []
    for i in range(len(tokens)):
        firsts += [i] * (len(text(tokens[: i + 1]).split()) - len(firsts))
    if len(firsts) != len(text(tokens).split()):
        return None
    edges = [*firsts, max(len(tokens) - 1, 1)]
    return [round(-sum(losses[a : max(b, a + 1)]), 4) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True)
class Words:
    """Words of some clips, (words,) each."""

    right: np.ndarray
    speaker: np.ndarray
    default: np.ndarray  # confidence by moontune's default
    vote: np.ndarray  # log odds of the share of all beams, half a beam for and against
    vote_of_4: np.ndarray
    likelihood: np.ndarray  # of the transcript, nats a word
    own: np.ndarray  # log odds of the word's own probability


def smoothed(share: float, count: int) -> float:
    return log_odds((count * share + 0.5) / (count + 1))


def words_of(rows: Sequence[dict[str, Any]]) -> Words:
    found: list[tuple[Any, ...]] = []
    for row in rows:
        written = [(Transcript(t, [], cut), p) for t, p, cut in row["beams"]]
        text = agreed(written).text
        several = [pair for pair in written if not endless(pair[0])] or written
        every, four = evidence(text, written), evidence(text, several[:4])
        own = row.get("own") or [-1.0] * len(every)
        columns: list[Sequence[float]] = [
            [default_confidence(e) for e in every],
            [smoothed(e.agreement, e.beams) for e in every],
            [smoothed(e.agreement, e.beams) for e in four],
            [e.likelihood for e in every],
            [log_odds(float(np.clip(np.exp(p), 0.005, 0.995))) for p in own],
        ]
        judged = [judged_words(row["reference"], text, column) for column in columns]
        found += [
            (one[0].right, str(row["speaker"]), *(w.confidence for w in one))
            for one in zip(*judged, strict=True)
        ]
    right, speaker, *others = (np.array(column) for column in zip(*found, strict=True))
    return Words(right.astype(float), speaker, *others)


RULES = {
    "vote of the first 4": ("vote_of_4",),
    "vote of all": ("vote",),
    "likelihood of the transcript": ("likelihood",),
    "the word's own probability": ("own",),
    "**vote of all, likelihood**": ("vote", "likelihood"),
    "vote of the first 4, likelihood": ("vote_of_4", "likelihood"),
    "vote of all, own probability": ("vote", "own"),
    "vote of all, likelihood, own probability": ("vote", "likelihood", "own"),
}


def columns(words: Words, names: Sequence[str]) -> np.ndarray:
    return np.stack([np.ones(len(words.right)), *(getattr(words, n) for n in names)], axis=1)


def logistic(x: np.ndarray, right: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    found, weight = np.zeros(x.shape[1]), np.ones(len(right)) if weight is None else weight
    for _ in range(30):
        p = chances(x, found)
        curvature = x.T @ (x * (weight * p * (1 - p))[:, None]) + 1e-6 * np.eye(len(found))
        found = found - np.linalg.solve(curvature, x.T @ (weight * (p - right)))
    return found


def chances(x: np.ndarray, found: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x @ found, -7, 7)))


def cells(sure: np.ndarray, right: np.ndarray) -> str:
    figures = (auc(sure, right > 0) or 0, brier_score(sure, right), calibration_error(sure, right))
    return " | ".join(
        f"{figure:.{digits}f}" for figure, digits in zip(figures, (3, 4, 3), strict=False)
    )


def rules(words: Words) -> None:
    print("\n| rule | AUC | Brier | ECE |\n|---|---|---|---|")
    for rule, names in RULES.items():
        x, sure = columns(words, names), np.zeros(len(words.right))
        for speaker in np.unique(words.speaker):
            others = words.speaker != speaker
            sure[~others] = chances(x[~others], logistic(x[others], words.right[others]))
        print(f"| {rule} | {cells(sure, words.right)} |", flush=True)


def defaults(of_base: dict[str, Words]) -> None:
    print("\n### Weights of the default, and of one set tried on another\n")
    x = {name: columns(words, ("vote", "likelihood")) for name, words in of_base.items()}
    weight = {name: np.full(len(w.right), 1e4 / len(w.right)) for name, w in of_base.items()}
    right = np.concatenate([words.right for words in of_base.values()])
    every = np.concatenate([*x.values()]), right, np.concatenate([*weight.values()])
    print(f"all sets: {np.round(logistic(*every), 2)} (constant, vote, likelihood)\n")
    for one in of_base:
        found = logistic(x[one], of_base[one].right)
        for other in of_base:
            said = cells(chances(x[other], found), of_base[other].right)
            print(f"- of {one} {np.round(found, 2)}, on {other}: AUC, Brier, ECE {said}")


def isotonic(sure: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from scipy.optimize import isotonic_regression

    at, place = np.unique(sure, return_inverse=True)
    count = np.bincount(place)
    heights = isotonic_regression(np.bincount(place, right) / count, weights=count).x
    return lambda p: np.interp(p, at, heights)


def calibrated(validation: Words, test: Words) -> dict[str, np.ndarray]:
    """Confidences of a fold's test words by what its validation words say."""
    clip = [
        JudgedWord(float(p), bool(r))
        for p, r in zip(validation.default, validation.right, strict=False)
    ]
    own = fit_calibration([clip])
    odds = [np.array([log_odds(p) for p in w.default.tolist()]) for w in (validation, test)]
    shift = 0.0
    for _ in range(30):
        p = 1 / (1 + np.exp(-odds[0] - shift))
        shift -= (p - validation.right).sum() / (p * (1 - p)).sum()
    fitted = f"{own.intercept:+.2f} and {own.slope:.2f} times the log odds"
    print(f"- {len(clip)} validation words: {fitted if own.own else own.says}")
    return {
        "default": test.default,
        "**moontune's**": np.array([own(p) for p in test.default.tolist()]),
        "intercept alone": 1 / (1 + np.exp(-odds[1] - shift)),
        "isotonic": isotonic(validation.default, validation.right)(test.default),
    }


def main(args: Args) -> None:
    def rows_of(crossval: Path, fold: Path, which: str, split: str) -> list[dict[str, Any]]:
        name = f"{fold.name}-{which}-{split}.jsonl"
        file = args.lists / f"{crossval.parent.name}-{crossval.name}" / name
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_jsonl(file, list(decoded(RunDir(fold), which, split)))
        aside = {s.id for s in RunDir(fold).suspects() if s.set_aside}  # of none of the test clips
        return [row for row in read_jsonl(file) if row["id"] not in aside]

    of_base: dict[str, Words] = {}
    for crossval in args.crossvals:
        folds = sorted(crossval.glob("fold-*"))
        test = [words_of(rows_of(crossval, fold, "tuned", "test")) for fold in folds]
        validation = [words_of(rows_of(crossval, fold, "tuned", "val")) for fold in folds]
        of_base[str(crossval)] = words_of(
            [row for fold in folds for row in rows_of(crossval, fold, "base", "test")]
        )
        together = Words(
            *(
                np.concatenate(parts)
                for parts in zip(*(vars(w).values() for w in test), strict=False)
            )
        )
        right, count = together.right, len(together.right)
        print(f"\n### {crossval}: {count} words, {100 * right.mean():.1f} % right", flush=True)
        rules(together)
        print()
        ways = [calibrated(*pair) for pair in zip(validation, test, strict=True)]
        print("\n| calibration | AUC | Brier | ECE |\n|---|---|---|---|")
        for way in ways[0]:
            print(f"| {way} | {cells(np.concatenate([w[way] for w in ways]), right)} |")
    defaults(of_base)


if __name__ == "__main__":
    main(tyro.cli(Args))
