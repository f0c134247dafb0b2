"""Written words: between spaces, or single characters in languages that do not separate words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from moontune.languages.letters import separates_no_words
from moontune.languages.table import current

COMMAS = ",;:\u060c\u061b\u3001\uff0c\uff1b\uff1a"
ENDS = ".?!\u2026\u061f\u06d4\u0964\u3002\uff01\uff1f\uff0e"
CLOSES = "\u00bb\u300d\u300f\uff09\u3011\u300b"  # quotations and brackets, beside English ones
_OPENS = r"\(\[\u201c\u2018\u00ab\u300c\u300e\uff08\u3010\u300a"
_LATIN = r"[A-Za-z0-9\u00c0-\u024f]"
_RUN = rf"{_LATIN}+(?:[.,:'\u2019/-]{_LATIN}+)*"  # a foreign word, or a number
_CHARACTER = re.compile(rf"[^\w\s]*(?:{_RUN}|\w)[^\w\s{_OPENS}]*|[^\w\s]+$")
# A word and the next that would be others without a space: two foreign ones, or where punctuation
# would come to belong to the other one.
_APART = re.compile(rf"[!-~\u00c0-\u024f]\n{_LATIN}|\n[^\w{_OPENS}]|[{_OPENS}][^\w\s]*\n")


def written_words(text: str) -> list[str]:
    """The words of a text as they are written, with the punctuation that stands at them.

    Where words are not separated each character is one, and so is a foreign word or a number.
    """
    parts = text.split()
    if current().spaced:
        return parts
    words: list[str] = []
    for found in itertools.chain.from_iterable(map(_CHARACTER.findall, parts)):
        if words and not (_has_letter(found) and _has_letter(words[-1])):
            words[-1] += found
        else:
            words.append(found)
    return words


def _has_letter(word: str) -> bool:
    return any(c.isalnum() for c in word)


def joined_words(words: Iterable[str]) -> str:
    """Written words as a text of these words: a space between each two, or only where they would
    be others without, as foreign ones."""
    words = list(words)
    return "".join(itertools.chain(*zip(gaps_before(words), words, strict=True)))


def joined_lines(lines: Iterable[str]) -> str:
    """Lines of one text as one line: in any language without spaces between them where its letters
    are of a script that separates no words."""
    parts = [line for line in lines if line]
    if not separates_no_words("".join(parts)):
        return joined_words(parts)
    gaps = itertools.starmap(_gap_of_characters, itertools.pairwise(parts))
    return "".join(itertools.chain(*zip(["", *gaps], parts, strict=False)))


def gaps_before(words: Sequence[str]) -> list[str]:
    """What stands before each word of such a text: of all but the first a space, or nothing."""
    return ["", *itertools.starmap(gap_between, itertools.pairwise(words))][: len(words)]


def gap_between(word: str, following: str) -> str:
    """A space, or nothing where the two are none other without."""
    return " " if current().spaced else _gap_of_characters(word, following)


def _gap_of_characters(word: str, following: str) -> str:
    return " " if word and _APART.search(f"{word}\n{following[:1]}") else ""
