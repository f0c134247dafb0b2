"""Words and phrases that a recogniser must know: names, products, drugs, call signs, places.

A file has one a line, as it is to be written. Behind it may stand, each after a `|`, what it sounds
like in other spellings, divided by commas, and its weight, from 0 on:

    Drascula | drac ula, dracoola
    A320 | a three twenty | 0.5

Terms are found by sound: normalised as WER is scored, and spaces do not count. So `air craft` has
said `aircraft`, `a 320` has said `A320`, and `Drascula's` has said `Drascula`; `Draculas` has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.data.normalizer import normalize
from moontune.data.word_lists.items import read_items
from moontune.errors import UserError

MOST_TERMS = 5_000
MOST_WEIGHT = 5.0
_LONGEST, _LONGEST_TERM = 400, 80  # characters of a line, and of a term
_HOW = "write TERM | sounds like, sounds like | WEIGHT"


@dataclass(frozen=True)
class KeyTerm:
    """A word or phrase to know."""

    text: str  # as it is written
    spellings: tuple[str, ...] = ()  # that sound like it
    weight: float = 1.0  # by which the list's own is multiplied; 0: it is measured and no more

    @property
    def sound(self) -> str:
        """Letters to find it by."""
        return sound_of(self.text)


def sound_of(text: str) -> str:
    """A text as terms are found in it: normalised, without spaces."""
    return normalize(text).replace(" ", "")


def read_key_terms(file: Path, flag: str = "--key-terms") -> tuple[KeyTerm, ...]:
    """The terms of a file that `flag` names. Raises UserError, with the line."""
    terms: dict[str, KeyTerm] = {}
    for number, line in read_items(file, flag, "term", _LONGEST):
        try:
            term = term_of(line)
        except ValueError as error:
            raise UserError(f"{flag} {file}:{number}: {error}") from None
        if term.sound in terms:
            raise UserError(
                f"{flag} {file}:{number}: {term.text} sounds like {terms[term.sound].text} "
                "above; keep one of the two"
            )
        terms[term.sound] = term
    if len(terms) > MOST_TERMS:
        raise UserError(f"{flag} {file}: holds {len(terms):,} terms, at most {MOST_TERMS:,}")
    return tuple(terms.values())


def term_of(line: str) -> KeyTerm:
    """A line's term. Raises ValueError with what is wrong."""
    text, *more = (part.strip() for part in line.split("|"))
    if not sound_of(text):
        raise ValueError(f"{text or line!r} holds no word; {_HOW}")
    if len(text) > _LONGEST_TERM:
        raise ValueError(f"{text[:20]}... is longer than {_LONGEST_TERM} characters; {_HOW}")
    if len(more) > 2:
        raise ValueError(f"has {len(more)} of |; {_HOW}")
    spellings = tuple(s for part in more[0].split(",") if (s := part.strip())) if more else ()
    if silent := [s for s in spellings if not sound_of(s)]:
        raise ValueError(f"{silent[0]!r} sounds like nothing; {_HOW}")
    return KeyTerm(text, spellings, _weight(more[1]) if len(more) > 1 else 1.0)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MOST_WEIGHT:
        raise ValueError(f"weight {text!r} is not a number from 0 to {MOST_WEIGHT:g}; {_HOW}")
    return weight


def places_of(words: Sequence[str], sound: str) -> list[tuple[int, int]]:
    """Where a term is said: from which of the normalised words to which, never twice the same."""
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(words):
        end, heard = first, ""
        while end < len(words) and len(heard) < len(sound):
            heard += words[end]
            end += 1
        if heard == sound:
            found.append((first, end))
        first = end if heard == sound else first + 1
    return found
