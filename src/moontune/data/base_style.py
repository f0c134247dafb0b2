"""References of any style in the base's own: which of their capitals and marks it would write too.

A reference's capital may be a name, an emphasis, or the style of a whole table; its exclamation
mark may be heard, or stand behind every line. Where the base heard the same word, its own spelling
tells. What it mostly agrees with is believed where it heard something else, the rest is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moontune.data.normalizer import normalize, visible_text
from moontune.data.truecasing import (
    Style,
    aligned_words,
    close_sentence,
    ends_sentence,
    style_of,
    word_core,
    word_key,
    write_words,
)
from moontune.languages.table import ENGLISH, current
from moontune.languages.words import CLOSES, ENDS, written_words

Case = Literal["lower", "capital", "upper", "mixed"]
MARKS = ",\u060c\u3001\uff0c" + ENDS.replace("\u2026", "")
_BELIEVED = 0.5  # share of agreements from which on a habit is believed
# Between words: dashes, and dots for a pause. A hyphen is part of a word.
_BREAKS = re.compile(r"\s+|[\u2012-\u2015]+|--+|\.{2,}|\u2026")
_KEPT = r"\w$£€¥¢#@&+%'\uffe5\uff05\u30fb-"
_LEFT, _RIGHT = re.compile(rf"^(?:[^{_KEPT}]+|-+)"), re.compile(rf"(?:[^{_KEPT}]+|-+)$")
_MOST_AROUND = 8  # characters before and behind a word that are looked at
_ELIDED_FRONT = re.compile(
    r"^'(?:em|til|cause|bout|tis|twas|n|round|neath|ere|gainst|fraid|ave|ello|er|im|is|\d\ds)$"
)
_ELIDED_BACK = re.compile(r"^(?:[a-z]+(?:in|s|z)|[a-z]*(?:o|th|an|ol)|lil|wi|wha|tha|bu)'$")
_CLOSES = re.compile(r"[^\w'\s]'\W*$")  # an apostrophe behind a mark: the end of a quotation
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_TITLES = {"mr", "mrs", "ms", "dr", "st", "jr", "sr"}


def case_of(core: str) -> Case:
    """The kind of casing of a word; a lone capital is a capital."""
    if core == core.lower():
        return "lower"
    if len(core) > 1 and core == core.upper():
        return "upper"
    return "capital" if core == core[:1].upper() + core[1:].lower() else "mixed"


@dataclass(frozen=True)
class Word:
    """A word of a reference without punctuation, and how it stood there."""

    text: str
    mark: str  # behind it, of MARKS, or empty
    inside: bool  # no sentence began with it


def words_of(reference: str) -> list[Word]:
    """The reference's words. Apostrophes of dropped letters, currencies and signs stay on them."""
    words: list[Word] = []
    begins, quoted = True, False
    text = reference.replace("\u2019", "'").replace("\u2018", "'")
    parts, gaps = _parts(text)
    closing = max(
        (i for i, part in enumerate(parts) if _CLOSES.search(part[-_MOST_AROUND:])), default=-1
    )
    for i, (part, behind) in enumerate(zip(parts, gaps, strict=True)):
        bare, quoted = _bare(part, quoted, i < closing)
        if not word_core(bare):
            begins = begins or ends_sentence(part)
            continue
        tail = part.rstrip(f"\"'\u201d)]}}*_{CLOSES}")
        mark = tail[-1] if tail[-1:] in MARKS and not bare.endswith(".") else ""
        words.append(Word(bare, mark, not begins))
        begins = ends_sentence(part) or "." in behind or "\u2026" in behind
    return words


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The text's words with all that stands at them, and what is between each and the next."""
    spans, gaps = _BREAKS.split(text), [*_BREAKS.findall(text), ""]
    if current().spaced:
        return spans, gaps
    words: list[str] = []
    behind: list[str] = []
    for span, gap in zip(spans, gaps, strict=True):
        inner = written_words(span) or [""]
        words += inner
        behind += [*("" for _ in inner[1:]), gap]
    return words, behind


def _bare(part: str, quoted: bool, closed_later: bool) -> tuple[str, bool]:
    """A word without the punctuation around it, and whether a quotation is open behind it.

    An apostrophe at a word's end closes the quotation that is open, unless that is `closed_later`.
    """
    plain = part.replace("_", "")
    core = word_core(plain)
    if not core:
        return "", quoted
    start = plain.index(core)
    head = plain[max(0, start - _MOST_AROUND) : start]
    tail = plain[start + len(core) :][:_MOST_AROUND]
    before = None
    while (head, tail) != before:
        before = head, tail
        head, tail = _LEFT.sub("", head), _RIGHT.sub("", tail)
        key = f"{head}{core}{tail}".casefold()
        elided = key == "'n'" or _ELIDED_BACK.match(key.lstrip("'"))
        if head.startswith("'") and not _ELIDED_FRONT.match(f"{head}{core}".casefold()):
            head, quoted = head.lstrip("'"), True
        elif tail.endswith("'") and not (elided and (closed_later or not quoted)):
            tail, quoted = tail.rstrip("'"), False
    word = f"{head}{core}{tail}"
    dotted = word.casefold() in _TITLES or _INITIALS.fullmatch(word)
    return f"{word}." if dotted and part.rstrip(",;:!?\"'").endswith(".") else word, quoted


