"""Smaller changes to training, each tried on a fold of a cross-validation in place of its adapter.

    uv run python -m benchmarks.study.bets outputs/CROSSVAL/fold-2 --bet balanced --output DIR

Trains from the base as the fold was trained, but for the bet, and prints JSON lines as
`benchmarks.study.word_errors` does: the fold's own adapter, then the bet's, on the test clips.

- usual: nothing but the seed (--seed) or a setting (--max-steps, --wise-ft,
  --lora-dropout) is another.
- balanced: every speaker gets as many places in training as any other.
- soft: half of the loss is the distance (KL) to what a bigger model gives each next token
  (--teacher MODEL, --teacher-adapter FOLDER).
- norms: the norms of all layers train too, with the adapter's rate.
- early: the encoder's first layers (--layers) train with full weights in place of a LoRA, at
  --whole-rate of the adapter's rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from peft import PeftModel
from peft.tuners.lora import Linear
from torch import nn
from torch.nn import functional

from benchmarks.study.word_errors import measured, print_intervals
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.models.adapter import attach_lora, load_adapted, load_adapter
from moontune.models.base_model import Base, load_base
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import CrossKeys
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.device import training_dtype
from moontune.system.distributed import ProcessGroup
from moontune.system.files import write_jsonl
from moontune.training.loop import TrainingSetup, train
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood
from moontune.training.sampling import mixed, mixture, shuffled, validation_sample


@dataclass(frozen=True)
class Args:
    """A smaller change to training, on a fold."""

    fold: tyro.conf.Positional[Path]
    """A fold of a finished cross-validation."""
    bet: Literal["usual", "balanced", "soft", "norms", "early"]
    """What is changed."""
    output: Path
    """File of the test clips' transcripts; nothing is done if it is there."""
    seed: int | None = None
    """Of the adapter's start, the order and the dropout. Default: the fold's own."""
    max_steps: int | None = None
    """Updates. Default: the fold's own."""
    wise_ft: float | None = None
    """Share of the way from base to tuned. Default: the fold's own."""
    lora_dropout: float | None = None
    """Of the adapter's input. Default: the fold's own."""
    teacher: str | None = None
    """A bigger model with the same words, for `soft`."""
    teacher_adapter: Path | None = None
    """A folder with lora_adapter and processor, to put on it."""
    softness: float = 0.5
    """Share of the loss that is the distance to the teacher."""
    layers: int = 2
    """Of the encoder, for `early`."""
    whole_rate: float = 0.1
    """Of the adapter's rate, for `early`."""
    general: Path | None = None
    """Manifest of general speech, of which a hundred clips are measured too."""


