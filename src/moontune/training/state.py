"""All that changes while an adapter trains, as one thing that can be saved and gone on with."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from moontune.config.schema import TrainConfig
from moontune.models.adapter import adapter_state, set_adapter_state
from moontune.models.base_model import Base
from moontune.system.device import random_state, set_random_state
from moontune.system.distributed import Group
from moontune.training.augmentation import Augment, TokenDropout
from moontune.training.averaging import WeightAverage
from moontune.training.checkpoint import State, named

if TYPE_CHECKING:
    from peft import PeftModel


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


@dataclass
class Progress:
    """How far the training is."""

    first: Validated  # of the base
    best: Validated  # of the update kept
    best_step: int = 0  # 0: no update was better than the base
    step: int = 0  # optimizer updates tried
    stale: int = 0  # validations without a new best
    skipped: int = 0
    seen: int = 0  # clips drawn
    last_loss: float | None = None
    seconds: float = 0.0
    seconds_validating: float = 0.0


class Trainee:
    """The adapter's weights, their optimizer and average, the best so far, and the dice."""

    def __init__(
        self, model: PeftModel, base: Base, config: TrainConfig, seed: int, group: Group
    ) -> None:
        self.model, self._group, self._device = model, group, base.device
        self.best = group.of_lead(lambda: adapter_state(model))
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
        dice = (seed, group.rank)
        self.augment = Augment(config.augment, dice) if config.augment else None
        words = _words(base) if config.token_dropout else []
        self.dropout = TokenDropout(config.token_dropout, words, dice) if words else None
        torch.manual_seed(seed + group.rank)  # LoRA's dropout

    def keep_best(self) -> None:
        """The weights to keep, as they are now, are the best so far."""
        with self.average.applied():
            self.best = adapter_state(self.model)

    def state(self, progress: Progress) -> State:
        """Where it stands, after an update. Every process of the group must ask."""
        start, average, averaged = self.average.state()
        tensors = named(
            adapter=adapter_state(self.model),
            best=self.best,
            start=_numbered(start),
            average=_numbered(average),
        )
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= named(**{f"optimizer/{i}": moments})
        dice = self._group.gather([self._dice()])
        for rank, (of_torch, _) in enumerate(dice):
            tensors |= named(**{f"dice/{rank}": of_torch})
        facts = {
            "progress": asdict(progress),
            "averaged": averaged,
            "dice": [of_numpy for _, of_numpy in dice],
        }
        return State(tensors, facts)

    def restore(self, state: State) -> Progress:
        """Go on from a `state` of the same training in as many processes."""
        set_adapter_state(self.model, state.part("adapter"))
        self.best = state.part("best")
        start, average = (_listed(state.part(name)) for name in ("start", "average"))
        self.average.restore(start, average, state.facts["averaged"])
        moments = state.part("optimizer")
        known = {int(name.split("/")[0]) for name in moments}
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = {i: state.part(f"optimizer/{i}") for i in sorted(known)}
        self.optimizer.load_state_dict(optimizer)
        rank = self._group.rank
        set_random_state(self._device, state.part(f"dice/{rank}"))
        for thing, dice in zip(self._drawers(), state.facts["dice"][rank], strict=True):
            thing.rng.bit_generator.state = dice
        found = Progress(**state.facts["progress"])
        first, best = (Validated(**state.facts["progress"][k]) for k in ("first", "best"))
        return replace(found, first=first, best=best)

    def _dice(self) -> tuple[dict[str, torch.Tensor], list[Any]]:
        of_numpy = [thing.rng.bit_generator.state for thing in self._drawers()]
        return random_state(self._device), of_numpy

    def _drawers(self) -> list[Any]:
        return [thing for thing in (self.augment, self.dropout) if thing is not None]


def _numbered(tensors: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {str(i): t.cpu() for i, t in enumerate(tensors)}


def _listed(tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [tensors[str(i)] for i in range(len(tensors))]


def _words(base: Base) -> list[int]:
    """Tokens that are text."""
    special = set(base.tokenizer.all_special_ids)
    return [i for i in range(base.net.config.vocab_size) if i not in special]