@dataclass
class WritingHabits:
    """What of a corpus' casing and punctuation is believed, and how it writes each word."""

    style: Style
    agreed: Counter[str] = field(default_factory=Counter)  # by case or mark
    seen: Counter[str] = field(default_factory=Counter)
    forms: dict[str, Counter[str]] = field(default_factory=dict)  # spellings by word

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> WritingHabits:
        """The habits of references, each with the base's transcript."""
        pairs = list(pairs)
        habits = cls(style_of(reference for reference, _ in pairs))
        for reference, transcript in pairs:
            habits._add(words_of(reference), transcript, styled=habits.is_styled(reference))
        return habits

    def _add(self, words: list[Word], transcript: str, *, styled: bool) -> None:
        heard = [word for word in written_words(transcript) if word_core(word)]
        for i, j in aligned_words([w.text for w in words], heard):
            word, other = words[i], heard[j]
            core, form = word_core(word.text), word_core(other)
            first = j == 0 or ends_sentence(heard[j - 1])
            kind = case_of(core)
            if styled and kind != "lower" and word.inside and not first and not _is_i(core):
                self.seen[kind] += 1
                self.agreed[kind] += form != form.lower()
            if word.mark and i < len(words) - 1:  # the last one ends as the base ends
                self.seen[word.mark] += 1
                self.agreed[word.mark] += _mark_behind(other) == word.mark
        if styled:
            for word in words:
                if word.inside:
                    core = word_core(word.text)
                    self.forms.setdefault(word_key(core), Counter())[core] += 1

    def is_styled(self, reference: str) -> bool:
        """Whether a row has a case of its own: it is not like a corpus that has none, not bare
        lower case, and no shout of three words or more."""
        style = style_of([reference])
        if style == self.style != "cased":
            return False
        return style != "lower" and (style != "upper" or len(reference.split()) <= 2)

    def believes(self, habit: str) -> bool:
        """Whether the base mostly agrees with a case or mark; so does one never met."""
        return self.agreed[habit] + 1 >= _BELIEVED * (self.seen[habit] + 2)

    def shares(self) -> dict[str, float]:
        """The share of agreements by case and mark, of those that were met."""
        return {habit: round(self.agreed[habit] / n, 3) for habit, n in self.seen.items()}

    def own_spellings(self, words: Sequence[Word]) -> dict[str, str]:
        """By word, the forms of a reference's own words that are believed: names, abbreviations."""
        found: dict[str, str] = {}
        for word in words:
            core = word_core(word.text)
            kind = case_of(core)
            if word.inside and kind != "lower" and self.believes(kind):
                found[word_key(core)] = core
        return found

    def spelling(self, word: str) -> str | None:
        """How references write a word inside a sentence, where that is not lower case and believed;
        else None."""
        forms = self.forms.get(word_key(word))
        if not forms:
            return None
        usual = forms.most_common(1)[0][0]
        kind = case_of(usual)
        return usual if kind != "lower" and self.believes(kind) else None


def in_base_style(
    reference: str, transcript: str, lexicon: dict[str, str], habits: WritingHabits
) -> str:
    """Write `reference` as the base model writes: its words, the base's case and punctuation.

    Where the base heard the same word, its form and its mark are taken. Elsewhere a word stands as
    the base writes it in other clips (`lexicon`), as references write it if their `habits` are
    believed, or in lower case; marks of kinds that are believed stay. To the normaliser, no word is
    added, lost or changed: where that cannot be, the reference stays as it is.
    """
    words = words_of(reference)
    own = habits.own_spellings(words) if habits.is_styled(reference) else {}
    known = {word_key(w.text): form for w in words if (form := habits.spelling(w.text))}
    spellings = {k: v for k, v in {**known, **own}.items() if case_of(v) in ("upper", "mixed")}
    heard_elsewhere = {k: lexicon[k] for w in words if (k := word_key(w.text)) in lexicon}
    lexicon = {**known, **own, **heard_elsewhere, **spellings}
    marks = {i: w.mark for i, w in enumerate(words) if w.mark and habits.believes(w.mark)}
    scored = normalize(reference)
    texts = [w.text for w in words]
    for heard, equate in ((transcript, True), (transcript, False), ("", False)):
        text = write_words(texts, heard, lexicon, equate=equate, spellings=spellings, marks=marks)
        text = close_sentence(text, transcript)
        if normalize(text) == scored:
            return text
    return visible_text(reference)


def _is_i(word: str) -> bool:
    """Whether it is the English word for oneself, whose capital says nothing."""
    return current() == ENGLISH and word_key(word) == "i"


def _mark_behind(word: str) -> str:
    tail = word.rstrip(f"\"'\u201d){CLOSES}")
    return tail[-1] if tail[-1:] in MARKS else ""
