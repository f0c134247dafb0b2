"""All that changes while an adapter trains, as one thing that can be saved and gone on with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from moontune.config.schema import TrainConfig
from moontune.models.adapter import adapter_state, set_adapter_state
from moontune.models.base_model import Base
from moontune.system.device import random_state, set_random_state
from moontune.system.distributed import ProcessGroup
from moontune.training.averaging import WeightAverage
from moontune.training.checkpoint import Checkpoint, prefixed
from moontune.training.token_dropout import TokenDropout

if TYPE_CHECKING:
    import numpy as np
    from peft import PeftModel


@dataclass
class LoopProgress:
    """Progress of a training."""

    first_loss: float | None  # of the base, on the validation split; None: nothing is validated
    best_loss: float | None  # of the update kept
    best_step: int = 0  # 0: no update was better than the base
    step: int = 0  # optimizer updates tried
    stale: int = 0  # validations without a new best
    skipped: int = 0
    seen: int = 0  # clips drawn
    last_loss: float | None = None
    seconds: float = 0.0
    seconds_validating: float = 0.0
    given_up: bool = False


class TrainingState:
    """The adapter's weights, their optimizer and average, the best so far, and random states."""

    def __init__(
        self, model: PeftModel, base: Base, config: TrainConfig, seed: int, group: ProcessGroup
    ) -> None:
        self.model, self.group, self._device = model, group, base.device
        self.best = group.on_main(lambda: adapter_state(model))
        set_adapter_state(model, self.best)  # a seed gives other weights on other hardware
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        fused = not base.device.startswith("mps")  # one kernel instead of ten small ones a weight
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.peak_lr,
            weight_decay=config.weight_decay,
            foreach=False,
            fused=fused,
        )
        self.average = WeightAverage(self.parameters, config.ema_decay, config.wise_ft)
        seeds = (seed, group.rank)
        words = _words(base) if config.token_dropout else []
        self.token_dropout = TokenDropout(config.token_dropout, words, seeds) if words else None
        torch.manual_seed(seed + group.rank)  # LoRA's dropout

    def keep_best(self) -> None:
        """The weights to keep, as they are now, are the best so far."""
        with self.average.applied():
            self.best = adapter_state(self.model)

    def checkpoint(self, progress: LoopProgress) -> Checkpoint:
        """Where it stands, after an update. Every process of the group must ask."""
        start, average, averaged = self.average.state()
        tensors = prefixed(
            adapter=adapter_state(self.model),
            best=self.best,
            start=_numbered(start),
            average=_numbered(average),
        )
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= prefixed(**{f"optimizer/{i}": moments})
        rngs = self.group.gather([self._random_states()])
        for rank, (of_torch, _) in enumerate(rngs):
            tensors |= prefixed(**{f"rng/{rank}": of_torch})
        facts = {
            "progress": asdict(progress),
            "averaged": averaged,
            "rng": [of_numpy for _, of_numpy in rngs],
        }
        return Checkpoint(tensors, facts)

    def restore(self, checkpoint: Checkpoint) -> LoopProgress:
        """Go on from a `checkpoint` of the same training in as many processes."""
        set_adapter_state(self.model, checkpoint.part("adapter"))
        self.best = checkpoint.part("best")
        start, average = (_listed(checkpoint.part(name)) for name in ("start", "average"))
        self.average.restore(start, average, checkpoint.facts["averaged"])
        moments = checkpoint.part("optimizer")
        known = {int(name.split("/")[0]) for name in moments}
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = {i: checkpoint.part(f"optimizer/{i}") for i in sorted(known)}
        self.optimizer.load_state_dict(optimizer)
        rank = self.group.rank
        set_random_state(self._device, checkpoint.part(f"rng/{rank}"))
        for rng, bits in zip(self._generators(), checkpoint.facts["rng"][rank], strict=True):
            rng.bit_generator.state = bits
        return LoopProgress(**checkpoint.facts["progress"])

    def _random_states(self) -> tuple[dict[str, torch.Tensor], list[Any]]:
        """Of torch on this device, and of what numpy draws."""
        return random_state(self._device), [g.bit_generator.state for g in self._generators()]

    def _generators(self) -> list[np.random.Generator]:
        return [self.token_dropout.rng] if self.token_dropout is not None else []


def began_with(model: PeftModel, checkpoint: Checkpoint | None) -> dict[str, torch.Tensor]:
    """The adapter that a training begins with, or began with where there is a `checkpoint` of it,
    as `adapter_state` has it."""
    now = adapter_state(model)
    if checkpoint is None:
        return now
    return dict(zip(now, _listed(checkpoint.part("start")), strict=True))


def _numbered(tensors: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {str(i): t.cpu() for i, t in enumerate(tensors)}


def _listed(tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [tensors[str(i)] for i in range(len(tensors))]


def _words(base: Base) -> list[int]:
    """Tokens that are text."""
    special = set(base.tokenizer.all_special_ids)
    return [i for i in range(base.net.config.vocab_size) if i not in special]
