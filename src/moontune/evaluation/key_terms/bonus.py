"""How likely key terms are to be beforehand, chosen on validation clips.

Of the bonuses tried that give no more false alarms and no more errors in other words than none at
all, the one that finds most terms; of equals the one nearest to the usual one. With too few terms
said, it is the usual one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.key_terms.counting import TermCounts, clip_terms
from moontune.models.key_terms.weighing import BONUS
from moontune.system.formatting import counted

BONUSES = (0.5, 1.0, 2.0, 3.0)  # nats a token
FEWEST = 10  # terms said, from which on they choose


@dataclass(frozen=True)
class TriedBonus:
    """What a bonus makes of the validation clips; None: no list is written."""

    bonus: float | None
    counts: TermCounts
    other_errors: int  # in words that are of no term

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TriedBonus:
        return cls(row["bonus"], TermCounts.from_json(row["counts"]), row["other_errors"])


@dataclass(frozen=True)
class ChosenBonus:
    """The bonus that a model writes a list with, nats a token, and why; None: it writes none."""

    bonus: float | None
    why: str
    clips: int = 0  # of validation
    tried: tuple[TriedBonus, ...] = ()  # the first is without the list

    @property
    def says(self) -> str:
        """The bonus and why, in words."""
        return f"{'not written' if self.bonus is None else f'bonus {self.bonus:g}'}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        tried = [vars(one) | {"counts": one.counts.to_json()} for one in self.tried]
        return vars(self) | {"tried": tried}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ChosenBonus:
        tried = tuple(map(TriedBonus.from_json, row["tried"]))
        return cls(row["bonus"], row["why"], row["clips"], tried)


def tried_bonuses(
    terms: Sequence[KeyTerm],
    references: Sequence[str],
    written: Mapping[float | None, Sequence[str]],
) -> tuple[TriedBonus, ...]:
    """Counts of validation clips by what was `written` in them by each bonus."""
    said = list(map(normalize, references))
    found = []
    for bonus, texts in written.items():
        clips = [
            clip_terms(terms, reference, normalize(text))
            for reference, text in zip(said, texts, strict=True)
        ]
        counts = sum((clip.total for clip in clips), TermCounts())
        found.append(TriedBonus(bonus, counts, sum(clip.other_errors for clip in clips)))
    return tuple(found)


def choose_bonus(tried: Sequence[TriedBonus], clips: int) -> ChosenBonus:
    """The choice of what was tried on so many validation clips, the first without the list."""
    none, *some = tried
    of = f"{counted(none.counts.said, 'term')} said in {counted(clips, 'validation clip')}"
    if none.counts.said < FEWEST:
        why = f"the usual one, as {of} choose nothing, being fewer than {FEWEST}"
        return ChosenBonus(BONUS, why, clips, tuple(tried))
    kept = [
        one
        for one in some
        if one.counts.invented <= none.counts.invented and one.other_errors <= none.other_errors
    ]
    if not kept:
        why = f"with {of}, every bonus gave more false alarms or more errors in other words"
        return ChosenBonus(None, why, clips, tuple(tried))
    best = min(kept, key=lambda one: (-one.counts.found, abs((one.bonus or 0.0) - BONUS)))
    why = (
        f"of {of}, {best.counts.found} are written with it and {none.counts.found} without, no "
        "more false alarms and no more errors in other words"
    )
    return ChosenBonus(best.bonus, why, clips, tuple(tried))
