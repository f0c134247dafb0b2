"""Tuned adapters against other recognisers, untuned, on the same clips.

    uv run python -m benchmarks.decoding.peers outputs/CROSSVAL whisper-base.jsonl

    uv run python -m benchmarks.decoding.consensus LISTS outputs/CROSSVAL
    uv run python -m benchmarks.decoding.peers LISTS/CROSSVAL whisper-base.jsonl

Of a cross-validation what its folds wrote, by each decoding that it had; of what the second
command kept, which decodes the folds' test clips, the consensus. Both are compared with transcripts
that `moontune score` reads. Prints Markdown: WER of both and the change, with its 95 % interval
over speakers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.decoding.consensus import chosen
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, prediction_row
from moontune.system.files import read_jsonl
from moontune.system.formatting import percent


@dataclass(frozen=True)
class Args:
    """Tuned adapters against other recognisers."""

    lists: tyro.conf.Positional[Path]
    """A cross-validation, or what `benchmarks.decoding.consensus` kept of one."""
    peers: tyro.conf.Positional[tuple[Path, ...]]
    """Files of transcripts of the same clips."""
    width: int = 8
    """Beams of a clip."""
    thorough: bool = False
    """Beams at three speeds, as of --decoding thorough."""


def named(clip: Any) -> str:
    """A clip's id without folder and suffix."""
    return str(clip).rsplit("/", 1)[-1].split(".", 1)[0]


def row(clip: dict[str, Any], hypothesis: str) -> PredictionRow:
    facts = {name: clip[name] for name in ("id", "speaker", "duration", "reference")}
    return prediction_row(facts | {"hypothesis": hypothesis}, str(clip["id"]))


def of_folds(folds: list[Path]) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """The test clips of a cross-validation's folds, and their transcripts by decoding."""
    clips, with_text = [], {}
    for fold in folds:
        clips += read_jsonl(fold / "predictions_tuned.jsonl")
        if (texts := fold / "domain_text_tuned.json").is_file():
            with_text |= json.loads(texts.read_text(encoding="utf-8"))["texts"]
    texts = {"greedy": [clip["hypothesis"] for clip in clips]}
    if all("consensus" in clip for clip in clips):
        texts["consensus"] = [clip["consensus"]["hypothesis"] for clip in clips]
    if with_text and "consensus" in texts:  # a fold whose clips weigh the text nothing has none
        both = zip(clips, texts["consensus"], strict=True)
        texts["with text"] = [with_text.get(clip["id"], text) for clip, text in both]
    return clips, texts


def main(args: Args) -> None:
    if folds := sorted(f.parent for f in args.lists.glob("fold-*/predictions_tuned.jsonl")):
        clips, texts = of_folds(folds)
    else:
        files = sorted(args.lists.glob(f"fold-*-tuned-{args.width}.jsonl"))
        clips = [clip for file in files for clip in read_jsonl(file)]
        of = "thorough" if args.thorough else "beams"
        texts = {"consensus": [chosen(clip, of) for clip in clips]}
    print("| against | clips | WER | decoding | tuned | 95 % |\n|---|---|---|---|---|---|")
    for peer in args.peers:
        said = {named(other["id"]): other["hypothesis"] for other in read_jsonl(peer)}
        if lacking := [clip["id"] for clip in clips if named(clip["id"]) not in said]:
            raise SystemExit(f"{peer}: has no transcript of {len(lacking)} clips, as {lacking[0]}")
        theirs = [row(clip, said[named(clip["id"])]) for clip in clips]
        for decoding, written in texts.items():
            tuned = [row(clip, text) for clip, text in zip(clips, written, strict=True)]
            wer = compare(theirs, tuned, 42).measures["wer"]
            interval = show_interval("wer", wer.difference_interval)
            before, after = percent(wer.before), percent(wer.after)
            cells = (peer.stem, str(len(clips)), before, decoding, after, interval)
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
