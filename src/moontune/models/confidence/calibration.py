"""From what a clip's beams tell of a word to the chance that the word is right.

The default adds log odds, with weights measured on the base's beams (docs/experiments.md), of a
clip heard once and of one heard at several speeds, whose beams differ more: those of the beams'
vote, to which half a beam for and half a beam against is added, and how likely the model finds the
whole transcript. A run's own calibration moves and stretches these log odds to what its validation
clips show (Platt 1999), and never turns the order of two words around.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from moontune.config.schema import Decoding
from moontune.languages.table import current
from moontune.models.confidence.agreement import Evidence
from moontune.models.consensus import BEAMS
from moontune.system.files import damage_as_user_error, read_json, write_json
from moontune.system.formatting import counted

NOT_YOURS = "not calibrated on your voice"
# Log odds; of log odds; of nats a word.
_HEARD_ONCE, _HEARD_AT_SPEEDS = (1.12, 0.84, 3.62), (0.87, 0.72, 3.02)
_MOST = 7.0  # log odds either way, about 0.001 and 0.999
_ENDS = 30.0  # further is 0 or 1 in every figure


def default_confidence(found: Evidence) -> float:
    """The chance that a word is right by the default, 0 to 1."""
    vote = (found.beams * found.agreement + 0.5) / (found.beams + 1)
    constant, of_vote, of_likelihood = _HEARD_ONCE if found.beams <= BEAMS else _HEARD_AT_SPEEDS
    odds = constant + of_vote * log_odds(vote) + of_likelihood * found.likelihood
    return chance(max(-_MOST, min(_MOST, odds)))


def log_odds(confidence: float) -> float:
    """Of a chance, 0 and 1 taken for next to it."""
    within = min(max(confidence, 1e-4), 1 - 1e-4)
    return math.log(within / (1 - within))


def chance(odds: float) -> float:
    """Of log odds."""
    return 1 / (1 + math.exp(-max(-_ENDS, min(_ENDS, odds))))


@dataclass(frozen=True)
class Origin:
    """The clips that a calibration is of, and how well it fits them: both by default, and own."""

    clips: int
    words: int
    right: int
    brier: tuple[float, float]
    ece: tuple[float, float]  # expected calibration error
    remark: str = ""  # why the default is used all the same, where it is


@dataclass(frozen=True)
class Calibration:
    """The chance that a word is right, from that by the default. Without values: the default."""

    intercept: float = 0.0  # log odds
    slope: float = 1.0  # above 0
    own: bool = False  # of the clips of a run
    origin: Origin | None = None  # None: no clips were asked for
    # How the words of its clips were decoded; None: in runs older than this record.
    decoding: Decoding | None = None
    remark: str = ""  # why the default is used although a run has one of its own

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intercept) and 0 < self.slope < math.inf):
            raise ValueError(f"no calibration: {self.intercept} and {self.slope} times log odds")

    def __call__(self, confidence: float) -> float:
        return (
            chance(self.intercept + self.slope * log_odds(confidence)) if self.own else confidence
        )

    @property
    def says(self) -> str:
        """What confidences rest on, in words."""
        if self.origin is None:
            return f"{NOT_YOURS}: {self.remark}" if self.remark else NOT_YOURS
        of = f"{counted(self.origin.words, current().unit)} of {counted(self.origin.clips, 'clip')}"
        return f"calibrated on {of}" if self.own else f"{NOT_YOURS}: {self.origin.remark}"

    def of(self, decoding: Decoding) -> Calibration:
        """What words of a decoding go by: this one, or the default where it was fitted to words of
        another, whose confidences by default mean something else."""
        if not self.own or self.decoding in (None, decoding):
            return self
        remark = f"its run's calibration is of --decoding {self.decoding}, not {decoding}"
        return Calibration(remark=remark)

    def to_json(self) -> dict[str, Any]:
        method = "Platt scaling drawn to the default" if self.own else "default"
        row = {"method": method, **asdict(self)}
        return {key: value for key, value in row.items() if key != "remark"}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Calibration:
        origin = row["origin"]
        if origin is not None:
            pairs = {k: (float(origin[k][0]), float(origin[k][1])) for k in ("brier", "ece")}
            origin = Origin(**{**origin, **pairs})
        decoding = row.get("decoding")
        if decoding not in (None, *get_args(Decoding)):
            raise ValueError(f"no decoding: {decoding}")
        values = float(row["intercept"]), float(row["slope"]), row["own"] is True
        return cls(*values, origin, decoding)


def write_calibration(file: Path, calibration: Calibration) -> None:
    write_json(file, calibration.to_json())


def read_calibration(file: Path, remedy: str) -> Calibration:
    """Raises UserError, with `remedy`, if the file is damaged."""
    row = read_json(file, remedy)
    with damage_as_user_error(file, remedy):
        return Calibration.from_json(row)
