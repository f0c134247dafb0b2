"""How much of a say a text has among beams, chosen on validation clips.

Of the weights tried the one with the fewest errors; of equals the one nearest to the usual one.
Where that is 0, the text has none. With too few reference words it is the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moontune.evaluation.error_rates import Edits, sum_edits
from moontune.languages.table import current
from moontune.models.language_model import WEIGHT
from moontune.system.formatting import counted

WEIGHTS = (0.0, 0.05, 0.1, 0.2)  # nats of a beam for each nat of the text's
FEWEST = 200  # reference words, or characters, from which on they choose


@dataclass(frozen=True)
class TriedWeight:
    """The errors that a weight leaves in the validation clips."""

    weight: float
    errors: int


@dataclass(frozen=True)
class ChosenWeight:
    """The weight that a text has among a model's beams, and why; 0: it is not used."""

    weight: float
    why: str
    words: int = 0  # of the validation clips' references
    tried: tuple[TriedWeight, ...] = ()

    @property
    def says(self) -> str:
        """The weight and why, in words."""
        return f"{f'weight {self.weight:g}' if self.weight else 'not used'}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"tried": [vars(one) for one in self.tried]}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ChosenWeight:
        """Raises ValueError or TypeError for a weight that is none."""
        weight = float(row["weight"])
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight {weight}")
        tried = tuple(TriedWeight(**one) for one in row["tried"])
        return cls(weight, row["why"], row["words"], tried)


def choose_weight(edits: Mapping[float, Iterable[Edits]], clips: int) -> ChosenWeight:
    """The choice, of the edits of so many validation clips by each weight of WEIGHTS."""
    sums = {weight: sum_edits(of_clips) for weight, of_clips in edits.items()}
    tried = tuple(TriedWeight(weight, total.errors) for weight, total in sums.items())
    words, without = sums[0.0].words, sums[0.0].errors
    of = f"{counted(words, current().unit)} of {counted(clips, 'validation clip')}"
    if words < FEWEST:
        why = f"the usual one, as {of} choose nothing, being fewer than {FEWEST}"
        return ChosenWeight(WEIGHT, why, words, tried)
    best = min(tried, key=lambda one: (one.errors, abs(one.weight - WEIGHT), one.weight))
    if not best.weight:
        why = f"of {of} every weight leaves more wrong than the {without} without the text"
    else:
        why = f"of {of} {best.errors} are wrong with it and {without} without the text"
    return ChosenWeight(best.weight, why, words, tried)
