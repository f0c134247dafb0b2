"""What a run's new clips bought: it beside the run that it came after, on the same test clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly
from moontune.report.markdown import cell
from moontune.system.formatting import agreeing, counted


@dataclass(frozen=True)
class NewClips:
    """The clips that an earlier run had not, and what they bought."""

    earlier: str  # the run's folder, as it was named
    name: str  # of this run
    by_split: dict[str, int]  # how many are new
    comparison: Comparison  # the earlier adapter and this one, on all test clips
    of_new: Comparison | None  # on the new ones of them; None: there are none
    corrected: dict[str, int]  # by split: clips that it had with another text

    @classmethod
    def from_json(cls, row: dict[str, Any] | None, name: str) -> NewClips | None:
        """None of a run that came after none."""
        if row is None:
            return None
        of_new = row["of_new"]
        return cls(
            row["run"],
            name,
            row["new"],
            Comparison.from_json(row["comparison"]),
            of_new and Comparison.from_json(of_new),
            row.get("corrected", {}),  # runs before did not count them
        )

    @property
    def sentences(self) -> list[str]:
        """The answer for anybody to read, a sentence or two each."""
        learnt, tested = self.by_split["train"], self.by_split["test"]
        corrected = sum(self.corrected.values())
        names = ("the earlier adapter", "this one")
        said = [
            f"{counted(sum(self.by_split.values()), 'clip')} more than in {self.earlier}"
            f"{_by_use(self.by_split)}."
        ]
        if corrected:
            texts = f"{counted(corrected, 'text')} of its clips {agreeing(corrected, 'is', 'are')}"
            said.append(f"{texts} another now{_by_use(self.corrected)}.")
        said += [plainly(self.comparison, names), self.comparison.says]
        if self.of_new is not None:
            on = counted(tested, "new test clip")
            said.append(f"On the {on} alone: {plainly(self.of_new, names)}")
        elif learnt:
            said.append(
                "None of the new clips is tested on: these figures are of the earlier ones alone."
            )
        if self.comparison.error_rate.outcome == "worse":
            said.append(f"The earlier adapter hears better: go on using {self.earlier}.")
        return said


def _by_use(clips: dict[str, int]) -> str:
    """`: 7 to learn from, 1 to validate, 2 to test`; nothing of none."""
    if not any(clips.values()):
        return ""
    learnt, validated, tested = (clips[name] for name in ("train", "val", "test"))
    return f": {learnt:,} to learn from, {validated:,} to validate, {tested:,} to test"


def new_clips_section(found: NewClips | None) -> list[str]:
    """The same as Markdown; nothing of a run that came after none."""
    if found is None:
        return []
    return ["### What the new clips bought\n\n" + "\n\n".join(map(cell, found.sentences))]
