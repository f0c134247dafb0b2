"""Terms proposed from texts that somebody corrected: words that sound like what stood there."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from moontune.data.truecasing import word_core
from moontune.data.word_lists.key_terms import sound_of
from moontune.languages.content_words import is_content_word
from moontune.models.confidence.written import WrittenText, read_written
from moontune.models.key_terms.candidates import ALIKE, likeness

_WORDS = 3  # of a term at most; one more may have stood in its place
_SPELLINGS = 4  # that a term is proposed with


@dataclass(frozen=True)
class Correction:
    """A text as it was, and as it is now."""

    old: str
    new: str


@dataclass(frozen=True)
class Proposal:
    """A term, how often it was corrected to, and what had stood there, most often first."""

    term: str
    times: int
    instead_of: tuple[str, ...]

    @property
    def line(self) -> str:
        """As a list of terms has it."""
        return " | ".join([self.term, ", ".join(self.instead_of)])


def proposed_terms(corrections: Iterable[Correction]) -> list[Proposal]:
    """The terms, most often corrected first. One is a term if it has a content word, at most three
    words, and sounds like the words that stood in its place."""
    written: dict[str, Counter[str]] = {}  # by sound, how it was written
    replaced: dict[str, Counter[str]] = {}
    for correction in corrections:
        for old, new in _replaced(correction):
            sound = sound_of(new)
            written.setdefault(sound, Counter())[new] += 1
            replaced.setdefault(sound, Counter())[old] += 1
    found = [
        Proposal(
            forms.most_common(1)[0][0],
            forms.total(),
            tuple(old for old, _ in replaced[sound].most_common(_SPELLINGS)),
        )
        for sound, forms in written.items()
    ]
    return sorted(found, key=lambda one: (-one.times, one.term))


def _replaced(correction: Correction) -> Iterator[tuple[str, str]]:
    """Words that were replaced by some that sound like them, without marks around them: of as many
    words each by its own, else all of the new ones by the likest of the old."""
    old, new = read_written(correction.old), read_written(correction.new)
    for theirs, ours in _blocks(old, new):
        if len(theirs) == len(ours):
            pairs = [([one], [other]) for one, other in zip(theirs, ours, strict=True)]
        else:
            pairs = [(theirs, ours)]
        for before, after in pairs:
            if len(after) <= _WORDS and any(is_content_word(new.tokens[i]) for i in after):
                yield from _alike(old, before, _plain(new.raw(after)))


def _blocks(old: WrittenText, new: WrittenText) -> Iterator[tuple[list[int], list[int]]]:
    """Tokens of both texts that stand in each other's place."""
    from rapidfuzz.distance import Levenshtein

    ops = Levenshtein.opcodes(old.tokens, new.tokens)
    for same, group in itertools.groupby(ops, lambda op: op.tag == "equal"):
        block = list(group)
        if not same:
            yield (
                list(range(block[0].src_start, block[-1].src_end)),
                list(range(block[0].dest_start, block[-1].dest_end)),
            )


def _alike(old: WrittenText, tokens: list[int], term: str) -> Iterator[tuple[str, str]]:
    """The likest of the words that stood there, and the term, where they sound alike."""
    places = range(len(tokens))
    windows = [tokens[i : k + 1] for i in places for k in places if i <= k <= i + _WORDS]
    texts = [text for window in windows if sound_of(text := _plain(old.raw(window)))]
    if texts and (sound := sound_of(term)):
        alike = likeness([sound], list(map(sound_of, texts)))[0]
        if alike.max() >= ALIKE:
            yield texts[int(alike.argmax())], term


def _plain(text: str) -> str:
    """Words without the marks around them, nor those that a list of terms divides by."""
    return " ".join(filter(None, map(word_core, text.replace("|", " ").replace(",", " ").split())))
