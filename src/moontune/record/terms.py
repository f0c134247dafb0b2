"""Words and phrases of the speaker's own, woven into sentences.

A term is heard at the beginning, in the middle and at the end of a sentence, since what is beside a
word changes how it is spoken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moontune.data.word_lists.key_terms import read_key_terms

# Where the term stands, and sentences that fit a name, a thing and a phrase alike.
_BEGINNING = (
    "{} was mentioned twice this morning.",
    "{} is what I was looking for.",
    "{} comes first on the list.",
    "{} needs another look before the weekend.",
    "{} has to be spelled correctly here.",
)
_MIDDLE = (
    "Could you look up {} for me?",
    "We talked about {} for most of the hour.",
    "I have written {} on the first page.",
    "Please say {} once more, a little slower.",
    "They asked whether {} had changed since then.",
)
_END = (
    "The next thing we should discuss is {}.",
    "Everybody here knows what you mean by {}.",
    "Send me all that you can find on {}.",
    "I had never heard of {}.",
    "Let us go back to {}.",
)
_PLACES = (_BEGINNING, _MIDDLE, _END)


def read_terms(file: Path) -> list[str]:
    """The terms of a list of key terms. Raises UserError."""
    return [term.text for term in read_key_terms(file, "--terms")]


def sentences_of_terms(terms: Sequence[str]) -> list[str]:
    """Three sentences for each term, its spelling kept: all terms once, in the order of the file,
    then all of them again in another place, and again."""
    return [
        _sentence(term, number, turn)
        for turn in range(len(_PLACES))
        for number, term in enumerate(terms)
    ]


def _sentence(term: str, number: int, turn: int) -> str:
    templates = _PLACES[(number + turn) % len(_PLACES)]
    return templates[(number + turn) // len(_PLACES) % len(templates)].replace("{}", term)


def mixed_evenly(many: Sequence[str], few: Sequence[str]) -> list[str]:
    """Both lists as one, each in its order and spread over the whole; what is in both stands
    once."""
    places = [
        ((i + 0.5) / len(items), which, text)
        for which, items in enumerate((many, few))
        for i, text in enumerate(items)
    ]
    return list(dict.fromkeys(text for _, _, text in sorted(places, key=lambda place: place[:2])))
