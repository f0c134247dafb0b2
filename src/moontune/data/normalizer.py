"""Text as WER is scored on: Whisper's English normalisation."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "''''")
# Soft hyphens, byte order marks, marks of direction: a word with one looks like the word without.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@functools.cache
def _english():
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@functools.cache
def normalizer_name() -> str:
    """Name and version of the normaliser, to stand beside every WER."""
    version = importlib.metadata.version("whisper-normalizer")
    changes = "lone symbols dropped, one apostrophe"
    return f"whisper_normalizer.english.EnglishTextNormalizer {version}, {changes}"


def visible_text(text: str) -> str:
    """The text as it is read: white space folded, control and invisible characters left out, and
    one kind of apostrophe: to Whisper's normaliser, and to the base, `you\u2019ve` is no word."""
    return " ".join(_INVISIBLE.sub("", _CONTROLS.sub(" ", text)).translate(_APOSTROPHES).split())


def is_latin(text: str) -> bool:
    """Whether at least half of its letters, if it has any, are of the Latin script."""
    letters = [c for c in text if c.isalpha()]
    return 2 * sum("LATIN" in unicodedata.name(c, "") for c in letters) >= len(letters)


@functools.lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """Whisper's English normalisation: lower case, no punctuation, numbers and spelling unified.

    It leaves a lone `.` of an ellipsis, which would be a word that nobody says; such are dropped.
    """
    try:
        words = _english()(visible_text(text)).split()
    except AssertionError:  # it takes no number of more than 4300 digits
        words = visible_text(text).lower().split()
    return " ".join(word for word in words if any(c.isalnum() for c in word))
