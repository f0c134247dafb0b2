"""What becomes of clips whose greedy transcript comes to no end: halves, or the consensus of beams.

    uv run python -m benchmarks.decoding.loops

Clips as they are, and clips of a speaker joined one after another as long as they stay within 28 s,
which loop more often. Those without an end are heard again both ways: cut in two where there is
least voice, and by the consensus of the whole clip's beams, cut in two only if that does not end
either. Prints Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.paths import default_manifests, default_model
from moontune.config.schema import EvalConfig
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.error_rates import sum_edits, word_edits
from moontune.languages.words import joined_words
from moontune.models.base_model import load_base
from moontune.models.decoding import Transcribe, endless, length_batches
from moontune.models.transcriber import Transcriber, load_audio
from moontune.transcribe.long_form import transcribe_long

CAP = EvalConfig().token_cap


@dataclass(frozen=True)
class Args:
    """What becomes of clips whose greedy transcript comes to no end."""

    manifest: tuple[Path, ...] = default_manifests()
    """JSONL manifests; default: the shared sets."""
    model_id: str = default_model()
    """The base."""
    joined_s: float = 28.0
    """Most seconds of clips that are joined."""
    limit: int | None = None
    """Only the first so many clips of each manifest."""


@dataclass(frozen=True)
class Said:
    """Sound, float32 mono 16 kHz, and what is said in it."""

    samples: np.ndarray
    text: str


def joined(clips: Sequence[tuple[Utterance, Said]], most_s: float) -> Iterator[Said]:
    """Neighbours of one speaker put end to end."""
    parts: list[Said] = []
    speaker: str | None = None
    for u, said in clips:
        samples = sum(len(part.samples) for part in (*parts, said))
        if parts and (u.speaker != speaker or samples > most_s * SAMPLE_RATE_HZ):
            yield end_to_end(parts)
            parts = []
        parts, speaker = [*parts, said], u.speaker
    if parts:
        yield end_to_end(parts)


def end_to_end(parts: Sequence[Said]) -> Said:
    samples = np.concatenate([part.samples for part in parts])
    return Said(samples, ". ".join(part.text for part in parts))


def without_end(clips: Sequence[Said], transcribe: Transcribe) -> Iterator[tuple[Said, str]]:
    """Clips whose transcript loops or was ended by the cap, with that."""
    for indices in length_batches([len(clip.samples) / SAMPLE_RATE_HZ for clip in clips]):
        found = transcribe([clips[i].samples for i in indices], CAP)
        yield from ((clips[i], t.text) for i, t in zip(indices, found, strict=True) if endless(t))


def written(clip: Said, transcribe: Transcribe) -> str:
    return joined_words(row.text for row in transcribe_long(clip.samples, transcribe, CAP))


def main() -> None:
    args = tyro.cli(Args, description=__doc__)
    base = load_base(args.model_id, None, "cpu")
    plain, mending = Transcriber(base, mends_loops=False), Transcriber(base)
    print("| clips | | without an end | words | errors: as it is | halves | consensus |")
    print("|---|---|---|---|---|---|---|")
    for manifest in args.manifest:
        rows = read_manifest(manifest)[0][: args.limit]
        clips = [(u, Said(load_audio(u), u.text)) for u in rows]
        sets = {"": [said for _, said in clips], ", joined": list(joined(clips, args.joined_s))}
        for name, some in sets.items():
            found = list(without_end(some, plain))
            ways = [
                [text for _, text in found],
                [written(clip, plain) for clip, _ in found],
                [written(clip, mending) for clip, _ in found],
            ]
            edits = [
                sum_edits(word_edits(clip.text, t) for (clip, _), t in zip(found, way, strict=True))
                for way in ways
            ]
            errors = " | ".join(str(one.errors) for one in edits)
            words = edits[0].words
            label = f"{manifest.parent.name}{name}"
            print(f"| {label} | {len(some)} | {len(found)} | {words} | {errors} |")


if __name__ == "__main__":
    main()