def balanced(own: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Utterances without end, each time of another speaker."""
    by_speaker: defaultdict[str | None, list[Utterance]] = defaultdict(list)
    for u in own:
        by_speaker[u.speaker].append(u)
    streams = [shuffled(rows, seed + i) for i, rows in enumerate(by_speaker.values())]
    generator = torch.Generator().manual_seed(seed)
    while True:
        for place in torch.randperm(len(streams), generator=generator).tolist():
            yield next(streams[place])


def logits_of(
    packed: PackedForward, cross_keys: CrossKeys, labels: list[list[int]], told: list[list[int]]
) -> torch.Tensor:
    """What is thought of every next token, (sum of labels' lengths, words); `told`: as
    `PackedForward.token_losses` has it."""
    layout = packed.layout_of([len(ids) for ids in labels])
    fed = [i for ids in told for i in (packed.start, *ids[:-1])]
    x = packed.embedding[torch.tensor(fed + [packed.start] * (layout.rows - layout.count))]
    rotations = packed.rotary.rotations(layout)
    for layer, kv in zip(packed.decoder, cross_keys.layers, strict=True):
        x = layer(x, layout, rotations, kv, cross_keys.layout)
    rows = packed.decoder_norm(x)[: layout.count]
    return functional.linear(rows.to(packed.dtype), packed.head.weight).float()


class Soft(Likelihood):
    """The usual loss, and the distance to a teacher's probabilities; validated by the usual."""

    def __init__(self, losses: LossComputer, teacher: Base, softness: float) -> None:
        super().__init__(losses)
        self._teacher, self._softness = Transcriber(teacher), softness

    def add_gradients(self, clips: Sequence[Utterance], group: ProcessGroup) -> tuple[float, int]:
        labels = self._losses.labels(clips)
        tokens, begin, total = sum(map(len, labels)), 0, 0.0
        for pack in self._losses.packs(clips, self._losses.frames):
            part = range(begin, begin := begin + len(pack.layout.lengths))
            ids = [labels[i] for i in part]
            with torch.no_grad():
                heard = self._teacher.encode([load_audio(clips[i]) for i in part])
                aims = logits_of(self._teacher.packed, heard, ids, ids).log_softmax(dim=1)
            packed = self._losses.packed
            keys = packed.cross_keys(self._losses.encoded(pack))
            mine = logits_of(packed, keys, ids, self._losses._told(ids) or ids).log_softmax(dim=1)
            right = torch.tensor([i for one in ids for i in one])
            usual = functional.nll_loss(mine, right, reduction="sum")
            apart = functional.kl_div(mine, aims, reduction="sum", log_target=True)
            loss = ((1 - self._softness) * usual + self._softness * apart) / tokens
            loss.backward()
            total += float(loss.detach())
        return total, tokens


def train_whole(model: PeftModel, layers: int, rate: float) -> None:
    """All weights of the encoder's first layers: a LoRA whose A is the identity and does not
    train is any change to a weight, and an optimizer that looks at signs moves it by its scale."""
    names = [f".encoder.layers.{i}." for i in range(layers)]
    for name, found in model.named_modules():
        if isinstance(found, Linear) and any(part in name for part in names):
            layer: Any = found
            (adapter,) = layer.active_adapters
            out, wide = layer.get_base_layer().weight.shape
            layer.lora_A[adapter].weight = nn.Parameter(torch.eye(wide), requires_grad=False)
            layer.lora_B[adapter].weight = nn.Parameter(torch.zeros(out, wide))
            layer.scaling[adapter] = rate


def teacher_of(args: Args) -> Base:
    if args.teacher is None:
        raise SystemExit("--bet soft: needs --teacher MODEL")
    base = load_base(args.teacher, None, "cpu")
    if args.teacher_adapter:
        folder = args.teacher_adapter
        base, _ = load_adapted(base, folder / "lora_adapter", folder / "processor")
    return base


def trained(args: Args, run: RunDir, base: Base) -> None:
    """Train the fold's adapter anew on `base`, but for the bet."""
    config = run.used_config()
    given = {"max_steps": args.max_steps, "wise_ft": args.wise_ft}
    settings = replace(config.train, **{k: v for k, v in given.items() if v is not None})
    config = replace(config, train=settings)
    seed = config.output.seed if args.seed is None else args.seed
    own, val = run.fitting("train"), run.fitting("val")
    rows = read_run_manifest(run.manifest("backwards"))
    others = [([replace(u, backwards=True) for u in rows], config.train.backwards_share)]
    lora = config.lora
    if args.lora_dropout is not None:
        lora = replace(lora, lora_dropout=args.lora_dropout)
    model = attach_lora(base, lora, seed)
    if args.bet == "norms":
        for name, p in model.named_parameters():
            p.requires_grad_("lora_" in name or "norm" in name)
    if args.bet == "early":
        train_whole(model, args.layers, args.whole_rate)
    dtype = getattr(torch, training_dtype("cpu", config.train.dtype))
    setup = TrainingSetup(model, base, load_audio, seed, dtype)
    if args.bet == "soft":
        teacher = teacher_of(args)
        setup = replace(setup, objective=lambda losses: Soft(losses, teacher, args.softness))
    stream = mixture(own, others, seed)
    if args.bet == "balanced":
        stream = mixed(balanced(own, seed), others, seed)
    result = train(
        setup, stream, validation_sample(val, config.train), config.train, on_event=lambda e: None
    )
    print(f"kept update {result.best_step} of {result.steps}, {result.seconds:.0f} s", flush=True)


def main(args: Args) -> None:
    if args.output.exists():
        return
    run = RunDir(args.fold)
    model = run.used_config().model
    base = load_base(model.model_id, model.revision, "cpu")
    load_adapter(base, run.adapter)
    before = measured(run, base, args.general, "the fold's adapter")
    base = load_base(model.model_id, model.revision, "cpu")
    trained(args, run, base)
    after = measured(run, base, args.general, args.bet)
    print_intervals(before, after)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(args.output, after)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
