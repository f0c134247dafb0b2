"""A long recording by moontune and by the vendor's own runtime: time and errors beside each other.

    uv run python -m benchmarks.speed.recordings

Of every set some ten minutes of clips are put end to end, with pauses of up to two seconds, one
speaker after the other (`benchmarks.decoding.long_audio`). moontune hears them in float32 and by
its exported 8-bit graphs; the vendor's runtime by the same 8-bit graphs, in its own way of cutting
and decoding. Each has a process of its own on as many cores as it has threads, in turns; the model
is loaded before the clock starts. Prints Markdown: seconds of work a second of sound (the least of
the rounds), WER of the whole text, and its kinds of errors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tyro

from benchmarks.decoding.long_audio import joined, some_minutes
from benchmarks.paths import default_manifests, default_model
from moontune.cli.console import ConsoleUi
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import read_manifest
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.export.vendor_runtime import VendorRuntime, installed_runtime, runtime_architecture
from moontune.models.transcriber import load_audio
from moontune.system.formatting import percent

PAUSES = "0-2"  # seconds


@dataclass(frozen=True)
class Args:
    """Long recordings, beside the vendor's runtime."""

    manifest: tuple[Path, ...] = default_manifests()
    """JSONL manifests; default: the shared sets."""
    model_id: str = default_model()
    """The base."""
    minutes: float = 10.0
    """Length of a recording, pauses not counted."""
    rounds: int = 3
    """Turns of every contender."""
    threads: int = 1
    """Cores of each."""
    seed: int = 0
    """Which clips, and the pauses."""
    python: Path | None = None
    """An interpreter that has the vendor's package, moonshine-voice; default: one is made."""


@dataclass(frozen=True)
class Heard:
    """A contender's text of a recording."""

    text: str
    seconds: float


_OURS = """
import json, os, sys, time
model, recording, threads = sys.argv[1:]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
import numpy as np
import moontune
recognizer, samples = moontune.open_recognizer(model, "cpu"), np.load(recording)
moontune.transcribe_recording(recognizer, samples[: 5 * 16_000])
begun = time.perf_counter()
text = moontune.transcribe_recording(recognizer, samples)
print(json.dumps({"text": text, "seconds": time.perf_counter() - begun}))
"""


def ours(model: str, recording: Path, threads: int) -> Heard:
    words = [sys.executable, "-c", _OURS, model, str(recording), str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return Heard(**json.loads(done.stdout.splitlines()[-1]))


def theirs(runtime: VendorRuntime, graphs: Path, name: str, samples: np.ndarray) -> Heard:
    """`name` is what the runtime calls a model of this size."""
    [found] = runtime.transcribe(graphs, [samples], name)
    return Heard(found.text, found.seconds)


def write_graphs(model_id: str, folder: Path) -> str:
    """Write all forms of a base; returns what the vendor's runtime calls a model of its size."""
    from moontune.export.command import ExportArgs, write_products
    from moontune.models.base_model import load_base

    base = load_base(model_id, None, "cpu")
    write_products(base, None, folder, ExportArgs.spare, ConsoleUi())
    return runtime_architecture(base.net.config)


def line(name: str, reference: str, seconds: float, rounds: list[Heard]) -> str:
    [text] = {one.text for one in rounds}
    edits = word_edits(reference, text)
    kinds = (edits.substitutions, edits.deletions, edits.insertions)
    factor = min(one.seconds for one in rounds) / seconds
    cells = (name, f"{factor:.4f}", f"{1 / factor:.0f}", percent(corpus_wer([edits])))
    return f"| {' | '.join((*cells, *map(str, kinds)))} |"


def main(args: Args) -> None:
    threads = args.threads
    runtime = VendorRuntime(args.python, threads) if args.python else installed_runtime(threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        architecture = write_graphs(args.model_id, folder)
        for manifest in args.manifest:
            rows = some_minutes(read_manifest(manifest)[0], args.minutes, args.seed)
            samples = joined([load_audio(u) for u in rows], PAUSES, args.seed)
            recording = folder / "recording.npy"
            np.save(recording, samples)
            seconds = len(samples) / SAMPLE_RATE_HZ
            graphs, vendor = folder / "ort", f"moonshine-voice {runtime.version}, 8 bit"
            contenders: dict[str, Callable[[], Heard]] = {
                "moontune, float32": partial(ours, args.model_id, recording, threads),
                "moontune, 8 bit": partial(ours, str(graphs), recording, threads),
                vendor: partial(theirs, runtime, graphs, architecture, samples),
            }
            found: dict[str, list[Heard]] = {name: [] for name in contenders}
            for _ in range(args.rounds):
                for name, hear in contenders.items():
                    found[name].append(hear())
            print(f"\n{manifest.parent.name}: {len(rows)} clips, {seconds:.0f} s\n")
            print("| by | RTF | times real time | WER | S | D | I |\n|---|---|---|---|---|---|---|")
            reference = " ".join(u.text for u in rows)
            for name, rounds in found.items():
                print(line(name, reference, seconds, rounds), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
