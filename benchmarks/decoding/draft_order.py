"""What is found by correcting drafts in moontune's order, instead of as they come.

    uv run python -m benchmarks.decoding.draft_order LISTS outputs/CROSSVAL...

The base's drafts of all clips, from the LISTS that `benchmarks.decoding.confidence` keeps, are put
in the order of `moontune transcribe --draft`, and in ten random ones. Prints Markdown: of the first
tenth, quarter and half of the sound, the errors that are in it, their share of all errors, the
share of all words that it has, and its speakers.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from moontune.data.manifest import read_run_manifest
from moontune.data.normalizer import normalize
from moontune.evaluation.error_rates import word_edits
from moontune.models.confidence.agreement import evidence
from moontune.models.confidence.calibration import default_confidence
from moontune.models.consensus import agreed
from moontune.models.decoding import Transcript
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl
from moontune.transcribe.need import Draft, Transcribed, ranked

SHARES = (0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Args:
    """Drafts in order."""

    lists: tyro.conf.Positional[Path]
    """Folder of what `benchmarks.decoding.confidence` decoded."""
    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """Finished cross-validations."""


@dataclass(frozen=True)
class Clip:
    draft: Draft
    words: frozenset[str]
    count: int
    errors: int


def clips_of(lists: Path, crossval: Path) -> Iterable[Clip]:
    for fold in sorted(crossval.glob("fold-*")):
        seconds = {u.id: u for u in read_run_manifest(RunDir(fold).manifest("test"))}
        name = f"{crossval.parent.name}-{crossval.name}/{fold.name}-base-test.jsonl"
        for row in read_jsonl(lists / name):
            beams = [(Transcript(text, [], cut), p) for text, p, cut in row["beams"]]
            text, reference = agreed(beams).text, normalize(row["reference"]).split()
            sure = [default_confidence(e) for e in evidence(text, beams)]
            u = seconds[row["id"]]
            draft = Draft(text, sure, u.duration_or_1s, u.speaker)
            errors = word_edits(row["reference"], text).errors
            yield Clip(draft, frozenset(reference), len(reference), errors)


def first(clips: Sequence[Clip], order: Sequence[int], share: float) -> np.ndarray:
    """Of the first share of the sound: WER, share of errors, share of words, speakers."""
    most = share * sum(c.draft.seconds for c in clips)
    seconds, part = 0.0, []
    for i in order:
        if seconds >= most:
            break
        seconds += clips[i].draft.seconds
        part.append(clips[i])
    errors = sum(c.errors for c in part)
    return np.array(
        [
            errors / sum(c.count for c in part),
            errors / sum(c.errors for c in clips),
            len(frozenset().union(*(c.words for c in part)))
            / len(frozenset().union(*(c.words for c in clips))),
            len({c.draft.speaker for c in part}),
        ]
    )


def main(args: Args) -> None:
    print("| set | first | order | WER | share of errors | share of words | speakers |")
    print("|---|---|---|---|---|---|---|")
    for crossval in args.crossvals:
        clips = [c for c in clips_of(args.lists, crossval) if c.draft.text]
        places = list(range(len(clips)))
        shuffled = [random.Random(seed).sample(places, len(places)) for seed in range(10)]
        orders = {
            "random": shuffled,
            "moontune's": [[i for i, _ in ranked([c.draft for c in clips], Transcribed())]],
        }
        for share in SHARES:
            for name, several in orders.items():
                found = np.mean([first(clips, order, share) for order in several], axis=0)
                cells = [f"{100 * x:.0f} %" for x in found[:3]]
                print(
                    f"| {crossval.parent.name} | {share:.0%} | {name} | {' | '.join(cells)} "
                    f"| {found[3]:.0f} |"
                )


if __name__ == "__main__":
    main(tyro.cli(Args))
