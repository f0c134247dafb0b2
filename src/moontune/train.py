"""The training loop: token-weighted updates, validation, and the best adapter kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from moontune.adapter import adapter_state, set_adapter_state
from moontune.augment import Augment, TokenDropout
from moontune.average import WeightAverage
from moontune.config import TrainConfig
from moontune.evaluate import LoadAudio
from moontune.losses import Losses
from moontune.manifest import Utterance
from moontune.model import Base
from moontune.parallel import SOLO, Group

if TYPE_CHECKING:
    from peft import PeftModel

Log = Callable[[dict[str, Any]], None]


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

    @property
    def aborted(self) -> bool:
        return self.stopped.startswith("aborted")


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


def shuffled(utterances: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Utterances without end: every epoch each one once, in a new order that `seed` decides."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.randperm(len(utterances), generator=generator).tolist():
            yield utterances[index]


def mixed(
    own: Sequence[Utterance], replay: Sequence[Utterance], share: float, seed: int
) -> Iterator[Utterance]:
    """The run's utterances without end, every 1 / `share`-th place taken by general speech."""
    ours = shuffled(own, seed)
    if not replay or not share:
        yield from ours
    theirs, due = shuffled(replay, seed + 1), 0.0
    while True:
        due += share
        if due >= 1:
            due -= 1
            yield next(theirs)
        else:
            yield next(ours)


@dataclass(frozen=True)
class Validated:
    """What the validation split said of the weights as they were."""

    loss: float
    wer: float | None  # None: not asked, or no words to get wrong

    def badness(self, base: Validated, by: str) -> tuple[float, float]:
        """What the best update has least of; not finite if its loss is not."""
        wer = self.wer if math.isfinite(self.loss) else None
        if by == "loss" or wer is None:
            return (self.loss, 0.0)
        if by == "wer":
            return (wer, self.loss)
        return (self.loss / base.loss + (wer / base.wer if base.wer else wer), 0.0)


def validation_sample(val_split: Sequence[Utterance], config: TrainConfig) -> list[Utterance]:
    """The clips to validate on: all, or as many, evenly spaced, as cost about a tenth of training.

    A clip's forward takes less than half of what training on it does, so a fifth of the clips
    between two validations will do; never fewer than 64.
    """
    between = config.validation_every * config.batch_size * config.grad_accum
    return spread(val_split, max(64, between // 5))


def spread(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """All of them, or `most`, evenly spaced."""
    count = min(most, len(utterances))
    return [utterances[i * len(utterances) // count] for i in range(count)]


def train(
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

    Every process of `group` draws the same clips from `stream` and computes the gradients of its
    share; their sum, and so the weights, are the same in all of them.
    """
    started = time.perf_counter()
    tell: Log = log if group.lead else lambda event: None
    best_state = group.of_lead(lambda: adapter_state(model))
    set_adapter_state(model, best_state)  # a seed gives other weights on other hardware
    parameters = [p for p in model.parameters() if p.requires_grad]
    fused = not base.device.startswith("mps")  # one kernel instead of ten small ones a weight
    optimizer = torch.optim.AdamW(
        parameters, lr=config.peak_lr, weight_decay=config.weight_decay, foreach=False, fused=fused
    )
    average = WeightAverage(parameters, config.ema_decay, config.wise_ft)
    augment = Augment(config.augment, (seed, group.rank)) if config.augment else None
    words = _words(base) if config.token_dropout else []
    dropout = TokenDropout(config.token_dropout, words, (seed, group.rank)) if words else None
    losses = Losses(base, load_audio, dtype, augment, dropout)
    torch.manual_seed(seed + group.rank)  # dropout
    validating = 0.0

    def validate(step: int) -> Validated:
        nonlocal validating
        begun = time.perf_counter()
        with average.applied():
            base.net.eval()
            loss = losses.mean(val_split, group)
            usable = math.isfinite(loss)
            wer = val_wer() if usable and val_wer and config.keep_best_by != "loss" else None
        base.net.train()
        validating += time.perf_counter() - begun
        event = {"event": "validation", "step": step, "val_loss": loss if usable else None}
        tell(event if wer is None else event | {"val_wer": wer})
        return Validated(loss, wer)

    def badness(found: Validated) -> tuple[float, float]:
        return found.badness(first, config.keep_best_by)

    first = best = validate(0)
    best_step = stale = skipped = seen = step = 0
    last_loss: float | None = None
    stopped = "max_steps"
    for step in range(1, config.updates + 1):
        begun = time.perf_counter()
        clips = [next(stream) for _ in range(config.batch_size * config.grad_accum)]
        seen += len(clips)
        loss, tokens = _accumulate(losses, clips, group)
        group.sum_gradients(parameters)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
        rate = learning_rate(step, config)
        usable = math.isfinite(loss) and math.isfinite(norm)
        if usable:
            for settings in optimizer.param_groups:
                settings["lr"] = rate
            optimizer.step()
            average.update()
            last_loss = loss
        else:
            skipped += 1
        optimizer.zero_grad(set_to_none=True)
        tell(
            {
                "event": "update",
                "step": step,
                "loss": loss if math.isfinite(loss) else None,
                "lr": rate,
                "grad_norm": norm if math.isfinite(norm) else None,
                "tokens": tokens,
                "clips": len(clips),
                "seconds": round(time.perf_counter() - begun, 4),
                "skipped": not usable,
            }
        )
        if skipped > config.max_skipped_updates:
            stopped = f"aborted: {skipped} updates had a non-finite loss or gradient"
            break
        if step % config.validation_every == 0 or step == config.updates:
            now = validate(step)
            if math.isfinite(now.loss) and badness(now) < badness(best):
                best, best_step, stale = now, step, 0
                with average.applied():
                    best_state = adapter_state(model)
            else:
                stale += 1
            if config.early_stop_patience and stale >= config.early_stop_patience:
                stopped = "early stop"
                break
    set_adapter_state(model, best_state)
    base.net.eval()
    return TrainResult(
        steps=step,
        best_step=best_step,
        best_val_loss=best.loss,
        first_val_loss=first.loss,
        best_val_wer=best.wer,
        first_val_wer=first.wer,
        last_train_loss=last_loss,
        skipped=skipped,
        stopped=stopped,
        utterances_seen=seen,
        seconds=round(time.perf_counter() - started, 3),
        seconds_validating=round(validating, 3),
    )


def _words(base: Base) -> list[int]:
    """Tokens that are text."""
    special = set(base.tokenizer.all_special_ids)
    return [i for i in range(base.net.config.vocab_size) if i not in special]


def _accumulate(losses: Losses, clips: Sequence[Utterance], group: Group) -> tuple[float, int]:
    """Add the gradients of this process's share of an update.

    Returns the whole update's loss per target token and its token count.
    """
    labels = losses.labels(clips)
    tokens = sum(map(len, labels))
    mine = group.mine(list(zip(clips, labels, strict=True)), lambda pair: pair[0].length_s)
    found = []
    for of_tokens in losses.passes([clip for clip, _ in mine], [ids for _, ids in mine]):
        loss = of_tokens.sum() / tokens
        loss.backward()
        found.append(loss.detach())
    [loss] = group.sums(float(torch.stack(found).sum()) if found else 0.0)
    return loss, tokens
