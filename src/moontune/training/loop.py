"""The training loop: token-weighted updates, validation, and the best adapter kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from moontune.config.schema import TrainConfig
from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.models.adapter import set_adapter_state
from moontune.models.base_model import Base
from moontune.models.transcriber import LoadAudio
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.formatting import counted
from moontune.system.memory import out_of_memory
from moontune.training.checkpoint import Checkpointer
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood
from moontune.training.state import LoopProgress, TrainingState

if TYPE_CHECKING:
    from peft import PeftModel

OnEvent = Callable[[dict[str, Any]], None]
Prune = Callable[[int, float], bool]  # of an update's number and its validation loss
GIVEN_UP = "given up"
PLANNED = "planned end"  # at the update to keep


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a training; the model holds the best adapter when this is returned."""

    steps: int  # optimizer updates tried, skipped ones included
    best_step: int  # 0: no update was better than the base
    best_val_loss: float | None  # of the update kept; None: nothing was validated
    first_val_loss: float | None  # of the base
    last_train_loss: float | None
    skipped: int  # updates left out for a non-finite loss or gradient
    stopped: str  # "max_steps", "early stop", "planned end", "given up" or "aborted: ..."
    utterances_seen: int
    seconds: float
    seconds_validating: float

    def of_base(self) -> TrainResult:
        """With the base kept instead of the best update."""
        return replace(self, best_step=0, best_val_loss=self.first_val_loss)


def never(step: int, loss: float) -> bool:
    """The default of `prune`: train to the end."""
    return False


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


class Objective(Protocol):
    """What an update lowers, and what the adapter to keep has least of."""

    def add_gradients(self, clips: Sequence[Utterance], group: ProcessGroup) -> tuple[float, int]:
        """Add the gradients of this process's share of an update's clips; returns its part of the
        update's loss, and the target tokens of the whole update."""
        ...

    def validate(self, utterances: Sequence[Utterance], group: ProcessGroup) -> float: ...


@dataclass(frozen=True)
class TrainingSetup:
    """The parts of a training: an adapter on its base, audio, seed, type, processes, objective."""

    model: PeftModel  # wraps `base.net`
    base: Base
    load_audio: LoadAudio
    seed: int
    dtype: torch.dtype = torch.float32  # of the layers' matrix products; weights stay float32
    group: ProcessGroup = SINGLE
    kept_step: int | None = None  # ends the training and is kept; None: the best one validated
    objective: Callable[[LossComputer], Objective] = Likelihood


def train(
    setup: TrainingSetup,
    stream: Iterator[Utterance],
    val_split: Sequence[Utterance],
    config: TrainConfig,
    *,
    on_event: OnEvent,
    prune: Prune = never,
    checkpointer: Checkpointer | None = None,
) -> TrainResult:
    """Train the adapter of `setup`; leaves the best one in place.

    `stream` gives utterances without end; `val_split` is measured whole.

    The loss of an update is its objective's, usually the mean over all its target tokens, however
    they fall into passes. What is validated and kept lies on the way from the start to the running
    average of the weights. What it begins with competes (validation of step 0): an adapter that is
    never better is not kept. An update with a non-finite loss or gradient changes nothing and is
    counted; beyond `max_skipped_updates` training ends. `on_event` gets one dict an event, in the
    main process of the group only. `prune` is asked after each validation of an update, with its
    number and loss, whether to give up. Where `setup.kept_step` says which update to keep, training
    ends with it and nothing is validated.

    `checkpointer` saves where the training stands; one that has such a state is gone on with, and
    ends as if it had never stopped, on a CPU to the bit. Asked to stop, it raises
    KeyboardInterrupt.

    Every process of the group draws the same clips from `stream` and computes the gradients of its
    share; their sum, and so the weights, are the same in all of them. Raises UserError where the
    base has no usable loss on `val_split`.
    """
    begun = time.perf_counter()
    group = setup.group
    emit: OnEvent = on_event if group.is_main else lambda event: None
    state = TrainingState(setup.model, setup.base, config, setup.seed, group)
    losses = LossComputer(setup.base, setup.load_audio, setup.dtype, state.token_dropout)
    objective = setup.objective(losses)

    def accumulate(clips: Sequence[Utterance]) -> tuple[float, int]:
        return _accumulate(objective, losses, clips, state.parameters, group)

    def validate(step: int) -> float:
        with state.average.applied():
            setup.base.net.eval()
            loss = objective.validate(val_split, group)
        setup.base.net.train()
        value = loss if math.isfinite(loss) else None
        emit({"event": "validation", "step": step, "val_loss": value})
        return loss

    progress = _restored(state, stream, checkpointer, group)
    if progress is None and setup.kept_step is None:
        progress = _first_validation(validate, begun)
    progress = progress or LoopProgress(None, None)
    setup.base.net.train()
    earlier = progress.seconds
    while not (ending := _ending(progress, config, setup.kept_step)):
        clips = [next(stream) for _ in range(config.batch_size * config.grad_accum)]
        emit(_update(progress, clips, state, accumulate, config))
        if progress.skipped <= config.max_skipped_updates:
            if progress.step == setup.kept_step:
                progress.best_step = progress.step
                state.keep_best()
            elif setup.kept_step is None and _is_due(progress.step, config):
                _compete(progress, state, validate, prune)
        progress.seconds = earlier + time.perf_counter() - begun
        if checkpointer:
            checkpointer.after_update(lambda: state.checkpoint(progress), group)
    set_adapter_state(setup.model, state.best)
    setup.base.net.eval()
    progress.seconds = earlier + time.perf_counter() - begun
    return _result(progress, ending)


