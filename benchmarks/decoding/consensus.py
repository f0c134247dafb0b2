"""What the consensus of several beams gives beside greedy decoding, by rules of choosing.

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL...

Of every fold's test clips the base and the fold's adapter write the greedy transcript and the most
likely beams, of the clip as it is and of three speeds (`--decoding thorough`), kept under LISTS
(what is done is not done again). Prints Markdown: minutes that a fold was trained; WER by rule with
its 95 % interval over speakers, and that of the change to greedy; what was looped; and the time
beams take as a multiple of greedy's, the encoder included, both in turns.

Rules: moontune's own consensus, of the clip as it is and at three speeds; of all beams or the first
4 with equal weights; weighted by probability; the most likely beam; and what a choice that knew the
reference would reach.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rapidfuzz.distance import Levenshtein

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import read_run_manifest
from moontune.data.normalizer import normalize
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, prediction_row
from moontune.models.adapter import load_adapted
from moontune.models.base_model import load_base
from moontune.models.consensus import agreed
from moontune.models.decoding import Transcript, repeats
from moontune.models.packed.beams import Beam, beams
from moontune.models.packed.greedy import greedy
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_jsonl
from moontune.system.formatting import percent

CLIPS = 16  # at once


@dataclass(frozen=True)
class Args:
    """Consensus against greedy decoding."""

    lists: tyro.conf.Positional[Path]
    """Folder of what was decoded."""
    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """Finished cross-validations."""
    width: int = 8
    """Beams of a clip."""
    skip_folds: tuple[int, ...] = ()
    """Folds to leave out, such as those a rule was chosen on."""


def decoded(run: RunDir, which: str, width: int) -> Iterator[dict[str, Any]]:
    """A row a test clip: greedy transcript, beams, seconds that both took for its batch."""
    config = run.config()
    base = load_base(config.model.model_id, config.model.revision, "cpu")
    if which == "tuned":
        base, _ = load_adapted(base, run.adapter, run.processor)
    transcriber, cap = Transcriber(base), config.eval.token_cap

    def text(tokens: list[int]) -> str:
        return base.tokenizer.decode(tokens, skip_special_tokens=True).strip()

    def row_of(beam: Beam) -> list[Any]:
        unended = beam.tokens[-1] != transcriber.packed.eos
        return [text(beam.tokens), beam.log_probability, unended]

    clips = sorted(read_run_manifest(run.manifest("test")), key=lambda u: u.duration_or_1s)
    for i in range(0, len(clips), CLIPS):
        part = clips[i : i + CLIPS]
        heard = [load_audio(u) for u in part]
        caps = [cap(len(clip) / SAMPLE_RATE_HZ) for clip in heard]
        times, speeds = [time.perf_counter()], []
        keys = transcriber.encode(heard)
        times.append(time.perf_counter())
        plain = greedy(transcriber.packed, keys, caps)
        times.append(time.perf_counter())
        lists = beams(transcriber.packed, keys, caps, width)
        times.append(time.perf_counter())
        for other in transcriber.at_other_speeds(heard):
            more = beams(transcriber.packed, other, caps, width)
            speeds = [[*had, *found] for had, found in zip(speeds or lists, more, strict=True)]
        times.append(time.perf_counter())
        encoder_s, greedy_s, beams_s, speeds_s = np.diff(times) / len(part)
        for u, tokens, found, every, most in zip(part, plain, lists, speeds, caps, strict=True):
            yield {
                "id": u.id,
                "speaker": u.speaker,
                "duration": u.duration,
                "reference": u.text,
                "greedy": text(tokens),
                "truncated": len(tokens) == most and tokens[-1] != transcriber.packed.eos,
                "beams": list(map(row_of, found)),
                "thorough": sorted(map(row_of, every), key=lambda beam: -beam[1]),
                "seconds": [encoder_s, greedy_s, beams_s, speeds_s],
            }


def chosen(row: dict[str, Any], of: str = "beams") -> str:
    """By moontune's own rule."""
    return agreed([(Transcript(t, [], cut), p) for t, p, cut in row[of]]).text


