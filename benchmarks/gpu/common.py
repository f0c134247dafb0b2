"""What the checks on a device share: their arguments, clips, adapters and answers."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.adapter import fill
from benchmarks.speed.work import preloaded, sentence_case
from moontune.config.schema import LoraConfig
from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance, read_manifest
from moontune.models.adapter import attach_lora
from moontune.models.base_model import Base, load_base
from moontune.models.transcriber import LoadAudio

SEED = 42
WORDS = ("red", "boat", "sails", "home", "cold", "wind", "blows", "north", "old", "maps", "show")


@dataclass
class Answer:
    """What a check found, for the table and for the figures' file."""

    out: Path
    checks: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def check(self, name: str, ok: bool | None, found: str) -> None:
        """A line of the table; `ok` None: it could not be made here. Written at once."""
        self.checks.append({"name": name, "ok": ok, "found": found})
        print(f"{name}: {found}", flush=True)
        text = json.dumps({"checks": self.checks, "figures": self.figures}, indent=2)
        self.out.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Setting:
    """The device, the base's folder, and a manifest of clips."""

    device: str
    model: Path
    manifest: Path

    def clips(self) -> tuple[list[Utterance], LoadAudio]:
        """The manifest's clips in sentence case, and their audio, decoded beforehand."""
        rows = sentence_case(read_manifest(self.manifest)[0])
        return rows, preloaded(rows)


def begin() -> tuple[Setting, Answer]:
    """The command line of a check. Without a model or clips they are made beside its answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = args.model or _random_model(args.out.parent / "random-model")
    manifest = args.clips or _synthetic_clips(args.out.parent / "synthetic-clips")
    return Setting(args.device, model, manifest), Answer(args.out)


def _random_model(folder: Path) -> Path:
    """The tests' tiny model: random weights, two layers a half, a byte-level tokenizer."""
    from moontune.models.tiny_random import tiny_net, tiny_processor

    if not folder.is_dir():
        tiny_processor().save_pretrained(folder)
        tiny_net().save_pretrained(folder)
    return folder


def _synthetic_clips(folder: Path) -> Path:
    """Shaped noise of 1.5 to 4 s by eight speakers."""
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        return manifest
    rows = []
    for i in range(32):
        seconds = 1.5 + 0.08 * i
        rng = np.random.default_rng(i)
        samples = rng.standard_normal(int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
        samples = 0.1 * np.convolve(samples, np.ones(8, np.float32) / 8, mode="same")
        write_flac(folder / f"c{i}.flac", samples)
        text = " ".join(WORDS[(i + k * (1 + i % 3)) % len(WORDS)] for k in range(5))
        row = {"audio_filepath": f"c{i}.flac", "text": f"{text.capitalize()} {i}."}
        rows.append(row | {"duration": seconds, "speaker": f"s{i % 8}", "id": f"c{i}"})
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def adapted(model: Path, device: str) -> tuple[Base, Any]:
    """The base on a device with an adapter on all linear layers that changes what it writes."""
    base = load_base(str(model), None, device)
    targets = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
    adapter = attach_lora(base, LoraConfig(lora_r=8, lora_dropout=0.0, lora_targets=targets), SEED)
    fill(adapter, SEED)
    return base, adapter


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference relative to that of what is expected."""
    found, expected = found.double(), expected.double()
    apart = float((found - expected).norm() / expected.norm())
    return apart if math.isfinite(apart) else math.inf
