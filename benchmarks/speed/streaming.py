"""Moonshine Streaming: moontune's packed forward beside transformers' own, clip by clip.

    uv run python -m benchmarks.speed.streaming

The model is random, of a published one's shape, so losses and transcripts say nothing, and
times what they would of it. Transformers' own gets each clip alone, under a whole attention mask:
the way that is exact too. An update is the gradients of eight clips' losses for a LoRA on all
linear layers, float32; an evaluation is losses and greedy transcripts under the token cap. Both
ways take turns, and the least time of each counts, in seconds of the processor, which other work on
the machine changes little. Prints Markdown, and how far losses and transcripts are apart.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from transformers import MoonshineStreamingConfig, MoonshineStreamingForConditionalGeneration

from benchmarks.paths import default_manifests
from benchmarks.speed.work import UPDATE
from moontune.config.schema import EvalConfig, LoraConfig
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_manifest
from moontune.models.adapter import attach_lora
from moontune.models.base_model import Base, Origin
from moontune.models.decoding import length_batches
from moontune.models.tiny_random import tiny_streaming_processor
from moontune.models.transcriber import Transcriber, load_audio
from moontune.training.losses import LossComputer

CAP = EvalConfig().token_cap
EOS = 2
Size = Literal["tiny", "small", "medium"]
# Widths of encoder and decoder, layers of either, heads: arXiv 2602.12241, table 1, and what its
# counts of parameters leave as the width of a head.
SHAPES: dict[Size, tuple[int, int, int, int]] = {
    "tiny": (320, 320, 6, 8),
    "small": (620, 512, 10, 8),
    "medium": (768, 640, 14, 10),
}
TOKENS_A_SECOND = 3.5  # of labels, about those of read speech


@dataclass(frozen=True)
class Args:
    """Moonshine Streaming, packed and clip by clip."""

    manifest: Path = default_manifests()[0]
    """Whose clips are heard."""
    size: Size = "tiny"
    """Whose shape the model has."""
    updates: int = 4
    """Updates of eight clips each, other ones each time."""
    turns: int = 3
    """How often each way is taken; the least time counts."""


def random_base(size: Size) -> Base:
    """A random net of a published one's shape, with a byte-level tokenizer."""
    encoder, decoder, layers, heads = SHAPES[size]
    both = {"num_hidden_layers": layers, "head_dim": decoder // heads}
    both |= {"num_attention_heads": heads, "num_key_value_heads": heads}
    windows = [[16, 4], [16, 4], *[[16, 0]] * (layers - 4), [16, 4], [16, 4]]
    half = {"hidden_size": encoder, "intermediate_size": 4 * encoder, "sliding_windows": windows}
    config = MoonshineStreamingConfig(
        encoder_config=both | half,  # type: ignore[arg-type]
        hidden_size=decoder,
        intermediate_size=4 * decoder,
        decoder_start_token_id=1,
        **both,  # type: ignore[arg-type]
    )
    torch.manual_seed(0)
    net = MoonshineStreamingForConditionalGeneration(config).eval()
    origin = Origin("random", "", "random", None, "0" * 64, False, config.model_type)
    return Base(net, tiny_streaming_processor(), origin, "cpu")


def seconds_of(do: Callable[[], object]) -> float:
    begun = time.process_time()
    do()
    return time.process_time() - begun


class Ways:
    """The same work both ways, on clips in memory."""

    def __init__(self, base: Base, rows: list[Utterance]) -> None:
        self._base, self.rows = base, rows
        self._audio = {u.id: load_audio(u) for u in rows}
        rng = random.Random(0)
        self._labels = {
            u.id: [*rng.choices(range(3, 32_000), k=int(TOKENS_A_SECOND * self.seconds(u))), EOS]
            for u in rows
        }
        attach_lora(base, LoraConfig(lora_dropout=0.0), 1).eval()
        self._losses = LossComputer(base, self.hear, torch.float32)
        with torch.no_grad():
            self.our_losses(rows)  # fills what is kept, as the first epoch does

    def hear(self, u: Utterance) -> np.ndarray:
        return self._audio[u.id]

    def seconds(self, u: Utterance) -> float:
        return len(self.hear(u)) / SAMPLE_RATE_HZ

    def our_losses(self, rows: list[Utterance]) -> float:
        """Their sum; gradients too, where they are recorded."""
        total = 0.0
        for losses in self._losses.passes(rows, [self._labels[u.id] for u in rows]):
            if losses.requires_grad:
                losses.sum().backward()
            total += float(losses.detach().sum())
        return total

    def their_losses(self, rows: list[Utterance]) -> float:
        total = 0.0
        for u in rows:
            ids = self._labels[u.id]
            heard = self._base.architecture.own_inputs(self.hear(u))
            loss = self._base.net(**heard, labels=torch.tensor([ids])).loss * len(ids)
            if loss.requires_grad:
                loss.backward()
            total += float(loss.detach())
        return total

    @torch.no_grad()
    def our_evaluation(self) -> list[list[int]]:
        transcriber = Transcriber(self._base, mends_loops=False)  # as `generate` writes
        found: dict[int, list[int]] = {}
        for batch in length_batches([self.seconds(u) for u in self.rows]):
            some = [self.rows[i] for i in batch]
            keys = transcriber.encode([self.hear(u) for u in some])
            transcriber.packed.losses(keys, [self._labels[u.id] for u in some])
            written = transcriber.greedy(keys, [self.seconds(u) for u in some], CAP)
            found |= {i: t.tokens for i, t in zip(batch, written, strict=True)}
        return [found[i] for i in range(len(self.rows))]

    @torch.no_grad()
    def their_evaluation(self) -> list[list[int]]:
        found = []
        for u in self.rows:
            self.their_losses([u])
            heard = self._base.architecture.own_inputs(self.hear(u))
            most = CAP(self.seconds(u))
            out = self._base.net.generate(**heard, do_sample=False, max_new_tokens=most)
            found.append(out[0, 1:].tolist())
        return found


def main(args: Args) -> None:
    rows, _ = read_manifest(args.manifest)
    rows = rows[:: len(rows) // (args.updates * UPDATE)][: args.updates * UPDATE]
    base = random_base(args.size)
    head = base.net.proj_out.weight.numel()
    millions = sum(p.numel() for p in base.net.parameters()) / 1e6
    print(f"{args.size}: {millions:.2f} M parameters, {millions - head / 1e6:.2f} without the head")
    ways = Ways(base, rows)
    updates = [rows[i : i + UPDATE] for i in range(0, len(rows), UPDATE)]
    apart = abs(ways.our_losses(updates[0]) / ways.their_losses(updates[0]) - 1)
    written = zip(ways.our_evaluation(), ways.their_evaluation(), strict=True)
    unlike = sum(ours != theirs for ours, theirs in written)
    times: dict[str, list[float]] = {}
    for _ in range(args.turns):
        for name, losses in (("ours", ways.our_losses), ("theirs", ways.their_losses)):
            spent = [seconds_of(lambda f=losses, p=part: f(p)) for part in updates]
            times.setdefault(f"update, {name}", []).append(statistics.mean(spent))
        for name, evaluation in (("ours", ways.our_evaluation), ("theirs", ways.their_evaluation)):
            times.setdefault(f"evaluation, {name}", []).append(seconds_of(evaluation))
    minutes = sum(map(ways.seconds, rows)) / 60
    print(f"{len(rows)} clips, {minutes:.1f} minutes, {torch.get_num_threads()} threads; ", end="")
    print(f"losses {apart:.1e} apart, relative; {unlike} of {len(rows)} transcripts differ\n")
    print("| work | clip by clip, s | packed, s | times |\n|---|---|---|---|")
    for work in ("update", "evaluation"):
        theirs, ours = (min(times[f"{work}, {who}"]) for who in ("theirs", "ours"))
        print(f"| {work} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
