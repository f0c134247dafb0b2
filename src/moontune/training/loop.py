"""The training loop: token-weighted updates, validation, and the best adapter kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from moontune.config.schema import TrainConfig
from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.models.adapter import set_adapter_state
from moontune.models.base_model import Base
from moontune.models.transcriber import LoadAudio
from moontune.system.device import out_of_memory
from moontune.system.distributed import SOLO, Group
from moontune.training.checkpoint import Keeper
from moontune.training.losses import Losses
from moontune.training.state import Progress, Trainee, Validated

if TYPE_CHECKING:
    from peft import PeftModel

Log = Callable[[dict[str, Any]], None]
_LEAST_FRAMES = 1_250  # a clip of 30 s goes through alone


@dataclass(frozen=True)
class TrainResult:
    """What training did; the model holds the best adapter when this is returned."""

    steps: int  # optimizer updates tried, skipped ones included
    best_step: int  # 0: no update was better than the base
    best_val_loss: float  # of the update kept
    first_val_loss: float  # of the base
    best_val_wer: float | None  # where WER had a say
    first_val_wer: float | None
    last_train_loss: float | None
    skipped: int  # updates left out for a non-finite loss or gradient
    stopped: str  # "max_steps", "early stop" or "aborted: ..."
    utterances_seen: int
    seconds: float
    seconds_validating: float

    def of_base(self) -> TrainResult:
        """With the base kept instead of the best update."""
        return replace(
            self,
            best_step=0,
            best_val_loss=self.first_val_loss,
            best_val_wer=self.first_val_wer,
        )


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of update `step` (from 1): linear warm-up, then the schedule, zero after the last."""
    peak, updates = config.peak_lr, config.updates
    warmup = min(config.warmup, updates // 5)
    if step <= warmup:
        return peak * step / warmup
    left = (updates - step + 1) / (updates - warmup + 1)
    if config.lr_schedule == "constant":
        return peak
    if config.lr_schedule == "linear":
        return peak * left
    return peak * 0.5 * (1 + math.cos(math.pi * (1 - left)))


def train(  # noqa: PLR0913, PLR0917
    model: PeftModel,
    base: Base,
    stream: Iterator[Utterance],
    val_split: Sequence[Utterance],
    load_audio: LoadAudio,
    config: TrainConfig,
    seed: int,
    log: Log,
    dtype: torch.dtype = torch.float32,
    group: Group = SOLO,
    val_wer: Callable[[], float | None] | None = None,
    keeper: Keeper | None = None,
) -> TrainResult:
    """Train the adapter on `model`, which wraps `base.net`; leaves the best one in place.

    `stream` gives utterances without end; `val_split` is measured whole. The layers' matrix
    products are computed in `dtype`, the adapter's weights and their moments are float32.

    The loss of an update is the mean over all its target tokens, however they fall into
    passes. What is validated and kept lies on the way from the start to the running average of the
    weights. The base's own validation (step 0) competes: an adapter that is never better is not
    kept. `val_wer` measures the WER on `val_split`, for `keep_best_by` other than its loss. An
    update with a non-finite loss or gradient changes nothing and is counted; beyond
    `max_skipped_updates` training ends. `log` gets one dict an event, in the lead of `group` only.

    `keeper` saves where the training stands; one that has such a state is gone on with, and ends as
    if it had never stopped, on a CPU to the bit. Asked to stop, it raises KeyboardInterrupt.

    Every process of `group` draws the same clips from `stream` and computes the gradients of its
    share; their sum, and so the weights, are the same in all of them.
    """
    begun = time.perf_counter()
    tell: Log = log if group.lead else lambda event: None
    trainee = Trainee(model, base, config, seed, group)
    losses = Losses(base, load_audio, dtype, trainee.augment, trainee.dropout)

    def validate(step: int) -> Validated:
        with trainee.average.applied():
            base.net.eval()
            loss = losses.mean(val_split, group)
            usable = math.isfinite(loss)
            wer = val_wer() if usable and val_wer and config.keep_best_by != "loss" else None
        base.net.train()
        event = {"event": "validation", "step": step, "val_loss": loss if usable else None}
        tell(event if wer is None else event | {"val_wer": wer})
        return Validated(loss, wer)

    def badness(found: Validated) -> tuple[float, float]:
        return found.badness(at.first, config.keep_best_by)

    saved = group.of_lead(keeper.saved) if keeper else None
    if saved is not None:
        at = trainee.restore(saved)
        for _ in range(at.seen):
            next(stream)
        base.net.train()
    else:
        first = validate(0)
        if not math.isfinite(first.loss):
            raise UserError(
                "the base's loss on the validation split is not a number, so nothing can be better "
                "than it; try it by: moontune doctor"
            )
        at = Progress(first, first, seconds_validating=time.perf_counter() - begun)
    earlier = at.seconds
    while not (ended := _ended(at, config)):
        clips = [next(stream) for _ in range(config.batch_size * config.grad_accum)]
        tell(_update(at, clips, trainee, losses, config, group))
        due = at.step % config.validation_every == 0 or at.step == config.updates
        if due and at.skipped <= config.max_skipped_updates:
            started = time.perf_counter()
            now = validate(at.step)
            if math.isfinite(now.loss) and badness(now) < badness(at.best):
                at.best, at.best_step, at.stale = now, at.step, 0
                trainee.keep_best()
            else:
                at.stale += 1
            at.seconds_validating += time.perf_counter() - started
        at.seconds = earlier + time.perf_counter() - begun
        if keeper:
            keeper.after_update(lambda: trainee.state(at), group)
    set_adapter_state(model, trainee.best)
    base.net.eval()
    at.seconds = earlier + time.perf_counter() - begun
    return _result(at, ended)


def _result(at: Progress, ended: str) -> TrainResult:
    return TrainResult(
        steps=at.step,
        best_step=at.best_step,
        best_val_loss=at.best.loss,
        first_val_loss=at.first.loss,
        best_val_wer=at.best.wer,
        first_val_wer=at.first.wer,
        last_train_loss=at.last_loss,
        skipped=at.skipped,
        stopped=ended,
        utterances_seen=at.seen,
        seconds=round(at.seconds, 3),
        seconds_validating=round(at.seconds_validating, 3),
    )


def _update(
    at: Progress,
    clips: Sequence[Utterance],
    trainee: Trainee,
    losses: Losses,
    config: TrainConfig,
    group: Group,
) -> dict[str, Any]:
    """One update of the weights, left out where its numbers are not finite; returns its event."""
    started = time.perf_counter()
    at.step += 1
    at.seen += len(clips)
    loss, tokens = _accumulate(losses, clips, trainee.parameters, group)
    group.sum_gradients(trainee.parameters)
    norm = float(torch.nn.utils.clip_grad_norm_(trainee.parameters, config.max_grad_norm))
    rate = learning_rate(at.step, config)
    usable = math.isfinite(loss) and math.isfinite(norm)
    if usable:
        for settings in trainee.optimizer.param_groups:
            settings["lr"] = rate
        trainee.optimizer.step()
        trainee.average.update()
        at.last_loss = loss
    else:
        at.skipped += 1
    trainee.optimizer.zero_grad(set_to_none=True)
    return {
        "event": "update",
        "step": at.step,
        "loss": loss if math.isfinite(loss) else None,
        "lr": rate,
        "grad_norm": norm if math.isfinite(norm) else None,
        "tokens": tokens,
        "clips": len(clips),
        "seconds": round(time.perf_counter() - started, 4),
        "skipped": not usable,
    }


def _ended(at: Progress, config: TrainConfig) -> str:
    """Why the training is over; empty where it is not."""
    if at.skipped > config.max_skipped_updates:
        return f"aborted: {at.skipped} updates had a non-finite loss or gradient"
    if config.early_stop_patience and at.stale >= config.early_stop_patience:
        return "early stop"
    return "max_steps" if at.step >= config.updates else ""


def _accumulate(
    losses: Losses, clips: Sequence[Utterance], parameters: Sequence[torch.Tensor], group: Group
) -> tuple[float, int]:
    """Add the gradients of this process's share of an update.

    Returns the whole update's loss per target token and its token count. Where the memory does not
    do, half as much goes through the model at once from then on, down to a clip of half a minute.
    """
    labels = losses.labels(clips)
    tokens = sum(map(len, labels))
    mine = group.mine(list(zip(clips, labels, strict=True)), lambda pair: pair[0].length_s)
    while True:
        found = []
        try:
            for of_tokens in losses.passes([clip for clip, _ in mine], [ids for _, ids in mine]):
                loss = of_tokens.sum() / tokens
                loss.backward()
                found.append(loss.detach())
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or losses.frames <= _LEAST_FRAMES:
                raise
        losses.frames //= 2
        for p in parameters:
            p.grad = None
        if losses.packed.device.type == "cuda":
            torch.cuda.empty_cache()
    [loss] = group.sums(float(torch.stack(found).sum()) if found else 0.0)
    return loss, tokens
