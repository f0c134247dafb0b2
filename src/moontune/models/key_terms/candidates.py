"""Words of a transcript that a term may stand for, by how alike they are spelled and sound.

How they sound is told roughly: consonants by kind, vowels left out but at the beginning. So
`pick me` is `pygmy`, of whose letters it has half.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm, places_of, sound_of

ALIKE = 0.5  # least share of letters that two spellings have alike, or the mean with their sounds
_WORDS = 3  # that a window may have more than the term
MOST = 8  # candidates of a transcript
# Of Latin letters; others stand for themselves.
_SPOKEN = str.maketrans("eiouyhwcqgjzvbd", "aaaaaaakkkssfpt")
_BEFORE, _BEHIND = "\"'(\u201c\u2018-\u2014", ".,!?;:\"')\u201d\u2019-\u2014\u2026"


@dataclass(frozen=True)
class Candidate:
    """A term in the place of some words of a transcript."""

    term: KeyTerm
    first: int  # word of the transcript
    end: int
    text: str  # the transcript with the term
    as_said: tuple[str, ...]  # the same, and with each of the term's other spellings


class TermIndex:
    """Terms to look for, by their spellings."""

    def __init__(self, terms: Sequence[KeyTerm]) -> None:
        self.terms = tuple(term for term in terms if term.weight)
        spelled = [
            (number, sound_of(spelling))
            for number, term in enumerate(self.terms)
            for spelling in (term.text, *term.spellings)
        ]
        self._owner = np.array([number for number, _ in spelled], int)
        self._sounds = [sound for _, sound in spelled]
        self._skeletons = list(map(skeleton, self._sounds))
        self._known = {term.sound for term in self.terms}
        self._longest = max((len(t.text.split()) for t in self.terms), default=0) + _WORDS

    def candidates(self, text: str) -> list[Candidate]:
        """The likeliest places of terms that the transcript has not, the most alike first; of each
        term one. A term that is there is left alone."""
        words = text.split()
        windows = self._windows(words)
        theirs = {i for f, e, sound in windows if sound in self._known for i in range(f, e)}
        windows = [one for one in windows if theirs.isdisjoint(range(one[0], one[1]))]
        if not windows or not self._sounds:
            return []
        alike = self._alike([sound for _, _, sound in windows])
        there = normalize(text).split()
        found: list[tuple[float, Candidate]] = []
        for number in np.flatnonzero((alike >= ALIKE).any(axis=1)):
            term = self.terms[number]
            if places_of(there, term.sound):
                continue
            best = int(alike[number].argmax())
            first, end, _ = windows[best]
            found.append((float(alike[number, best]), _candidate(term, words, first, end)))
        found.sort(key=lambda pair: -pair[0])
        return [candidate for _, candidate in found[:MOST]]

    def _windows(self, words: Sequence[str]) -> list[tuple[int, int, str]]:
        """Some words that follow one another, and their letters."""
        sounds = [sound_of(word) for word in words]
        return [
            (first, end, sound)
            for first in range(len(words))
            for end in range(first + 1, min(first + self._longest, len(words)) + 1)
            if (sound := "".join(sounds[first:end])) and sounds[first] and sounds[end - 1]
        ]

    def _alike(self, sounds: Sequence[str]) -> np.ndarray:
        """(terms, windows): one minus the share of letters to change, by the best spelling."""
        of_spelling = likeness(self._sounds, sounds, self._skeletons)
        found = np.zeros((len(self.terms), len(sounds)), np.float32)
        np.maximum.at(found, self._owner, of_spelling)
        return found


def likeness(
    ones: Sequence[str], others: Sequence[str], skeletons: Sequence[str] | None = None
) -> np.ndarray:
    """(ones, others): share of letters that two sounds have alike, or its mean with that of how
    they are roughly spoken (`skeletons`: how the ones are), whichever is more."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    alike = partial(cdist, scorer=Levenshtein.normalized_similarity)
    letters = alike(ones, others)
    spoken = alike(skeletons or list(map(skeleton, ones)), list(map(skeleton, others)))
    return np.maximum(letters, (letters + spoken) / 2)


def skeleton(sound: str) -> str:
    """Letters as they are roughly spoken: one for each kind of consonant, vowels at the beginning
    alone, nothing twice in a row."""
    spoken = sound.replace("ph", "f").replace("x", "ks").translate(_SPOKEN)
    spoken = "".join(key for key, _ in itertools.groupby(spoken))
    return spoken[:1] + spoken[1:].replace("a", "")


def _candidate(term: KeyTerm, words: Sequence[str], first: int, end: int) -> Candidate:
    """What stood around the words stays around the term; a sentence still begins with a capital."""
    opening, closing = words[first], words[end - 1]
    before = opening[: len(opening) - len(opening.lstrip(_BEFORE))]
    behind = closing[len(closing.rstrip(_BEHIND)) :]
    begins = first == 0 or words[first - 1].rstrip(_BEHIND[4:])[-1:] in ".!?\u2026"

    def text(spelling: str) -> str:
        written = spelling[:1].upper() + spelling[1:] if begins else spelling
        return " ".join([*words[:first], f"{before}{written}{behind}", *words[end:]])

    as_said = tuple(map(text, (term.text, *term.spellings)))
    return Candidate(term, first, end, as_said[0], as_said)
