"""Transcripts that look wrong: whose own audio makes them no likelier than other clips' audio does.

How far chance goes is seen on the clips at hand, each text tried with other clips' audio: so it
holds for any language, model and voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

FEWEST_CLIPS = 20  # to say from what chance does
MANY = 0.05  # of the clips; more are not left to the base alone
MOST = 0.5  # of the clips, and of a split; more are not set aside
Judge = Literal["base", "held-out adapters", "tuned model"]
_OF_WRONG_PAIRS = 0.95
_HEARS = 1.0  # nats a token that a base adds to its own transcripts by hearing them


@dataclass(frozen=True)
class Fit:
    """What a clip's text costs with its own audio, and with that of other clips, nats a token."""

    own: float
    others: tuple[float, ...]

    @property
    def nats(self) -> float | None:
        """By how much its own audio makes it likelier: about zero where it says something else.

        None where hardly any clip beside it says anything else.
        """
        return float(np.mean(self.others)) - self.own if len(self.others) > 1 else None

    def by_chance(self) -> list[float]:
        """The same of each other clip, whose text it is not, against the rest of them."""
        total, rest = sum(self.others), len(self.others) - 1
        return [(total - loss) / rest - loss for loss in self.others] if rest > 0 else []


@dataclass(frozen=True)
class Suspect:
    """A clip whose transcript looks wrong: one row of suspects.jsonl."""

    id: str
    split: str
    where: str  # the row it came from
    speaker: str | None
    text: str
    base: str  # what the base writes
    tuned: str | None  # what the tuned model writes, once there is one
    fit: float  # nats a token; see `Fit`
    threshold: float  # below which it is suspect
    judge: Judge
    set_aside: bool  # it is not trained or validated on

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Suspect:
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """How well texts fit their audio, to one judge."""

    judge: Judge
    nats: dict[str, float]  # a token, by id, of those that could be judged; see `Fit`
    threshold: float  # that 19 of 20 texts with another clip's audio stay below

    @classmethod
    def of(cls, judge: Judge, ids: Sequence[str], fits: Sequence[Fit]) -> Judgement:
        chance = [nats for fit in fits for nats in fit.by_chance()]
        nats = {i: f.nats for i, f in zip(ids, fits, strict=True) if f.nats is not None}
        return cls(judge, nats, float(np.quantile(chance or [0.0], _OF_WRONG_PAIRS)))

    @property
    def suspects(self) -> frozenset[str]:
        """Ids of the texts that fit no better than those of other clips."""
        return frozenset(name for name, nats in self.nats.items() if nats < self.threshold)

    @property
    def share(self) -> float:
        """Of the suspects among all."""
        return len(self.suspects) / max(1, len(self.nats))

    @property
    def fits_by_chance(self) -> bool:
        """Whether the texts as a whole fit no better than by chance."""
        return bool(self.nats) and float(np.mean([*self.nats.values()])) < self.threshold / 2


def can_judge(own: Sequence[Fit]) -> bool:
    """Whether a model can judge: its own transcripts depend on the clips that they are of."""
    judged = [fit.nats for fit in own if fit.nats is not None]
    return bool(judged) and bool(np.median(judged) >= _HEARS)
