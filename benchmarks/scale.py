"""How the cost of a run grows with the hours of audio: time and memory of preparing and training.

    uv run python -m benchmarks.scale
    uv run python -m benchmarks.scale --hours 0.5 5 --manifest my.jsonl

The hours are made by repeating a manifest's clips, each time a thousandth of a second later, which
makes other recordings of them. Preparing is `moontune sample`, `clean` and `split`. Then a pass
over clips fills what `train` keeps of them (the front end's features, in memory up to a bound,
beyond it nothing), and some updates on random clips of all are made. Each size runs in a process of
its own. Prints Markdown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.paths import ROOT, SHARED, default_model
from benchmarks.speed.startup import MOONTUNE
from benchmarks.speed.work import in_mib, peak_mib, sentence_case
from moontune.data.manifest import Utterance, read_manifest, to_row
from moontune.system.files import json_line


@dataclass(frozen=True)
class Args:
    """How the cost of a run grows with the hours of audio."""

    manifest: Path = SHARED / "data" / "adventure_game" / "manifest.jsonl"
    """JSONL manifest whose clips are repeated."""
    model_id: str = default_model()
    """The base."""
    hours: tuple[float, ...] = (0.5, 5.0, 50.0, 100.0)
    """Sizes to measure."""
    updates: int = 20
    """Updates of 8 clips after the pass over all of them."""
    worker: Annotated[bool, tyro.conf.arg(help="Measure the first size here; used by itself.")] = (
        False
    )


def repeated(rows: list[Utterance], hours: float) -> list[Utterance]:
    """Rows again and again, under new ids, until they come to so many hours; each time they begin a
    thousandth of a second later, so that none is another's recording."""
    out: list[Utterance] = []
    seconds, turn = 0.0, 0
    while seconds < 3600 * hours:
        for u in rows:
            if seconds >= 3600 * hours:
                break
            late = min(0.001 * turn, 0.5 * u.duration_or_1s)
            place = {"offset": late, "duration": u.duration_or_1s - late} if turn else {}
            out.append(replace(u, id=f"{u.id}-{turn}", **place))
            seconds += out[-1].duration_or_1s
        turn += 1
    return out


def prepare(rows: Iterable[Utterance], model_id: str, folder: Path, *more: str) -> dict[str, float]:
    """Seconds of sample, clean and split together, and the most memory one of them took. `more` are
    flags of `sample`."""
    manifest = folder / "rows.jsonl"
    with open(manifest, "wb") as file:  # row by row: a child's peak is at least its parent's
        file.writelines(json_line(to_row(u)) + b"\n" for u in rows)
    words = [*more, "--manifest", manifest, "--model-id", model_id, "--output-dir", folder]
    words += ["--run-name", "run", "--general", "off", "--report-file", folder / "report.md"]
    begun, peaks = time.perf_counter(), []
    for command in (["sample", *words], ["clean", folder / "run"], ["split", folder / "run"]):
        process = subprocess.Popen([*MOONTUNE, *map(str, command)], stdout=subprocess.DEVNULL)
        _, code, used = os.wait4(process.pid, 0)
        if code:
            raise SystemExit(f"moontune {command[0]} failed")
        peaks.append(in_mib(used.ru_maxrss))
    took = time.perf_counter() - begun
    shares = json.loads((folder / "run" / "split.json").read_text(encoding="utf-8"))["shares"]
    kept = {f"{name}_clips": share["utterances"] for name, share in shares.items()}
    return {"prepare_s": took, "prepare_mib": max(peaks)} | kept


def train(rows: list[Utterance], args: Args) -> dict[str, float]:
    """The pass that fills what is kept, then updates on random clips."""
    import torch

    from moontune.config.schema import LoraConfig
    from moontune.models.adapter import attach_lora
    from moontune.models.base_model import load_base
    from moontune.models.transcriber import load_audio
    from moontune.system.device import training_dtype
    from moontune.training.feature_cache import MEMORY_BYTES
    from moontune.training.losses import LossComputer
    from moontune.training.sampling import shuffled

    base = load_base(args.model_id, None, "cpu")
    attach_lora(base, LoraConfig(lora_dropout=0.0), 42)
    losses = LossComputer(base, load_audio, getattr(torch, training_dtype("cpu", "auto")))
    for u in rows:
        losses.cache(u)
        if losses.cache.cached_bytes > 0.99 * MEMORY_BYTES:
            break
    kept_mib = peak_mib()
    stream, seconds = shuffled(rows, 1), []
    for _ in range(args.updates):
        clips = [next(stream) for _ in range(8)]
        begun = time.perf_counter()
        for of_tokens in losses.passes(clips, losses.labels(clips)):
            of_tokens.sum().backward()
        seconds.append(time.perf_counter() - begun)
    return {
        "clips": len(rows),
        "cached_mib": losses.cache.cached_bytes / 2**20,
        "after_pass_mib": kept_mib,
        "update_s": sorted(seconds)[len(seconds) // 2],
        "peak_mib": peak_mib(),
    }


def main(args: Args) -> None:
    rows = sentence_case(read_manifest(args.manifest)[0])
    if args.worker:
        print(json.dumps(train(repeated(rows, args.hours[0]), args)))
        return
    print(
        "| hours | clips | preparing, s | its peak, MiB | clips of train, val, test "
        "| kept, MiB | memory then, MiB | an update, s | peak memory, MiB |\n" + "|---" * 9 + "|",
        flush=True,
    )
    for hours in args.hours:
        words = ["--worker", "--hours", hours, "--manifest", args.manifest]
        words += ["--model-id", args.model_id, "--updates", args.updates]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", *map(str, words)],
            check=True,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        f = json.loads(done.stdout.splitlines()[-1])
        with tempfile.TemporaryDirectory() as folder:
            f |= prepare(repeated(rows, hours), args.model_id, Path(folder))
        print(
            f"| {hours:g} | {f['clips']} | {f['prepare_s']:.0f} | {f['prepare_mib']:.0f} "
            f"| {f['train_clips']}, {f['val_clips']}, {f['test_clips']} "
            f"| {f['cached_mib']:.0f} | {f['after_pass_mib']:.0f} "
            f"| {f['update_s']:.2f} | {f['peak_mib']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