def _restored(
    state: TrainingState,
    stream: Iterator[Utterance],
    checkpointer: Checkpointer | None,
    group: ProcessGroup,
) -> LoopProgress | None:
    """The progress of a saved training, its state and stream brought to where they were."""
    checkpoint = group.on_main(checkpointer.saved) if checkpointer else None
    if checkpoint is None:
        return None
    progress = state.restore(checkpoint)
    for _ in range(progress.seen):
        next(stream)
    return progress


def _first_validation(validate: Callable[[int], float], begun: float) -> LoopProgress:
    """The base's own validation. Raises UserError if its loss is not a number."""
    loss = validate(0)
    if not math.isfinite(loss):
        raise UserError(
            "the base's loss on the validation split is not a number, so nothing can be better "
            "than it; try it by: moontune doctor"
        )
    return LoopProgress(loss, loss, seconds_validating=time.perf_counter() - begun)


def _is_due(step: int, config: TrainConfig) -> bool:
    """Whether the update is validated."""
    return step % config.validation_every == 0 or step == config.updates


def _compete(
    progress: LoopProgress,
    state: TrainingState,
    validate: Callable[[int], float],
    prune: Prune,
) -> None:
    """Validate the weights as they are, and keep them if they are the best so far."""
    started = time.perf_counter()
    loss = validate(progress.step)
    if math.isfinite(loss) and (progress.best_loss is None or loss < progress.best_loss):
        progress.best_loss, progress.best_step, progress.stale = loss, progress.step, 0
        state.keep_best()
    else:
        progress.stale += 1
    progress.seconds_validating += time.perf_counter() - started
    progress.given_up = prune(progress.step, loss)


def _result(progress: LoopProgress, ending: str) -> TrainResult:
    return TrainResult(
        steps=progress.step,
        best_step=progress.best_step,
        best_val_loss=progress.best_loss,
        first_val_loss=progress.first_loss,
        last_train_loss=progress.last_loss,
        skipped=progress.skipped,
        stopped=ending,
        utterances_seen=progress.seen,
        seconds=round(progress.seconds, 3),
        seconds_validating=round(progress.seconds_validating, 3),
    )


def _update(
    progress: LoopProgress,
    clips: Sequence[Utterance],
    state: TrainingState,
    accumulate: Callable[[Sequence[Utterance]], tuple[float, int]],
    config: TrainConfig,
) -> dict[str, Any]:
    """One update of the weights, left out where its numbers are not finite; returns its event."""
    started = time.perf_counter()
    progress.step += 1
    progress.seen += len(clips)
    loss, tokens = accumulate(clips)
    state.group.sum_gradients(state.parameters)
    norm = float(torch.nn.utils.clip_grad_norm_(state.parameters, config.max_grad_norm))
    rate = learning_rate(progress.step, config)
    usable = math.isfinite(loss) and math.isfinite(norm)
    if usable:
        for settings in state.optimizer.param_groups:
            settings["lr"] = rate
        state.optimizer.step()
        state.average.update()
        progress.last_loss = loss
    else:
        progress.skipped += 1
    state.optimizer.zero_grad(set_to_none=True)
    return {
        "event": "update",
        "step": progress.step,
        "loss": loss if math.isfinite(loss) else None,
        "lr": rate,
        "grad_norm": norm if math.isfinite(norm) else None,
        "tokens": tokens,
        "clips": len(clips),
        "seconds": round(time.perf_counter() - started, 4),
        "skipped": not usable,
    }


def _ending(progress: LoopProgress, config: TrainConfig, kept_step: int | None = None) -> str:
    """Why the training is over; empty where it is not."""
    if progress.given_up:
        return GIVEN_UP
    if progress.skipped > config.max_skipped_updates:
        return f"aborted: {counted(progress.skipped, 'update')} had a non-finite loss or gradient"
    if kept_step is not None and progress.step >= kept_step:
        return PLANNED
    if config.early_stop_patience and progress.stale >= config.early_stop_patience:
        return "early stop"
    return "max_steps" if progress.step >= config.updates else ""


def _accumulate(
    objective: Objective,
    losses: LossComputer,
    clips: Sequence[Utterance],
    parameters: Sequence[torch.Tensor],
    group: ProcessGroup,
) -> tuple[float, int]:
    """Add the gradients of this process's share of an update.

    Returns the whole update's loss and its count of target tokens. Where the memory does not do,
    half as much goes through the model at once from then on.
    """
    while True:
        try:
            part, tokens = objective.add_gradients(clips, group)
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or not losses.halve():
                raise
        for p in parameters:
            p.grad = None
        if losses.packed.device.type == "cuda":
            torch.cuda.empty_cache()
    [loss] = group.sums(part)
    return loss, tokens
