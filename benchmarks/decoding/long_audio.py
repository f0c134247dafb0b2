"""What cutting a long recording costs in words: clips of a set put end to end, heard in segments.

    uv run python -m benchmarks.decoding.long_audio

Every recording is about ten minutes of a shared set's clips, one speaker after the other, with a
pause between clips: none, half a second, or anything up to four seconds. WER is of the whole text,
words of all clips in one row, for each way alike. Prints Markdown.

- clip by clip: the clips as evaluation hears them; they were cut by people
- windows: every 30 s, wherever that is
- pause, target N: `moontune transcribe`, its `target_s` set to N
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro

from benchmarks.paths import default_manifests, default_model
from moontune.config.schema import EvalConfig
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.models.base_model import load_base
from moontune.models.decoding import Transcript, length_batches
from moontune.models.transcriber import Transcriber, load_audio
from moontune.system.device import choose_device
from moontune.system.formatting import percent
from moontune.transcribe.long_form import loops, transcribe_long
from moontune.transcribe.segmentation import SegmentationConfig

CAP = EvalConfig().token_cap
WINDOW = 30 * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Args:
    """Cutting at pauses against clip by clip and fixed windows."""

    manifest: tuple[Path, ...] = default_manifests()
    """JSONL manifests; default: the shared sets."""
    model_id: str = default_model()
    """The base."""
    minutes: float = 10.0
    """Length of a recording, pauses not counted."""
    pauses_s: tuple[str, ...] = ("0", "0.5", "0-4")
    """Pauses between clips: a length, or a range to draw from."""
    targets_s: tuple[float, ...] = (8.0, 14.0, 20.0, 28.0)
    """Lengths of segments to try."""
    seed: int = 0
    """Which clips, and the pauses."""


@dataclass(frozen=True)
class Result:
    texts: list[str]
    lengths_s: list[float]
    truncated: int
    loops: int
    again: int = 0


def some_minutes(rows: Sequence[Utterance], minutes: float, seed: int) -> list[Utterance]:
    """Clips with words drawn at random, then sorted by speaker."""
    order = np.random.default_rng(seed).permutation(len(rows))
    taken, seconds = [], 0.0
    for i in order:
        if seconds < 60 * minutes and rows[i].text:
            taken.append(rows[i])
            seconds += rows[i].duration_or_1s
    return sorted(taken, key=lambda u: u.speaker or "")


def joined(audio: Sequence[np.ndarray], pause: str, seed: int) -> np.ndarray:
    low, _, high = pause.partition("-")
    rng = np.random.default_rng(seed)
    parts = []
    for clip in audio:
        silence = int(SAMPLE_RATE_HZ * rng.uniform(float(low), float(high or low)))
        # Not digital silence, which nothing that was recorded has.
        parts += [clip, (1e-4 * rng.standard_normal(silence)).astype(np.float32)]
    return np.concatenate(parts)


def whole(clips: Sequence[np.ndarray], transcribe: Transcriber) -> Result:
    found: dict[int, Transcript] = {}
    lengths = [len(c) / SAMPLE_RATE_HZ for c in clips]
    for together in length_batches(lengths):
        found |= zip(together, transcribe([clips[i] for i in together], CAP), strict=True)
    outs = [found[i] for i in range(len(clips))]
    cut = [t for t in outs if t.truncated]
    return Result([t.text for t in outs], lengths, len(cut), sum(loops(t.tokens) for t in cut))


def windows(samples: np.ndarray, transcribe: Transcriber) -> Result:
    clips = [samples[i : i + WINDOW] for i in range(0, len(samples), WINDOW)]
    return whole([c for c in clips if len(c) >= SAMPLE_RATE_HZ // 10], transcribe)


def at_pauses(samples: np.ndarray, transcribe: Transcriber, config: SegmentationConfig) -> Result:
    said = transcribe_long(samples, transcribe, CAP, config)
    lengths = [s.segment.end_s - s.segment.start_s for s in said]
    return Result(
        [s.text for s in said],
        lengths,
        sum(s.truncated for s in said),
        0,
        sum(s.again for s in said),
    )


def line(name: str, pause: str, reference: str, how: Callable[[], Result]) -> str:
    begun = time.perf_counter()
    found = how()
    seconds = time.perf_counter() - begun
    edits = word_edits(reference, " ".join(found.texts))
    lengths = found.lengths_s
    cells = [
        *(name, pause, percent(corpus_wer([edits]))),
        *(str(edits.substitutions), str(edits.deletions), str(edits.insertions)),
        *(str(len(lengths)), f"{np.mean(lengths):.1f}", f"{max(lengths):.1f}"),
        *(str(found.truncated), str(found.loops), str(found.again)),
        f"{seconds / sum(lengths):.3f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main(args: Args) -> None:
    base = load_base(args.model_id, None, choose_device("cpu").name)
    transcribe = Transcriber(base)
    for manifest in args.manifest:
        rows = some_minutes(read_manifest(manifest)[0], args.minutes, args.seed)
        audio = [load_audio(u) for u in rows]
        reference = " ".join(u.text for u in rows)
        seconds = sum(u.duration_or_1s for u in rows)
        print(f"\n{manifest.parent.name}: {len(rows)} clips, {seconds:.0f} s\n")
        print(
            "| way | pauses s | WER | S | D | I | pieces | mean s | longest s | truncated |"
            " loops | heard again | RTF |\n|" + "---|" * 13
        )
        by_clip = partial(whole, audio, transcribe)
        print(line("clip by clip", "", reference, by_clip), flush=True)
        for pause in args.pauses_s:
            samples = joined(audio, pause, args.seed)
            by_window = partial(windows, samples, transcribe)
            print(line("windows", pause, reference, by_window), flush=True)
            for target in args.targets_s:
                config = replace(SegmentationConfig(), target_s=target)
                by_pause = partial(at_pauses, samples, transcribe, config)
                print(line(f"pause, target {target:g}", pause, reference, by_pause), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
