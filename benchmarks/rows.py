"""How the cost of preparing a run grows with the rows of a manifest of which it takes a few.

    uv run python -m benchmarks.rows

The rows are a manifest's, repeated, each with a text of its own. Preparing is `moontune sample
--utterances N`, `clean` and `split`. Beside it: reading the file, and reading it as JSON. Prints
Markdown.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from benchmarks.paths import SHARED, default_model
from benchmarks.scale import prepare
from moontune.data.manifest import read_manifest


@dataclass(frozen=True)
class Args:
    """How the cost of preparing grows with rows."""

    manifest: Path = SHARED / "data" / "adventure_game" / "manifest.jsonl"
    """JSONL manifest whose rows are repeated."""
    model_id: str = default_model()
    """The base."""
    rows: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """Sizes to measure."""
    utterances: int = 300
    """Rows to take."""


def main(args: Args) -> None:
    clips = read_manifest(args.manifest)[0]
    print("| rows | MB | preparing, s | its peak, MiB | reading, s | as JSON, s |")
    print("|---" * 6 + "|", flush=True)
    for count in args.rows:
        rows = (
            replace(u, id=f"{u.id}-{i}", text=f"{u.text} {i}")
            for i, u in enumerate(itertools.islice(itertools.cycle(clips), count))
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            f = prepare(rows, args.model_id, folder, "--utterances", str(args.utterances))
            content = folder / "rows.jsonl"
            begun = time.perf_counter()
            with open(content, "rb") as file:
                lines = sum(1 for _ in file)
            read = time.perf_counter()
            with open(content, "rb") as file:
                for line in file:
                    json.loads(line)
            parsed = time.perf_counter()
            print(
                f"| {lines} | {content.stat().st_size / 1e6:.0f} | {f['prepare_s']:.1f} "
                f"| {f['prepare_mib']:.0f} | {read - begun:.1f} | {parsed - read:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
