"""Which language texts look like, as far as their letters tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import islice

from moontune.languages.table import Language, current, is_named

_KANA, _HAN = r"\u3041-\u30fa\u30fd-\u30ff\uff66-\uff9d", r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_OTHER_UNSPACED = {"th": r"\u0e01-\u0e4e", "lo": r"\u0e81-\u0ecd", "km": r"\u1780-\u17d3"}
_OTHER_UNSPACED |= {"my": r"\u1000-\u109f", "bo": r"\u0f40-\u0fbc"}
# Scripts of one language before all others; Japanese, which writes Han letters too, by its kana.
_SCRIPTS = {"ko": r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3", **_OTHER_UNSPACED}
_SCRIPTS |= {"zh": _KANA + _HAN, "ar": r"\u0620-\u063f\u0641-\u064a\u066e-\u06d3"}
_LETTERS = {code: re.compile(f"[{script}]") for code, script in _SCRIPTS.items()}
_UNSPACED = ("zh", *_OTHER_UNSPACED)
_WORD = re.compile(r"[^\W\d_]+")
# Letters of a word, about, by which words are counted also where no space separates them.
_A_WORD = {"zh": 2, "ko": 3}
_A_WORD_ELSE = 4
# Letters that Ukrainian and Vietnamese have before others of their scripts, and letters of these
# others: Persian and Urdu; Russian, Belarusian and Kazakh.
_OWN = {
    "uk": r"[\u0404\u0406\u0407\u0454\u0456\u0457\u0490\u0491]",
    "vi": r"[\u01a0\u01a1\u01af\u01b0\u1eda-\u1ee3\u1ee8-\u1ef1]",
}
_OF_OTHERS = {
    "ar": r"[\u067e\u0686\u0698\u06a9\u06af\u0679\u0688\u0691\u06ba\u06be-\u06d3]",
    "uk": r"[\u0401\u0451\u040e\u045e\u042a\u044a\u042b\u044b\u042d\u044d\u0492-\u052f]",
}
# The letters that such a language is written in, and the least share of them: Vietnamese by those
# with marks. A name of it in texts of another language is less.
_WRITTEN_IN = {"uk": (r"[\u0400-\u052f]", 0.5), "vi": (r"[\u00c0-\u024f\u1e00-\u1eff]", 0.2)}
_LEAST_OWN, _LEAST_KANA = 0.005, 0.03  # of all letters
_LOOKED_AT = 2_000  # texts


def is_latin(text: str) -> bool:
    """Whether at least half of its letters, if it has any, are of the Latin script."""
    letters = [c for c in text if c.isalpha()]
    return 2 * sum("LATIN" in unicodedata.name(c, "") for c in letters) >= len(letters)


def separates_no_words(text: str) -> bool:
    """Whether it is written in scripts without spaces between words, but for foreign ones."""
    return _most_words(text, _UNSPACED)


def _most_words(text: str, codes: Iterable[str]) -> bool:
    """Whether more words of a text are written in these scripts than in others. By letters alone a
    Chinese name of a few would outweigh the English sentence that it stands in, or the other way
    round: a Chinese word is of two letters, an English one of five."""
    words, rest = 0.0, text
    for code in codes:
        rest, letters = _LETTERS[code].subn(" ", rest)
        words += letters / _A_WORD.get(code, _A_WORD_ELSE)
    return words > len(_WORD.findall(rest))


def words_about(text: str) -> float:
    """How many words a text has, about, in scripts without spaces between them too."""
    words, rest = 0.0, text
    for code, letters in _LETTERS.items():
        rest, n = letters.subn(" ", rest)
        words += n / _A_WORD.get(code, _A_WORD_ELSE)
    return words + len(_WORD.findall(rest))


def looks_like(texts: Iterable[str]) -> Language | None:
    """The language that the letters of texts tell; None where several are written in them."""
    text = unicodedata.normalize("NFC", " ".join(islice(texts, _LOOKED_AT)))
    letters = sum(map(str.isalpha, text))
    for code in _LETTERS:
        if _most_words(text, [code]):
            if code == "zh" and len(re.findall(f"[{_KANA}]", text)) > _LEAST_KANA * letters:
                return Language("ja")
            return _unless_of_others(code, text)
    for code, own in _OWN.items():
        script, least = _WRITTEN_IN[code]
        written = len(re.findall(script, text)) > least * letters
        if written and len(re.findall(own, text)) > _LEAST_OWN * letters:
            return _unless_of_others(code, text)
    return None


def _unless_of_others(code: str, text: str) -> Language | None:
    others = len(re.findall(_OF_OTHERS[code], text)) if code in _OF_OTHERS else 0
    return None if others > _LEAST_OWN * len(text) else Language(code)


def guessed(what: str, language: Language) -> str:
    """A line for where a language is told by letters alone."""
    return f"language: {what} look like {language.name}; --language CODE says another"


def unlike(texts: Iterable[str]) -> str | None:
    """A line where texts do not look like the current language."""
    few, ours = list(islice(texts, _LOOKED_AT)), current()
    theirs = looks_like(few)
    if theirs is not None and is_named(ours):
        if theirs != ours and (theirs.code, ours.code) != ("zh", "ja"):
            return (
                f"language: taken for {ours.name}, and the texts look like {theirs.name}; "
                f"--language {theirs.code} says so"
            )
    elif any(map(str.isalpha, "".join(few))) and is_latin("".join(few)) != ours.latin:
        script = "not in Latin letters" if ours.latin else "in Latin letters"
        return (
            f"language: taken for {ours.name}, and the texts are {script}; --language CODE says "
            "another"
        )
    return None
