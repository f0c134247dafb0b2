"""Key terms said, written and invented, clip by clip, and errors in all other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from moontune.data.word_lists.key_terms import KeyTerm, places_of


@dataclass(frozen=True)
class TermCounts:
    """How often terms were said, how often of that they were written, and how often in all."""

    said: int = 0
    found: int = 0
    written: int = 0

    @property
    def invented(self) -> int:
        """Written where nobody said it."""
        return self.written - self.found

    @property
    def recall(self) -> float | None:
        return self.found / self.said if self.said else None

    @property
    def precision(self) -> float | None:
        return self.found / self.written if self.written else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and precision."""
        both = self.said + self.written
        return 2 * self.found / both if both else None

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "recall": self.recall,
            "precision": self.precision,
            "f1": self.f1,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TermCounts:
        return cls(row["said"], row["found"], row["written"])

    def __add__(self, other: TermCounts) -> TermCounts:
        return TermCounts(
            self.said + other.said, self.found + other.found, self.written + other.written
        )


@dataclass(frozen=True)
class ClipTerms:
    """Of one clip: the terms that were said or written in it, and the errors in other words."""

    terms: Mapping[str, TermCounts]  # by the term as it is written
    other_errors: int
    other_words: int

    @property
    def total(self) -> TermCounts:
        return sum(self.terms.values(), TermCounts())


def clip_terms(terms: Sequence[KeyTerm], reference: str, hypothesis: str) -> ClipTerms:
    """What a clip's normalised transcript has of the terms in its normalised reference.

    A term that is said twice and written once is found once. A word belongs to a term where it is
    in one of its places; the errors of all other words are WER's, of the same alignment.
    """
    said, written = reference.split(), hypothesis.split()
    counts: dict[str, TermCounts] = {}
    in_said, in_written = [False] * len(said), [False] * len(written)
    for term in terms:
        there, here = places_of(said, term.sound), places_of(written, term.sound)
        _mark(in_said, there)
        _mark(in_written, here)
        if there or here:
            found = min(len(there), len(here))
            counts[term.text] = TermCounts(len(there), found, len(here))
    errors = _other_errors(said, written, in_said, in_written)
    return ClipTerms(counts, errors, len(said) - sum(in_said))


def _mark(belongs: list[bool], places: Sequence[tuple[int, int]]) -> None:
    for first, end in places:
        belongs[first:end] = [True] * (end - first)


def _other_errors(
    said: Sequence[str],
    written: Sequence[str],
    in_said: Sequence[bool],
    in_written: Sequence[bool],
) -> int:
    """Edits at words that are of no term: of a substitution the word that was said decides."""
    from rapidfuzz.distance import Levenshtein

    errors = 0
    for edit in Levenshtein.editops(said, written):
        if edit.tag == "insert":
            errors += not in_written[edit.dest_pos]
        else:
            errors += not in_said[edit.src_pos]
    return errors
