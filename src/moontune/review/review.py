"""A review: clips, and what was decided of each so far."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.review.clips import SHORTEST_PART_S, Clip, Row, part_keys, root_of, split_clip
from moontune.review.decisions import (
    Action,
    Cut,
    Decision,
    Entry,
    checked_parts,
    checked_reason,
    checked_text,
)
from moontune.review.journal import Journal
from moontune.web.corrected_clips import GoneError


@dataclass(frozen=True)
class Figures:
    """How far a review is."""

    clips: int  # parts of a split one counted, it not
    reviewed: int  # kept or dropped
    changed: int
    dropped: int
    seconds: float  # of all that say how long they are
    reviewed_s: float


@dataclass(frozen=True)
class _Done:
    """An entry that holds, and what was decided of its clip before."""

    entry: Entry
    before: Decision | None


class Review:
    """The rows of a manifest and the journal of what was decided; safe to use from threads."""

    def __init__(self, rows: Sequence[Row], journal: Journal, folder: Path) -> None:
        """`folder` is the one that the manifest's paths start at."""
        self.rows, self._journal, self._folder = list(rows), journal, folder
        self.lock = threading.RLock()
        self._clips = {row.clip.key: row.clip for row in rows if row.clip is not None}
        self._decisions: dict[str, Decision] = {}
        self._done: list[_Done] = []
        self._listed: list[Clip] | None = None  # until something is decided
        self._counted: Figures | None = None
        self.strangers: set[str] = set()  # rows that were decided on and are there no more
        taken_back = {entry.undoes for entry in journal.entries}
        for entry in journal.entries:
            if entry.decision is not None and entry.number not in taken_back:
                self._apply(entry, entry.decision)

    def _apply(self, entry: Entry, decision: Decision) -> None:
        clip = self._clips.get(entry.key)
        if clip is None:
            self.strangers.add(root_of(entry.key))
            return
        self._done.append(_Done(entry, self._decisions.get(entry.key)))
        self._listed = self._counted = None
        self._decisions[entry.key] = decision
        if (cut := decision.cut) is not None:
            for part in split_clip(clip, cut.at_s, cut.seconds, cut.texts, self._folder):
                self._clips[part.key] = part

    def clip(self, key: str) -> Clip:
        """Raises GoneError where there is none, or it was split."""
        with self.lock:
            decision = self._decisions.get(key)
            if key not in self._clips or (decision is not None and decision.action == "split"):
                raise GoneError
            return self._clips[key]

    def decision(self, key: str) -> Decision | None:
        return self._decisions.get(key)

    def text(self, key: str) -> str:
        """The transcript as it is now."""
        decision = self._decisions.get(key)
        if decision is None or decision.text is None:
            return self._clips[key].text
        return decision.text

    def leaves(self, key: str) -> Iterator[Clip]:
        """The clip, or the parts that it was split into, in their order."""
        decision = self._decisions.get(key)
        if decision is not None and decision.cut is not None:
            for part in part_keys(key, decision.cut.at_s):
                yield from self.leaves(part)
        else:
            yield self._clips[key]

    def clips(self) -> list[Clip]:
        """All clips that there are now, in the manifest's order."""
        with self.lock:
            if self._listed is None:
                rows = (row.clip.key for row in self.rows if row.clip is not None)
                self._listed = [clip for key in rows for clip in self.leaves(key)]
            return list(self._listed)

    def usable(self) -> list[Utterance]:
        """What a training takes of them: all but dropped ones and drafts that nobody has read."""
        decided = [(clip, self._decisions.get(clip.key)) for clip in self.clips()]
        return [
            clip.utterance
            for clip, d in decided
            if (clip.draft is None if d is None else d.action != "drop")
        ]

    def decided(self) -> list[str]:
        """Keys of the rows that anything was decided on, the first first."""
        return list(dict.fromkeys(root_of(done.entry.key) for done in self._done))

    def decide(self, key: str, action: Action, text: str | None = None, reason: str = "") -> None:
        """Keep, edit or drop a clip; `text` None is as it is now.

        It is on the disk then. Raises UserError, and GoneError where there is no such clip.
        """
        with self.lock:
            clip = self.clip(key)
            text = self.text(key) if text is None else checked_text(text)
            if action == "keep":
                checked_text(text)
            if action == "edit" and text == self.text(key):
                return
            new = None if text == clip.text else text
            self._add(key, Decision(action, new, checked_reason(reason)))

    def keep_seen(self, key: str, text: str) -> None:
        """Keep a clip whose text is this one. Raises UserError as `decide` does, and GoneError
        where it is another by now."""
        with self.lock:
            if key in self._clips and self.text(key) != text:
                raise GoneError
            self.decide(key, "keep")

    def split(self, key: str, at_s: float, seconds: float, texts: tuple[str, str]) -> None:
        """Cut a clip of so many seconds in two. Raises UserError as `decide` does."""
        with self.lock:
            self.clip(key)
            if not SHORTEST_PART_S <= at_s <= seconds - SHORTEST_PART_S:
                raise UserError(
                    f"a part would be shorter than {SHORTEST_PART_S:g} s; stop where the cut is "
                    "to be, then split"
                )
            cut = Cut(round(at_s, 3), round(seconds, 3), checked_parts(*texts))
            self._add(key, Decision("split", cut=cut))

    def _add(self, key: str, decision: Decision) -> None:
        if decision == self._decisions.get(key):
            return
        self._apply(self._journal.decide(key, decision), decision)

    def undo(self) -> str | None:
        """Take the last decision back; returns the key of its clip, None where there is none.

        Raises UserError if that cannot be saved.
        """
        with self.lock:
            if not self._done:
                return None
            last = self._done[-1]
            self._journal.take_back(last.entry)
            self._done.pop()
            self._listed = self._counted = None
            key, decision = last.entry.key, self._decisions.pop(last.entry.key)
            if decision.cut is not None:
                for part in part_keys(key, decision.cut.at_s):
                    del self._clips[part]
            if last.before is not None:
                self._decisions[key] = last.before
            return key

    @property
    def steps(self) -> int:
        """How many decisions can be taken back."""
        return len(self._done)

    def figures(self) -> Figures:
        with self.lock:
            if self._counted is None:
                self._counted = self._count(self.clips())
            return self._counted

    def _count(self, clips: Sequence[Clip]) -> Figures:
        decided = [(clip, self._decisions.get(clip.key)) for clip in clips]
        reviewed = [clip for clip, d in decided if d is not None and d.is_review]
        return Figures(
            clips=len(clips),
            reviewed=len(reviewed),
            changed=sum(self.is_changed(clip) for clip in clips),
            dropped=sum(d is not None and d.action == "drop" for _, d in decided),
            seconds=sum(clip.utterance.duration or 0.0 for clip in clips),
            reviewed_s=sum(clip.utterance.duration or 0.0 for clip in reviewed),
        )

    def is_changed(self, clip: Clip) -> bool:
        """Whether its text is another, or it is a part, and it was not dropped."""
        decision = self._decisions.get(clip.key)
        if decision is not None and decision.action == "drop":
            return False
        return "." in clip.key or (decision is not None and decision.text is not None)
