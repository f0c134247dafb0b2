"""What was decided of a clip, as a line of the journal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from moontune.errors import UserError
from moontune.system.files import json_line
from moontune.system.formatting import printable

# edit: another text, not yet accepted; split: cut in two, which are clips of their own.
Action = Literal["keep", "edit", "drop", "split"]
MOST_CHARACTERS = 5_000
_REASON_CHARACTERS = 200


@dataclass(frozen=True)
class Cut:
    """Where a clip is cut, and the texts of both parts."""

    at_s: float  # from the clip's begin
    seconds: float  # how long the clip is
    texts: tuple[str, str]


@dataclass(frozen=True)
class Decision:
    """The last word on a clip so far."""

    action: Action
    text: str | None = None  # None: as its row has it
    reason: str = ""  # why it was dropped
    cut: Cut | None = None  # of a split

    @property
    def is_review(self) -> bool:
        """Whether somebody decided whether the clip stays."""
        return self.action in ("keep", "drop")


@dataclass(frozen=True)
class Entry:
    """A line of the journal: a decision, or that one is taken back."""

    number: int  # from 1
    key: str  # of the clip
    decision: Decision | None = None
    undoes: int | None = None  # the number of the entry that is taken back

    def to_json(self) -> bytes:
        row: dict[str, Any] = {"n": self.number, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        row |= {"clip": self.key}
        if self.decision is None:
            row["undo"] = self.undoes
        else:
            row |= _to_row(self.decision)
        return json_line(row)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Entry:
        """Raises ValueError, KeyError or TypeError for what is no entry."""
        number, key = int(row["n"]), str(row["clip"])
        if "undo" in row:
            return cls(number, key, undoes=int(row["undo"]))
        return cls(number, key, _from_row(row))


def _to_row(decision: Decision) -> dict[str, Any]:
    row: dict[str, Any] = {"do": decision.action}
    if decision.text is not None:
        row["text"] = decision.text
    if decision.reason:
        row["reason"] = decision.reason
    if decision.cut is not None:
        cut = decision.cut
        row |= {"at_s": cut.at_s, "seconds": cut.seconds, "texts": list(cut.texts)}
    return row


def _from_row(row: dict[str, Any]) -> Decision:
    action = row["do"]
    if action not in ("keep", "edit", "drop", "split"):
        raise ValueError(f"unknown: {action}")
    cut = None
    if action == "split":
        first, second = map(str, row["texts"])
        cut = Cut(float(row["at_s"]), float(row["seconds"]), (first, second))
    text = row.get("text")
    return Decision(action, None if text is None else str(text), str(row.get("reason", "")), cut)


def checked_text(text: str) -> str:
    """A transcript as a row has it, its spaces single. Raises UserError."""
    text = _line(text, MOST_CHARACTERS, "text")
    if not text:
        raise UserError("the text is empty; write what is said, or drop the clip")
    return text


def checked_reason(reason: str) -> str:
    """Why a clip is dropped, in a line. Raises UserError."""
    return _line(reason, _REASON_CHARACTERS, "reason")


def checked_parts(first: str, second: str) -> tuple[str, str]:
    """The texts of two parts, either of which may be empty. Raises UserError."""
    return _line(first, MOST_CHARACTERS, "text"), _line(second, MOST_CHARACTERS, "text")


def _line(text: str, most: int, what: str) -> str:
    text = " ".join(text.split())
    if len(text) > most:
        raise UserError(f"the {what} has {len(text):,} characters; {most:,} at most")
    if printable(text) != text:
        raise UserError(f"the {what} holds characters that cannot be seen; type it again")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"the {what} holds half of a character; type it again") from None
    return text
