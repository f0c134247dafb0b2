"""How far word times are from where words are known to begin and end.

    uv run python -m benchmarks.decoding.word_times

Recordings are four clips of a shared set with pauses of 0.2 to 1.2 s between them, so that the
first word of each clip begins, and the last one ends, at a place that is known but for the silence
inside the clip, which is measured by energy: above 35 dB under the clip's loud frames, and 8 dB
above its quiet ones, in frames of 10 ms. Only words that are transcribed right are looked at, since
no other can be found in the transcript. Prints Markdown, seconds.

- transcribe: what `moontune transcribe` writes: the decoder's times, kept within speech
- decoder alone: the recording heard whole, and no regard to where speech is, which cannot help
  words within a phrase either
- characters: each word at its share of the characters, over the time that somebody speaks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from rapidfuzz.distance import Levenshtein

from benchmarks.paths import SHARED, default_model
from moontune.config.schema import EvalConfig
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_manifest
from moontune.data.normalizer import normalize
from moontune.models.base_model import load_base
from moontune.models.decoding import TimedWord
from moontune.models.transcriber import Transcriber, load_audio
from moontune.system.device import choose_device
from moontune.transcribe.long_form import SegmentTranscript, transcribe_long
from moontune.transcribe.segmentation import SegmentationConfig

CLIPS = 4
FRAME = 160


@dataclass(frozen=True)
class Args:
    """Word times against known boundaries."""

    manifest: Path = SHARED / "data" / "adventure_game" / "manifest.jsonl"
    """JSONL manifest of clips."""
    model_id: str = default_model()
    """The base."""
    recordings: int = 50
    """How many to put together."""
    seed: int = 0
    """Which clips, and the pauses."""


@dataclass
class Errors:
    """Found less known, in seconds."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    samples: np.ndarray
    texts: list[str]
    spoken_s: list[tuple[float, float]]  # of each clip, from its first word to its last


def spoken(clip: np.ndarray) -> tuple[float, float]:
    frames = clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME)
    decibels = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    decibels = np.convolve(decibels, np.ones(3) / 3, "same")
    least = max(np.percentile(decibels, 97) - 35, np.percentile(decibels, 3) + 8)
    loud = np.flatnonzero(decibels > least) * FRAME / SAMPLE_RATE_HZ
    return float(loud[0]), float(loud[-1]) + FRAME / SAMPLE_RATE_HZ


def recording(utterances: Sequence[Utterance], rng: np.random.Generator) -> Recording:
    parts, spans, at = [], [], 0
    for u in utterances:
        clip = load_audio(u)
        pause = int(SAMPLE_RATE_HZ * rng.uniform(0.2, 1.2))
        start, end = spoken(clip)
        spans.append((at / SAMPLE_RATE_HZ + start, at / SAMPLE_RATE_HZ + end))
        parts += [clip, (1e-4 * rng.standard_normal(pause)).astype(np.float32)]
        at += len(clip) + pause
    return Recording(np.concatenate(parts), [u.text for u in utterances], spans)


def by_characters(row: SegmentTranscript, config: SegmentationConfig) -> list[TimedWord]:
    spans = row.segment.speech_s(config)
    lengths = [end - start for start, end in spans]
    passed = [0.0, *np.cumsum(lengths)]
    texts = row.text.split()
    shares = np.cumsum([0, *map(len, texts)]) / sum(map(len, texts)) * passed[-1]
    edges = []
    for share in shares:
        i = min(int(np.searchsorted(passed, share, "right")) - 1, len(spans) - 1)
        edges.append(spans[i][0] + share - passed[i])
    return [TimedWord(t, a, b) for t, a, b in zip(texts, edges, edges[1:], strict=False)]


def compare(made: Recording, words: Sequence[TimedWord], errors: Errors) -> None:
    """Add the errors of words at the edges of clips, where they are transcribed right."""
    found = [(token, word) for word in words for token in normalize(word.text).split()]
    known, first, last = [], {}, {}
    for clip, text in enumerate(made.texts):
        tokens = normalize(text).split()
        if tokens:
            first[len(known)] = last[len(known) + len(tokens) - 1] = clip
        known += tokens
    for op in Levenshtein.opcodes(known, [token for token, _ in found]):
        for k in range(op.src_end - op.src_start if op.tag == "equal" else 0):
            place, word = op.src_start + k, found[op.dest_start + k][1]
            if place in first:
                errors.starts.append(word.start_s - made.spoken_s[first[place]][0])
            if place in last:
                errors.ends.append(word.end_s - made.spoken_s[last[place]][1])


def line(name: str, what: str, errors: Sequence[float]) -> str:
    if not errors:
        raise SystemExit(
            f"{name}: of {what} none was transcribed right; give more, or a base that hears"
        )
    sizes = np.abs(errors)
    cells = [
        f"{np.median(sizes):.3f}",
        f"{np.quantile(sizes, 0.9):.3f}",
        f"{np.median(errors):+.3f}",
    ]
    return f"| {name} | {what} | {len(sizes)} | {' | '.join(cells)} |"


def main(args: Args) -> None:
    config, cap = SegmentationConfig(), EvalConfig().token_cap
    transcriber = Transcriber(load_base(args.model_id, None, choose_device("cpu").name))
    rng = np.random.default_rng(args.seed)
    rows = [u for u in read_manifest(args.manifest)[0] if u.text and 1 < u.duration_or_1s < 6]
    chosen = [rows[i] for i in rng.permutation(len(rows))[: CLIPS * args.recordings]]
    written, alone, spread = Errors(), Errors(), Errors()
    for i in range(0, len(chosen), CLIPS):
        made = recording(chosen[i : i + CLIPS], rng)
        transcripts = transcribe_long(made.samples, transcriber.timed, cap, config)
        compare(made, [w for row in transcripts for w in row.words or ()], written)
        compare(made, transcriber.timed([made.samples], cap)[0].words or (), alone)
        rows_with_text = [row for row in transcripts if row.text]
        compare(made, [w for row in rows_with_text for w in by_characters(row, config)], spread)
    print("| times | of | words | median error | 90 % | bias |\n|" + "---|" * 6)
    for name, errors in (("transcribe", written), ("decoder alone", alone), ("characters", spread)):
        print(line(name, "a clip's first word, its start", errors.starts))
        print(line(name, "a clip's last word, its end", errors.ends))


if __name__ == "__main__":
    main(tyro.cli(Args))
