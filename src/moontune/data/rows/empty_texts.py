"""What programs write where a text is empty: `nan` and `None` of pandas, `NULL` of a database."""

from __future__ import annotations

from collections.abc import Iterable

NEVER_WORDS = ("NaN", "<NA>", "#N/A", "NULL")
_MAY_BE_WORDS = ("nan", "None", "null")
SPELLINGS = (*NEVER_WORDS, *_MAY_BE_WORDS)
_FEWEST = 3  # texts that have a word among others show that it is one
_SINGLE = 0.5  # of the texts are single words, as of commands and digits


def empty_spellings(texts: Iterable[str]) -> frozenset[str]:
    """The spellings that mean no text in a data set of these texts.

    `nan`, `None` and `null` are words where three texts or more, and more than it is alone in, have
    it among others; the last two also where most texts are single words that begin as it does,
    small or large.
    """
    texts = [text.strip() for text in texts]
    alone = {spelling: texts.count(spelling) for spelling in _MAY_BE_WORDS}
    words = {spelling for spelling, count in alone.items() if count and _said(spelling, texts)}
    return frozenset(SPELLINGS) - words


def _said(spelling: str, texts: list[str]) -> bool:
    others = [text for text in texts if text and text not in SPELLINGS]
    among = sum(spelling.lower() in _words(text) for text in others)
    if among >= _FEWEST and among > texts.count(spelling):
        return True
    single = [text for text in others if len(text.split()) == 1]
    alike = sum(_case(text) == _case(spelling) for text in single)
    return spelling != "nan" and alike > _SINGLE * len(others) > 0


def _case(text: str) -> tuple[bool, bool]:
    """Whether it begins with a capital or a small letter; of scripts without these neither."""
    return text[:1].isupper(), text[:1].islower()


def _words(text: str) -> set[str]:
    return {word.strip(".,;:!?\"'()").lower() for word in text.split()}


def in_words(text: str) -> str:
    """Why such a text is none."""
    return f"the text is {text.strip()}, which programs write where there is none"
