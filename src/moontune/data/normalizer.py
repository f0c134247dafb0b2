"""Text as errors are counted on: Whisper's normalisation, the English or the basic one."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import unicodedata

from moontune.languages.table import ENGLISH, current

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "''''")
# Soft hyphens, byte order marks, marks of direction: a word with one looks like the word without.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# Of Arabic: marks of vowels and of recitation, and the stretched line, none of which is a letter.
_HARAKAT = re.compile(
    r"[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]"
)
# Alef with hamza, madda or wasla to alef, alef maqsura to ya; digits of two scripts to one.
_ONE_LETTER = str.maketrans(
    "\u0622\u0623\u0625\u0671\u0649"
    + "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669"
    + "\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7\u06f8\u06f9",
    "\u0627\u0627\u0627\u0627\u064a" + 2 * "0123456789",
)
_INNER_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_CHANGES = {
    "ar": "no tatweel or harakat, alef of one form, alef maqsura as ya, digits of one script",
    "uk": "apostrophe a letter",
    "ko": "CER without spaces",
}


@functools.cache
def _english():
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@functools.cache
def _basic(letters: bool):
    from whisper_normalizer.basic import BasicTextNormalizer

    # Without its marks a word of Hindi or Thai is another one.
    return BasicTextNormalizer(preserve_marks=True, split_letters=letters)


def normalizer_name() -> str:
    """Name and version of the normaliser, to stand beside every figure."""
    version, language = importlib.metadata.version("whisper-normalizer"), current()
    if language == ENGLISH:
        changes = "lone symbols dropped, one apostrophe"
        return f"whisper_normalizer.english.EnglishTextNormalizer {version}, {changes}"
    changes = ["NFKC", "marks kept"]
    changes += [] if language.spaced else ["characters without spaces"]
    changes += [_CHANGES[language.code]] if language.code in _CHANGES else []
    name = f"whisper_normalizer.basic.BasicTextNormalizer {version}"
    return f"{name} for {language.name}: {', '.join(changes)}"


def visible_text(text: str) -> str:
    """The text as it is read: white space folded, control and invisible characters left out, marks
    joined to their letters (NFC), and one kind of apostrophe: to Whisper's normaliser, and to the
    base, `you\u2019ve` is no word."""
    text = unicodedata.normalize("NFC", text)
    return " ".join(_INVISIBLE.sub("", _CONTROLS.sub(" ", text)).translate(_APOSTROPHES).split())


def normalize(text: str) -> str:
    """What of a text is counted, in the current language: words between spaces, or characters
    where words are not separated.

    English is in lower case, without punctuation, numbers and spelling unified. Other languages
    are in lower case, without punctuation; numbers stay as they are written.
    """
    return _normalized(text, current().code)


@functools.lru_cache(maxsize=4096)
def _normalized(text: str, code: str) -> str:
    """It leaves a lone `.` of an ellipsis, which would be a word that nobody says; such are
    dropped."""
    words = _english_words(text) if code == ENGLISH.code else _other_words(text, code)
    return " ".join(word for word in words if any(c.isalnum() for c in word))


def _english_words(text: str) -> list[str]:
    try:
        return _english()(visible_text(text)).split()
    except AssertionError:  # it takes no number of more than 4300 digits
        return visible_text(text).lower().split()


def _other_words(text: str, code: str) -> list[str]:
    text = unicodedata.normalize("NFKC", visible_text(text))
    if code == "ar":
        text = _HARAKAT.sub("", text).translate(_ONE_LETTER)
    elif code == "uk":
        text = _INNER_APOSTROPHE.sub("\u02bc", text)  # which is a letter to Unicode
    return _basic(not current().spaced)(text).split()
