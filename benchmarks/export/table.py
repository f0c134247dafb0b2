"""The exported graphs on whole sets of recordings: do they write PyTorch's tokens, and how well?

    uv run python -m benchmarks.export.table ../shared/data/accented_english/manifest.jsonl \\
        ../shared/data/adventure_game/manifest.jsonl --model-id ../shared/models/moonshine-tiny

Writes the graphs of a base, or of a run's tuned model (`--adapter-dir`), to a temporary folder;
PyTorch transcribes every clip in batches, ONNX in float32 and in 8 bit one by one. `--every 3`
takes every third clip, `--spare mlp.fc2` multiplies in float32 there in 8 bit. Exits with 1 if
float32 differs from PyTorch in a token, or 8 bit loses more than 0.5 points of WER.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moontune.cli.console import ConsoleUi
from moontune.config.schema import TokenCap
from moontune.data.manifest import read_manifest
from moontune.export.command import ExportArgs, write_products
from moontune.export.measure import Product, TestClips, figures, measure_product, one_by_one
from moontune.models.base_model import load_base
from moontune.models.decoding import length_batches
from moontune.models.onnx import OnnxTranscriber
from moontune.models.transcriber import Transcriber, load_audio


def in_batches(base: Any, clips: TestClips) -> Product:
    """PyTorch's transcripts; they do not depend on what shares a batch."""
    transcribe, by_clip = Transcriber(base), {}
    for indices in length_batches([u.duration_or_1s for u in clips.utterances]):
        outputs = transcribe([clips.samples[i] for i in indices], clips.cap)
        by_clip |= {id(clips.samples[i]): out for i, out in zip(indices, outputs, strict=True)}
    look_up = one_by_one(lambda samples, _: [by_clip[id(one)] for one in samples])
    return replace(measure_product("PyTorch", 0, look_up, clips), seconds=None)


def no_tokens(text: str) -> list[int]:
    raise AssertionError("every product here tells its tokens")


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--model-id", default="bundled")
    parser.add_argument("--adapter-dir", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--spare", nargs="*", default=ExportArgs.spare)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ui, failed = ConsoleUi(), False
    base = load_base(args.model_id, None, "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_products(base, args.adapter_dir, folder, tuple(args.spare), ui)
        for manifest in args.manifests:
            rows = read_manifest(manifest)[0][:: args.every]
            clips = TestClips(rows, [load_audio(u) for u in rows], TokenCap(6.5, 8))
            products = [in_batches(base, clips)]
            for name, part in (("ONNX, float32", "onnx"), ("ONNX, 8 bit", "onnx-int8")):
                product = one_by_one(OnnxTranscriber(folder / part, threads=args.threads))
                step = lambda i, n, name=name: ui.progress(i, n, name)  # noqa: E731
                products.append(measure_product(name, 0, product, clips, step))
            print(f"{manifest}: {len(rows)} clips, {clips.seconds / 60:.1f} minutes")
            table = [figures(p, products[0], clips, no_tokens, 42) for p in products]
            for row in table:
                speed = row.times_real_time
                assert row.rate is not None
                assert row.rate_difference is not None
                print(
                    f"  {row.name:14} WER {100 * row.rate:.2f} % "
                    f"({100 * row.rate_difference:+.2f} points), same tokens on "
                    f"{row.same_tokens} of {row.clips}"
                    + ("" if speed is None else f", {speed} x real time"),
                    flush=True,
                )
            failed |= table[1].same_tokens < len(rows) or (table[2].rate_difference or 0) > 0.005
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
