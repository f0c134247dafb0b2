"""Whether a long recording and a script without times are cut into clips with exactly their words.

    uv run python -m benchmarks.decoding.script_alignment

Clips of a shared set are put one behind another with pauses of 0.3 to 0.9 s and a faint hiss. The
script is their transcripts, a line each (`whole`); the same with a tenth of the lines missing and
as many of other clips put between them (`changed`); or all in one paragraph (`paragraph`).
`moontune import` aligns and cuts. Prints Markdown: clips that the script has; found alone; found as
two or more that were merged; found cut in two or more whose words together are exactly theirs;
clips with a wrong word, or another's speech; how far boundaries are off, median, seconds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from benchmarks.decoding.caption_cuts import Span, joined
from benchmarks.paths import default_manifests, default_model
from moontune.data.audio import write_flac
from moontune.data.manifest import Utterance, read_manifest
from moontune.importing.data_set import Request, make_data_set
from moontune.importing.script.listening import Listener
from moontune.importing.values import Fit, Guess, Piece

_HEARD_S = 0.12  # of a clip within another: it is in it
WAYS = ("whole", "changed", "paragraph")


@dataclass(frozen=True)
class Args:
    """Scripts without times."""

    manifests: tuple[Path, ...] = default_manifests()
    """JSONL manifests of clips."""
    model: str = default_model()
    """The base that listens."""
    clips: int = 150
    """How many of each to put together."""
    changed: float = 0.1
    """The share of the script's lines that is missing, and that is foreign."""
    seeds: tuple[int, ...] = (0,)
    """Which clips, the pauses and the changes."""


@dataclass
class Counts:
    alone: set[int] = field(default_factory=set)
    merged: set[int] = field(default_factory=set)
    in_parts: set[int] = field(default_factory=set)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    errors_s: list[float] = field(default_factory=list)


@dataclass
class Heard:
    """A listener that has heard the recording."""

    listener: Listener
    pieces: list[Piece]

    def hear(self, recording: Path, longest_s: float) -> list[Piece]:
        return self.pieces

    def fits(self, recording: Path, guesses: Sequence[Guess]) -> list[tuple[Fit, ...]]:
        return self.listener.fits(recording, guesses)


def script(way: str, manifest: Path, texts: Sequence[str], args: Args, seed: int) -> list[str]:
    """The script's lines."""
    if way == "whole":
        return list(texts)
    if way == "paragraph":
        return [" ".join(texts)]
    rng = np.random.default_rng(seed + 1)
    count = round(args.changed * len(texts))
    gone = set(rng.permutation(len(texts))[:count].tolist())
    lines = [text for i, text in enumerate(texts) if i not in gone]
    known = {*texts, ""}
    foreign = [
        t for u in read_manifest(manifest)[0] if (t := " ".join(u.text.split())) not in known
    ]
    for text in rng.permutation(foreign)[:count]:
        lines.insert(int(rng.integers(0, len(lines) + 1)), str(text))
    return lines


def counted(rows: Sequence[Utterance], places: Sequence[Span], texts: Sequence[str]) -> Counts:
    """What became of the clips. Rows that share a clip of the recording are looked at together."""
    counts, chains = Counts(), list[list[tuple[Span, str, list[int]]]]()
    for u in rows:
        start, end = u.offset or 0.0, (u.offset or 0.0) + (u.duration or 0.0)
        over = [min(end, stop) - max(start, begin) for begin, stop in places]
        row = ((start, end), u.text, [i for i, s in enumerate(over) if s > _HEARD_S])
        if chains and chains[-1][-1][2][-1:] == row[2][:1]:
            chains[-1].append(row)
        else:
            chains.append([row])
    for chain in chains:
        inside = sorted({i for _, _, covered in chain for i in covered})
        said = " ".join(text for _, text, _ in chain)
        wanted = " ".join(texts[i] for i in inside)
        if said not in wanted or not inside:
            counts.wrong.append((said, wanted))
        elif said != wanted:  # one at the edge is there in part: no error, and not found
            counts.in_parts |= {i for i in inside if texts[i] in said}
        else:
            kind = counts.in_parts if len(chain) > 1 else counts.merged
            (counts.alone if len(chain) == len(inside) == 1 else kind).update(inside)
            first, last = places[inside[0]], places[inside[-1]]
            counts.errors_s += [abs(chain[0][0][0] - first[0]), abs(chain[-1][0][1] - last[1])]
    return counts


def row(name: str, counts: Counts, there: int) -> str:
    found = len(counts.alone | counts.merged | counts.in_parts)
    kinds = " | ".join(str(len(kind)) for kind in (counts.alone, counts.merged, counts.in_parts))
    error = f"{np.median(counts.errors_s):.3f}" if counts.errors_s else "-"
    return f"| {name} | {there} | {kinds} | {found / there:.1%} | {len(counts.wrong)} | {error} |"


def main(args: Args) -> None:
    print("| recording | clips | alone | merged | in parts | found | wrong | off, median |")
    print("|---|---|---|---|---|---|---|---|")
    wrong: list[str] = []
    for manifest, seed in ((m, s) for m in args.manifests for s in args.seeds):
        samples, said = joined(manifest, args.clips, np.random.default_rng(seed))
        places, texts = [span for span, _ in said], [text for _, text in said]
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "talk.flac"
            write_flac(recording, samples)
            begun = time.perf_counter()
            listener = Listener(args.model)
            pieces = listener.hear(recording, Request.longest_s)
            heard_s = time.perf_counter() - begun
            for way in WAYS:
                lines = script(way, manifest, texts, args, seed)
                source, output = Path(folder) / "talk.txt", Path(folder) / way
                source.write_text("\n".join(lines), encoding="utf-8")
                output.mkdir()
                request = Request((source,), link=True)
                make_data_set(request, output, ear=Heard(listener, pieces))
                rows = read_manifest(output / "manifest.jsonl")[0]
                counts = counted(rows, places, texts)
                there = sum(text in lines for text in texts) if way == "changed" else len(texts)
                name = f"{manifest.parent.name}, {way}, seed {seed}"
                print(row(name, counts, there), flush=True)
                wrong += [f"{name}: {has!r}, said is {is_!r}" for has, is_ in counts.wrong]
        wrong.append(f"{len(samples) / 16000:.0f} s of sound heard in {heard_s:.0f} s")
    print("", *wrong, sep="\n")


if __name__ == "__main__":
    main(tyro.cli(Args))
