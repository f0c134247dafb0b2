"""Which old encoding a text in Latin letters is in: Windows' Western one, unless its letters there
are none that stand together, or its marks stand within words.

No words are known, and where nothing tells it is the usual one. Tried on Django's translations into
30 languages that cp1252 writes, a word to 60 lines, with and without foreign names put in: none is
read as in another.
"""

from __future__ import annotations

import re

USUAL = "cp1252"
_WITHIN = "mac_roman", "cp850", "cp1250"  # whose letters are marks, or capitals, in the usual one
_MARKS = r"€‚ƒ„†‡ˆ‰‹•˜™›\x81\x8d\x8f\x90\x9d¡¢£¤¥¦§¨©ª¬®¯°±²³µ¶¸¹º¼½¾¿×÷\ufffd"
_MARKS += r"\u02c7\u02d8\u02d9\u02db\u02dd"
_MARKS += (
    r"\u2018\u2020-\u2022\u2202-\u2265\u25a0-\u25ff\u2500-\u259f\u03a9\u03c0\uf8ff\ufb01\ufb02"
)
_LOWER = r"[a-zß-öø-ÿœšžăąćčďđęěğıĺľłńňőřśşšťţůűźżž]"
_UPPER = r"[À-ÖØ-ÞŒŠŽŸĂĄĆČĎĐĘĚĞİĹĽŁŃŇŐŘŚŞŤŢŮŰŹŻ]"
# A mark between small letters, what stands nowhere behind a letter, or is no character at all.
_MARKED = rf"{_LOWER}[{_MARKS}](?={_LOWER})|{_LOWER}[ˆ˜‡†‰¸\x81-\x9f]|[\x81\x8d\x8f\x90\x9d\ufffd]"
# A capital between small letters, but for one as in McÉire, where it is evidence.
_STRANGE = re.compile(rf"{_MARKED}|{_LOWER}[ŠŒŽŸ](?={_LOWER})")
# As much as these is no evidence: what people write for an apostrophe, or without a space.
_TYPED = re.compile(r".[‘•¿¡ªº™]|.[†‡‰](?=[^a-zß-ÿ]|\Z)")
_LETTER = rf"(?:{_LOWER}|{_UPPER}|[A-Z])"
_ODD = re.compile(rf"{_MARKED}|{_LETTER}[{_MARKS}](?={_LOWER})|{_LOWER}{_UPPER}")
_WITHIN_WORDS = 0.75  # of such letters
_FEWEST = 2
_FEWER = 4  # times, strange places in another encoding
_ACCENTED = re.compile(r"[À-ÖØ-öø-ÿŠšŽžŒœŸ¾¼]")
_INSIDE = re.compile(rf"[èìøùòï](?={_LOWER})")
_CZECH = frozenset("áíéýúóšžèìøùòïäô¾¼")
_SLOVENE = frozenset("èšžæð")
_HUNGARIAN_NOT = frozenset("ãçêàâäèôåæøñðþ")


def of_latin_letters(content: bytes) -> str:
    """The encoding of text in Latin letters."""
    text = content.decode(USUAL, errors="replace")
    found = [match[0] + text[match.end() : match.end() + 1] for match in _STRANGE.finditer(text)]
    if (strange := len(found)) and not all(map(_TYPED.match, found)):
        counts = {name: _strange_in(content, name) for name in _WITHIN}
        best = min(counts, key=lambda name: counts[name])
        return best if _FEWER * counts[best] < strange else USUAL
    text = text.lower()
    letters = _ACCENTED.findall(text)
    if _is_turkish(letters):
        return "cp1254"
    if _is_baltic(letters):
        return "cp1257"
    return "cp1250" if _is_central(letters, text) else USUAL


def _strange_in(content: bytes, encoding: str) -> int:
    return len(_ODD.findall(content.decode(encoding, errors="replace")))


def _is_turkish(letters: list[str]) -> bool:
    """Its ğ, ı and ş are Iceland's ð, ý and þ, which has no ç and ü."""
    there = {*letters}
    several = "ý" in there and _count(letters, "ðýþ") > 1
    return several and bool(there & {*"çü"}) and not there & {*"áéíóúæøåäàèšžãõñßœ"}


def _is_baltic(letters: list[str]) -> bool:
    """Their š and ž are Iceland's ð and þ, beside letters that it has not."""
    several = _count(letters, "ðþ") > 1 and _count(letters, "âîëèûìïò") > 1
    return several and not {*letters} & {*"éóúýöüåäšžãõñßœ"}


def _is_central(letters: list[str], text: str) -> bool:
    """Hungarian by its ő, Slovene and Croatian, Czech and Slovak by letters that stand together in
    no Western language; those that Italian has stand there at the ends of words."""
    there = {*letters}
    double, acute = letters.count("õ"), _count(letters, "áéíóú")
    if double > 1 and acute > 2 * double and there & {*"öü"}:
        return not there & _HUNGARIAN_NOT
    other = _count(letters, "èìøùòï")
    caron = _count(letters, "šžý")
    if len(_INSIDE.findall(text)) < _WITHIN_WORDS * other or other <= _FEWEST or caron < _FEWEST:
        return False
    return there <= _SLOVENE or (there <= _CZECH and len(there & {*"èìøùòï"}) > 1)


def _count(letters: list[str], which: str) -> int:
    return sum(letter in which for letter in letters)
