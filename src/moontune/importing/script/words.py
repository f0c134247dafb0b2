"""A script as words to align: how each is written, and how it sounds."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moontune.data.normalizer import normalize
from moontune.languages.table import current
from moontune.languages.words import CLOSES, COMMAS, ENDS, joined_words, written_words

_CLOSED = rf"[\"'\u201d\u2019)\]{CLOSES}]*$"
_PART = re.compile(rf"[{re.escape(COMMAS + ENDS)}\-\u2013\u2014]{_CLOSED}")
_SENTENCE = re.compile(rf"[{re.escape(ENDS)}]{_CLOSED}")


@dataclass(frozen=True)
class Script:
    """Words in their order. A place `i` is before word `i`; the last is behind all words."""

    texts: tuple[str, ...]  # as they are written, with what stands at them and is not said
    lines: tuple[int, ...]  # of the file, from 1
    sounds: tuple[str, ...]  # normalised as WER is scored, without spaces
    letters: np.ndarray  # (letters,) of uint32, of all sounds
    starts: np.ndarray  # (words + 1,): the first letter of each word
    ends_sentence: np.ndarray  # (words + 1,) of bool: whether a sentence or line ends at a place
    ends_part: np.ndarray  # the same, or a comma or a dash is there

    def text(self, first: int, end: int) -> str:
        """What is written from one place to another."""
        return joined_words(self.texts[first:end])

    def sound(self, first: int, end: int) -> str:
        """The letters from one place to another."""
        return "".join(self.sounds[first:end])


def script_of(lines: Sequence[tuple[int, str]]) -> Script:
    """The script of numbered lines. What has no sound, as a dash, belongs to the word before it."""
    texts: list[str] = []
    numbers: list[int] = []
    sounds: list[str] = []
    ends = [True]
    for number, line in lines:
        begun, lead = len(texts), ""
        for token in written_words(line):
            if said := sound_of(token):
                texts.append(lead + token)
                numbers.append(number)
                sounds.append(said)
                ends.append(False)
                lead = ""
            elif len(texts) > begun:
                texts[-1] += f" {token}"
            else:
                lead += f"{token} "
            if len(texts) > begun:
                ends[-1] = bool(_SENTENCE.search(texts[-1]))
        ends[-1] = True
    starts = np.concatenate([[0], np.cumsum([len(said) for said in sounds], dtype=int)]).astype(int)
    return Script(
        tuple(texts), tuple(numbers), tuple(sounds), letters_of("".join(sounds)), starts,
        np.array(ends), np.array(ends) | np.array([True, *(bool(_PART.search(t)) for t in texts)]),
    )  # fmt: skip


def sound_of(token: str) -> str:
    """A word as it is compared: normalised, without spaces; empty where it has no sound."""
    return _sound(token, current().code)


@functools.lru_cache(maxsize=65536)
def _sound(token: str, code: str) -> str:
    return normalize(token).replace(" ", "")


def letters_of(sound: str) -> np.ndarray:
    """Letters as numbers, (letters,)."""
    return np.frombuffer(sound.encode("utf-32-le"), np.uint32)
