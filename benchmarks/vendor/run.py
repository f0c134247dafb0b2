"""The vendor's tuner, `moonshine_voice.lora`, and moontune on the same work, in turns.

    uv venv vendor && uv pip install --python vendor/bin/python 'moonshine-voice[lora]==0.1.5'
    uv run python -m benchmarks.vendor.run --python vendor/bin/python

A random model of a published shape, since the vendor's streaming weights are on the hub alone:
losses and what is learnt say nothing, times and memory what they would of it. Both adapt queries,
keys and values of self-attention at the same rank, in float32, with the same clips in each update,
each in a fresh process. The vendor's three layers share one first matrix, so its adapter is
smaller; the loss of the first update is the base's in both, and must be the same, or this ends with
an error. Times are seconds of the processor, which other work on the machine changes less, over the
second update to the last: what ours computes once for a clip and keeps is within. Prints Markdown.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import tyro

from benchmarks.paths import SHARED, default_model
from benchmarks.speed.contest import program, python
from benchmarks.speed.work import sentence_case
from moontune.data.manifest import Utterance, read_manifest, write_manifest

# Relative, of the first update's loss: the vendor's clips are of 16 bit and padded, and padding
# leaves a clip three frames too many in transformers.
APART = 1e-3


@dataclass(frozen=True)
class Args:
    """The vendor's tuner and moontune on the same work."""

    python: Path
    """The Python of an environment that has `moonshine-voice[lora]`."""
    manifest: Path | None = None
    """JSONL manifest. Default: the shared accented_english."""
    model: str | None = None
    """A streaming model's folder. Default: a random one of `size`."""
    size: Literal["tiny", "small", "medium"] = "tiny"
    """Whose published shape the random model has."""
    sites: Literal["decoder", "encoder", "both"] = "decoder"
    """Half that is adapted; the vendor's default is the decoder."""
    clips: int = 64
    """Clips of the set, evenly spaced."""
    updates: int = 24
    """Updates of each."""
    batch: int = 8
    """Clips in an update."""
    rank: int = 8
    """Of both adapters; alpha is the same."""
    dtypes: str = "float32"
    """Of our matrix products, one after another, with commas; the vendor's is float32 on a CPU."""
    rounds: int = 3
    """Times that each contender runs."""
    threads: int = 1
    """Of every process."""


def streaming_model(args: Args, folder: Path) -> str:
    """The folder of the model that both tune."""
    if args.model is not None:
        return args.model
    from transformers import AutoProcessor, MoonshineStreamingProcessor

    from benchmarks.speed.streaming import random_base

    random_base(args.size).net.save_pretrained(folder)
    real = AutoProcessor.from_pretrained(default_model())  # its tokenizer has as many tokens
    MoonshineStreamingProcessor(real.feature_extractor, real.tokenizer).save_pretrained(folder)
    return str(folder)


def compared(vendor: dict[str, Any], ours: dict[str, Any]) -> float:
    """How far the losses of the first update are apart, relative. Ends this program where both do
    not compute the same."""
    one, other = vendor["losses"][0], ours["losses"][0]
    apart = abs(one - other) / one
    if apart > APART or vendor["threads"] != ours["threads"]:
        raise SystemExit(
            f"not the same work: the first update's losses are {one:.4f} and {other:.4f}, threads "
            f"{vendor['threads']} and {ours['threads']}"
        )
    return apart


def speeds(vendor: dict[str, Any], ours: dict[str, Any]) -> tuple[float, float]:
    """Clips a second of the processor of both, over the second update to the last."""
    clips = sum(map(len, vendor["groups"][1:]))
    return (
        clips / (vendor["ended"] - vendor["begun"][1]),
        clips / (ours["ended"][-1] - ours["ended"][0]),
    )


def contest(
    args: Args, model: str, rows: list[Utterance], dtype: str, folder: Path
) -> tuple[str, str]:
    """A row of the table, and a remark."""
    manifest, vendors = folder / "rows.jsonl", folder / "vendors.jsonl"
    write_manifest(manifest, rows)
    lines = [{"audio": str(u.audio_filepath), "text": u.label, "seconds": u.duration} for u in rows]
    vendors.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    work: dict[str, Any] = {
        "model": model,
        "updates": args.updates,
        "batch_size": args.batch,
        "rank": args.rank,
        "alpha": args.rank,
        "sites": args.sites,
        "lr": 1e-4,
        "seed": 42,
        "dtype": dtype,
        "out": str(folder / "out.json"),
    }
    env = dict(os.environ, TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    env |= {"OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    given, pairs = folder / "work.json", []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as own:
            given.write_text(json.dumps(work | {"manifest": str(vendors), "folder": own}))
            worker = str(Path(__file__).with_name("worker.py"))
            program([str(args.python), worker, str(given)], env)
        vendor = json.loads((folder / "out.json").read_text(encoding="utf-8"))
        asked = {"manifest": str(manifest), "groups": vendor["groups"]}
        given.write_text(json.dumps(work | asked))
        python(["-m", "benchmarks.vendor.ours", str(given)], env)
        pairs.append((vendor, json.loads((folder / "out.json").read_text(encoding="utf-8"))))
    apart = max(compared(*pair) for pair in pairs)
    rates = [speeds(*pair) for pair in pairs]
    ratios = [ours / vendor for vendor, ours in rates]
    memory = [median(pair[i]["peak_mib"] for pair in pairs) for i in (0, 1)]
    vendor, ours = pairs[-1]
    row = (
        f"| {args.sites}, {dtype} | {vendor['adapted']:,} | {ours['adapted']:,} | "
        f"{median(r[0] for r in rates):.2f} | {median(r[1] for r in rates):.2f} | "
        f"{median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f}) | {memory[0]:.0f} | "
        f"{memory[1]:.0f} |"
    )
    return row, (
        f"{args.sites}, {dtype}: the first update's losses are {apart:.1g} apart, relative; "
        f"moonshine-voice {vendor['version']}, {vendor['threads']} threads, {args.rounds} rounds "
        f"of {args.updates} updates of {args.batch} clips"
    )


def main(args: Args) -> None:
    manifest = args.manifest or SHARED / "data" / "accented_english" / "manifest.jsonl"
    rows = sentence_case(read_manifest(manifest)[0])
    rows = rows[:: max(1, len(rows) // args.clips)][: args.clips]
    print(
        f"{manifest.parent.name}, {len(rows)} clips, "
        f"{args.model or f'a random model of the shape of moonshine-streaming-{args.size}'}\n\n"
        "| work | vendor's adapter, weights | ours | vendor, clips/s | ours, clips/s | ours / "
        "vendor | vendor, MiB | ours, MiB |\n|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    remarks = []
    with tempfile.TemporaryDirectory() as folder:
        model = streaming_model(args, Path(folder) / "model")
        for dtype in args.dtypes.split(","):
            row, remark = contest(args, model, rows, dtype, Path(folder))
            print(row, flush=True)
            remarks.append(remark)
    print("\n" + "\n".join(f"- {remark}" for remark in remarks))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