def weighted(row: dict[str, Any], sharpness: float, first: int = 8) -> str:
    """By the probabilities of transcripts to some power."""
    texts, scores, _ = zip(*row["beams"][:first], strict=True)
    shares = np.exp(sharpness * (np.array(scores) - max(scores)))
    words = [normalize(t).split() for t in texts]
    costs = [
        sum(s * Levenshtein.distance(mine, other) for s, other in zip(shares, words, strict=True))
        for mine in words
    ]
    return texts[int(np.argmin(costs))]


def best(row: dict[str, Any]) -> str:
    reference = normalize(row["reference"]).split()
    texts = [t for t, *_ in row["beams"]]
    return min(texts, key=lambda t: Levenshtein.distance(normalize(t).split(), reference))


RULES: dict[str, Callable[[dict[str, Any]], str]] = {
    "greedy": lambda row: row["greedy"],
    "**moontune's consensus**": chosen,
    "**the same, at three speeds**": lambda row: chosen(row, "thorough"),
    "of all beams, equal weights": lambda row: weighted(row, 0.0),
    "of the first 4, equal weights": lambda row: weighted(row, 0.0, 4),
    "of all, by probability to the 0.3": lambda row: weighted(row, 0.3),
    "of all, by probability": lambda row: weighted(row, 1.0),
    "the most likely beam": lambda row: row["beams"][0][0],
    "moontune's where greedy has no end": lambda row: (
        chosen(row) if looped(row, row["greedy"]) else row["greedy"]
    ),
    "the best of all (knows the reference)": best,
}


def looped(row: dict[str, Any], text: str) -> bool:
    return row["truncated"] or repeats(text)


def span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"


def scored(rows: Sequence[dict[str, Any]], rule: str) -> list[PredictionRow]:
    return scored_by(rows, RULES[rule])


def scored_by(
    rows: Sequence[dict[str, Any]], rule: Callable[[dict[str, Any]], str]
) -> list[PredictionRow]:
    return [prediction_row(r | {"hypothesis": rule(r)}, r["id"]) for r in rows]


def main(args: Args) -> None:
    for crossval in args.crossvals:
        trained = [RunDir(fold).read("train.json")["seconds"] for fold in crossval.glob("fold-*")]
        print(f"\n{crossval}: {sum(trained) / len(trained) / 60:.1f} minutes of training a fold")
        for which in ("base", "tuned"):
            rows: list[dict[str, Any]] = []
            for fold in sorted(crossval.glob("fold-*")):
                if int(fold.name.removeprefix("fold-")) in args.skip_folds:
                    continue
                file = args.lists / crossval.name / f"{fold.name}-{which}-{args.width}.jsonl"
                if not file.is_file():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_jsonl(file, list(decoded(RunDir(fold), which, args.width)))
                rows += read_jsonl(file)
            print(f"\n### {crossval}, {which}\n")
            print("| rule | WER | 95 % | to greedy, 95 % |\n|---|---|---|---|")
            plain = scored(rows, "greedy")
            for rule in RULES:
                found = compare(plain, scored(rows, rule), 42).error_rate
                assert found.after is not None
                change = "" if rule == "greedy" else show_interval("wer", found.difference_interval)
                own = span(found.after_interval)
                print(f"| {rule} | {percent(found.after)} | {own} | {change} |", flush=True)
            before = sum(looped(r, r["greedy"]) for r in rows)
            after = sum(repeats(chosen(r)) for r in rows)
            encoder_s, greedy_s, beams_s, speeds_s = np.sum([r["seconds"] for r in rows], axis=0)
            print(
                f"\nLoops or ends by the cap: greedy {before}, consensus loops {after}. Beams took "
                f"{(encoder_s + beams_s) / (encoder_s + greedy_s):.2f} times greedy's time, "
                f"{beams_s / greedy_s:.2f} times without the encoder; at three speeds "
                f"{(encoder_s + beams_s + speeds_s) / (encoder_s + greedy_s):.2f} times."
            )


if __name__ == "__main__":
    main(tyro.cli(Args))
