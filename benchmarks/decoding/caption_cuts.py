"""Whether subtitles whose times are a little wrong are cut in the pauses between sentences.

    uv run python -m benchmarks.decoding.caption_cuts

Clips of a shared set are put one behind another with pauses of 0.3 to 0.9 s and a faint hiss, and
given an SRT with a caption for each, whose times are wrong by up to so many seconds. `moontune
import` cuts the recording again. A clip is found if one has exactly its words: captions that do not
end a sentence are joined with what follows, and are not looked at. Speech is frames of 10 ms within
35 dB of the recording's loud ones. Prints Markdown: clips found, clips that lack speech of their
own, clips that have speech of another, and how far boundaries are from the clips' own, seconds.
`as told` are the times of the SRT themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.paths import default_manifests
from moontune.data.audio import SAMPLE_RATE_HZ, read_audio, write_flac
from moontune.data.manifest import read_manifest
from moontune.importing.command import ImportArgs, import_sources

FRAME = 160
Span = tuple[float, float]


@dataclass(frozen=True)
class Args:
    """Captions with wrong times."""

    manifests: tuple[Path, ...] = default_manifests()
    """JSONL manifests of clips."""
    clips: int = 120
    """How many of each to put together."""
    wrong_s: tuple[float, ...] = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
    """The most that times are wrong."""
    seed: int = 0
    """Which clips, the pauses and the times."""


def joined(
    manifest: Path, clips: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[Span, str]]]:
    """A recording, (samples,), and where each clip is in it with its text."""
    rows = [u for u in read_manifest(manifest)[0] if u.text.strip()]
    chosen = [rows[i] for i in rng.permutation(len(rows))[:clips]]
    parts, said, at = [np.zeros(SAMPLE_RATE_HZ // 2)], [], 0.5
    for u in chosen:
        samples = read_audio(u.audio)
        pause = np.zeros(round(SAMPLE_RATE_HZ * rng.uniform(0.3, 0.9)))
        seconds = len(samples) / SAMPLE_RATE_HZ
        said.append(((at, at + seconds), " ".join(u.text.split())))
        parts += [samples, pause]
        at += seconds + len(pause) / SAMPLE_RATE_HZ
    whole = np.concatenate(parts)
    return (whole + rng.normal(0, 1e-4, len(whole))).astype(np.float32), said


def told(said: Sequence[tuple[Span, str]], wrong_s: float, rng: np.random.Generator) -> list[Span]:
    """The clips' times made wrong, none before the one before it ends."""
    spans: list[Span] = []
    for (start, end), _ in said:
        begin, stop = start + rng.uniform(-wrong_s, wrong_s), end + rng.uniform(-wrong_s, wrong_s)
        spans.append((max(begin, spans[-1][1] if spans else 0.0), stop))
    return [(begin, max(stop, begin + 0.1)) for begin, stop in spans]


def srt(spans: Sequence[Span], texts: Sequence[str]) -> str:
    def clock(seconds: float) -> str:
        ms = round(1000 * seconds)
        return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    cues = zip(spans, texts, strict=True)
    return "".join(f"{i}\n{clock(s)} --> {clock(e)}\n{t}\n\n" for i, ((s, e), t) in enumerate(cues))


def speech(samples: np.ndarray) -> np.ndarray:
    """Whether each frame of 10 ms is speech, (frames,)."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-10)
    return level > np.percentile(level, 95) - 35


def count(loud: np.ndarray, start_s: float, end_s: float) -> int:
    """Frames of speech between two times."""
    return int(loud[max(0, round(100 * start_s)) : max(0, round(100 * end_s))].sum())


def row(name: str, spans: Sequence[Span | None], places: Sequence[Span], loud: np.ndarray) -> str:
    found = [(s, p, i) for i, (s, p) in enumerate(zip(spans, places, strict=True)) if s]
    lacking = foreign = 0
    for (start, end), (begin, stop), i in found:
        lacking += count(loud, begin, start) + count(loud, end, stop) > 2
        before = places[i - 1][1] if i else 0.0
        after = places[i + 1][0] if i + 1 < len(places) else stop + 9
        foreign += count(loud, start, before) + count(loud, after, end) > 2
    starts, ends = (np.median([abs(s[side] - p[side]) for s, p, _ in found]) for side in (0, 1))
    wrong = f"{lacking} | {foreign} | {starts:.3f} | {ends:.3f}"
    return f"| {name} | {len(found)} / {len(spans)} | {wrong} |"


def main(args: Args) -> None:
    print("| times | found | lack speech | have another's | begin off | end off |")
    print("|---|---|---|---|---|---|")
    for manifest in args.manifests:
        for wrong_s in args.wrong_s:
            rng = np.random.default_rng(args.seed)
            samples, said = joined(manifest, args.clips, rng)
            spans, loud = told(said, wrong_s, rng), speech(samples)
            with tempfile.TemporaryDirectory() as folder:
                write_flac(Path(folder) / "talk.flac", samples)
                source = Path(folder) / "talk.srt"
                source.write_text(srt(spans, [text for _, text in said]), encoding="utf-8")
                output = Path(folder) / "out"
                import_sources(ImportArgs((source,), output, link=True), lambda line: None)
                rows = read_manifest(output / "manifest.jsonl")[0]
            cut = {u.text: (u.offset or 0, (u.offset or 0) + (u.duration or 0)) for u in rows}
            name, places = manifest.parent.name, [span for span, _ in said]
            print(row(f"{name}, ±{wrong_s} s, as told", spans, places, loud))
            there = [cut.get(text) for _, text in said]
            print(row(f"{name}, ±{wrong_s} s, cut", there, places, loud))


if __name__ == "__main__":
    main(tyro.cli(Args))
