"""The most suspicious first: the rule, and which clip comes after which.

A clip's suspicion is the mean of two shares: its word errors, over the longer of transcript and
what was heard and three words more; and the same of characters, with twelve more. So one other word
in a short clip is not first, and words that only sound alike weigh less than words of another clip.
Of two listeners it is the mean. What a run's screening suspects comes before all that it does not.
Drafts come first of all, by their priority. What was not heard yet comes last.

What was decided or shown keeps its place, before all that is still to come: only the order of that
changes while models listen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from moontune.data.normalizer import normalize
from moontune.evaluation.error_rates import character_edits, word_edits
from moontune.review.clips import Clip, clips_of, root_of
from moontune.review.review import Review

By = Literal["suspicious", "as-is"]
Filter = Literal["all", "open", "changed", "dropped"]
FILTERS: tuple[Filter, ...] = ("all", "open", "changed", "dropped")
_MORE_WORDS, _MORE_CHARACTERS = 3, 12


def suspicion(text: str, heard: Sequence[str]) -> float | None:
    """Between 0 and 1, of a transcript and what each model heard; None where none did."""
    found = [_one(text, transcript) for transcript in heard]
    return sum(found) / len(found) if found else None


def _one(text: str, heard: str) -> float:
    words, letters = word_edits(text, heard), character_edits(text, heard)
    longer = max(words.words, words.words - words.deletions + words.insertions)
    most = max(letters.characters, len(normalize(heard)))
    by_word = words.errors / (longer + _MORE_WORDS)
    return (by_word + letters.errors / (most + _MORE_CHARACTERS)) / 2


@dataclass(frozen=True)
class Wanted:
    """Which clips are looked at."""

    filter: Filter = "all"
    search: str = ""  # in transcripts and ids


class Order:
    """Which clip comes after which."""

    def __init__(self, review: Review, by: By, suspicion_of: Callable[[str], float | None]) -> None:
        """`suspicion_of` is asked by a row's key; above 1 of what a run suspects."""
        self._review, self._by, self._suspicion_of = review, by, suspicion_of
        self._settled = dict.fromkeys(review.decided())
        self._rows = {clip.key: clip for clip in clips_of(review.rows)}

    def clips(self, wanted: Wanted | None = None) -> list[Clip]:
        """All clips, or those that are wanted, in their order."""
        with self._review.lock:
            clips = list(chain.from_iterable(map(self._review.leaves, self._keys())))
            return [clip for clip in clips if wanted is None or self._is_wanted(clip, wanted)]

    def settle(self, key: str) -> None:
        """Let a clip keep its place: it is shown."""
        with self._review.lock:
            self._settled.setdefault(root_of(key))

    def step(self, key: str, to: str, wanted: Wanted) -> Clip | None:
        """The clip before (`previous`) or after (`next`) one, or the next that is to be decided
        (`open`; from the beginning where none comes after it). None where there is none.

        Before none (`key` "") is the last one, and after it the first."""
        with self._review.lock:
            clips = self.clips()
            place = next((i for i, clip in enumerate(clips) if clip.key == key), -1)
            before, after = clips[:place] if place >= 0 else clips, clips[place + 1 :]
            ways = {"previous": before[::-1], "next": after, "open": [*after, *before]}
            for clip in ways[to]:
                if (to != "open" or self._is_open(clip)) and self._is_wanted(clip, wanted):
                    return clip
            return None

    def _keys(self) -> list[str]:
        if self._by == "as-is":
            return list(self._rows)
        rest = [key for key in self._rows if key not in self._settled]
        return [*self._settled, *sorted(rest, key=self._rank)]

    def _rank(self, key: str) -> tuple[int, float]:
        draft = self._rows[key].draft
        if draft is not None:
            return 0, -draft.priority
        found = self._suspicion_of(key)
        return (2, 0.0) if found is None else (1, -found)

    def _is_open(self, clip: Clip) -> bool:
        decision = self._review.decision(clip.key)
        return decision is None or not decision.is_review

    def _is_wanted(self, clip: Clip, wanted: Wanted) -> bool:
        if wanted.search and not self._holds(clip, wanted.search.casefold()):
            return False
        decision = self._review.decision(clip.key)
        match wanted.filter:
            case "open":
                return self._is_open(clip)
            case "changed":
                return self._review.is_changed(clip)
            case "dropped":
                return decision is not None and decision.action == "drop"
        return True

    def _holds(self, clip: Clip, search: str) -> bool:
        texts = (self._review.text(clip.key), clip.text, clip.utterance.id)
        return any(search in text.casefold() for text in texts)
