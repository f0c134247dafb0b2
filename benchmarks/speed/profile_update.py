"""Where the time of an update goes: transformers' modules clip by clip, as in a Trainer, and ours.

    uv run python -m benchmarks.speed.profile_update
    uv run python -m benchmarks.speed.profile_update --sites decoder --manifest my.jsonl

By `torch.profiler` on a CPU, after every clip has been met twice. Prints Markdown: milliseconds of
operators an update of 8 clips by kind of work, and how many there were; the
whole of an update without the profiler, Python's own time included; and how many of the operators
compute, each of which a GPU would be sent as a kernel or more. Those do not hang on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.paths import SHARED, default_model
from benchmarks.speed.adapter import peers_lora
from benchmarks.speed.work import RANK, UPDATE, Sites, preloaded, sentence_case
from moontune.data.manifest import Utterance, read_manifest
from moontune.models.adapter import attach_lora
from moontune.models.base_model import Base, load_base, target_ids
from moontune.models.packed import head
from moontune.system.device import training_dtype
from moontune.training.losses import LossComputer

KINDS = {
    "front end": ("convolution", "conv1d", "group_norm", "tanh"),
    "attention": ("scaled_dot_product", "bmm", "softmax"),
    "activations and norms": ("gelu", "silu", "layer_norm"),
    "copies and conversions": ("::copy_", "::cat", "::stack", "::fill_", "::zero_", "::clone"),
}
WHOLE = "an update without the profiler"
KERNELS = "operators that compute"
ALLOCATES = ("empty", "empty_like", "empty_strided", "new_empty")  # and computes nothing
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::linear")


@dataclass(frozen=True)
class Args:
    """Where an update's time goes, before and after."""

    manifest: Path = SHARED / "data" / "accented_english" / "manifest.jsonl"
    """JSONL manifest."""
    model_id: str = default_model()
    """The base."""
    sites: Sites = "both"
    """Attention projections of both halves or of the decoder alone."""
    updates: int = 4
    """Updates of 8 clips."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of ours; the other is in float32."""
    skip: int = 11
    """Every so many-th clip of the manifest is taken."""


class Kernels(TorchDispatchMode):
    """Counts the operators that compute: neither views nor memory taken."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and func.overloadpacket.__name__ not in ALLOCATES:
            self.count += 1
        return func(*args, **(kwargs or {}))


def kind_of(event: Any, vocabulary: int, ranks: set[int]) -> str:
    """What an operator's time is counted to; `ranks` are the inner sizes of LoRAs' products."""
    if event.key in PRODUCTS:
        matrices = [shape for shape in event.input_shapes if len(shape) == 2]
        if ranks & {n for shape in matrices for n in shape}:
            return "products of the LoRAs"
        words = {vocabulary, head.PART} & set(matrices[-1])
        return "products of the head" if words else "products of the layers"
    found = (kind for kind, names in KINDS.items() if any(name in event.key for name in names))
    return next(found, "everything else")


def kinds(
    update: Callable[[int], None], count: int, vocabulary: int, ranks: set[int]
) -> dict[str, list[float]]:
    """Milliseconds and operators an update, by kind."""
    for i in range(count):
        update(i)
    begun = time.perf_counter()
    for i in range(count):
        update(i)
    whole = (time.perf_counter() - begun) * 1000 / count
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        for i in range(count):
            update(i)
    out: dict[str, list[float]] = {}
    for event in profiled.key_averages(group_by_input_shape=True):
        row = out.setdefault(kind_of(event, vocabulary, ranks), [0.0, 0.0])
        row[0] += event.self_cpu_time_total / 1000 / count
        row[1] += event.count / count
    out[WHOLE] = [whole, 0.0]
    with Kernels() as kernels:
        for i in range(count):
            update(i)
    out[KERNELS] = [0.0, kernels.count / count]
    return out


def clip_by_clip(base: Base, clips: list[Utterance], store: Any, labels: Any) -> Callable:
    net: Any = base.net

    def update(i: int) -> None:
        for u in clips[i * UPDATE : (i + 1) * UPDATE]:
            wave, ids = torch.from_numpy(store(u))[None], torch.tensor([labels(u)])
            net(input_values=wave, labels=ids).loss.backward()

    return update


def ours(base: Base, clips: list[Utterance], store: Any, dtype: torch.dtype) -> Callable:
    losses = LossComputer(base, store, dtype)

    def update(i: int) -> None:
        part: Sequence[Utterance] = clips[i * UPDATE : (i + 1) * UPDATE]
        for of_tokens in losses.passes(part, losses.labels(part)):
            of_tokens.sum().backward()

    return update


def main(args: Args) -> None:
    rows = sentence_case(read_manifest(args.manifest)[0])
    clips = rows[:: args.skip][: UPDATE * args.updates]
    count = len(clips) // UPDATE
    store = preloaded(clips)
    base = load_base(args.model_id, None, "cpu")
    vocabulary, eos = int(base.net.config.vocab_size), int(base.net.config.eos_token_id)  # type: ignore[arg-type]
    attach_lora(base, peers_lora(args.sites), 42)
    base.net.train()

    def labels(u: Utterance) -> list[int]:
        return target_ids(base.tokenizer, u.label, eos)

    before = kinds(clip_by_clip(base, clips, store, labels), count, vocabulary, {RANK})
    fused = {RANK, 2 * RANK, 3 * RANK}  # several layers' LoRAs in one product
    dtype = getattr(torch, training_dtype("cpu", args.dtype))
    after = kinds(ours(base, clips, store, dtype), count, vocabulary, fused)
    print("| kind of work | before, ms | operators | now, ms | operators |\n|---|---|---|---|---|")
    for kind in sorted(
        {*before, *after} - {WHOLE, KERNELS}, key=lambda k: -before.get(k, [0.0])[0]
    ):
        was, now = before.get(kind, [0.0, 0.0]), after.get(kind, [0.0, 0.0])
        print(f"| {kind} | {was[0]:.0f} | {was[1]:.0f} | {now[0]:.0f} | {now[1]:.0f} |")
    print(f"| {KERNELS} | | {before[KERNELS][1]:.0f} | | {after[KERNELS][1]:.0f} |")
    print(f"| {WHOLE} | {before[WHOLE][0]:.0f} | | {after[WHOLE][0]:.0f} | |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
