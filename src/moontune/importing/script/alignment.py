"""Which words of the script each piece says, and how sure its edges are.

A piece says the words from one place of the script to another, or none of them; between two pieces
words of the script may be passed over. What that costs, in letters: what differs between a piece
and its words (Levenshtein); FOREIGN of a letter that no words belong to; PASSED of a letter of the
script that no piece says, and more where that begins or ends within a sentence, as a pause there
does too. The cheapest way is taken. An edge is as sure as the cheapest way with another edge costs
more: its margin, in letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moontune.importing.script.anchors import bands
from moontune.importing.script.words import Script, letters_of

FOREIGN, PASSED = 0.5, 0.2  # of a letter
_ONCE = 1.0  # for a piece that is foreign
_AT_SENTENCE, _WITHIN = 1.5, 4.0  # for passing words over, at each end
_AT_COMMA, _ELSEWHERE = 0.3, 1.0  # for a piece's edge within a sentence
_WIDEST = 30_000  # letters of the script that one piece is compared with
_NEVER = np.float32(1e9)


@dataclass(frozen=True)
class Aligned:
    """The words of the script that a piece says."""

    first: int  # its place; the same as `end` where it says none of them
    end: int
    first_margin: float = 0.0  # letters
    end_margin: float = 0.0

    @property
    def foreign(self) -> bool:
        return self.first == self.end


@dataclass
class _Costs:
    """Of one piece, by place of its band: the ways before it, over it and after it."""

    low: int
    begun: np.ndarray  # before it begins there
    over: np.ndarray  # before it has ended there, with words
    passed: np.ndarray  # before it was foreign there
    onward: np.ndarray | None = None  # from there on, once it has ended
    back: np.ndarray | None = None  # from there on, if it begins there with words


def align(pieces: Sequence[Sequence[str]], script: Script) -> list[Aligned]:
    """For each piece, of words as they sound, its words of the script."""
    if not pieces:
        return []
    return _Alignment(pieces, script).best()


class _Alignment:
    def __init__(self, pieces: Sequence[Sequence[str]], script: Script) -> None:
        self._script = script
        self._heard = [letters_of("".join(piece)) for piece in pieces]
        self._bands = bands(pieces, script.sounds)
        ends = script.ends_sentence
        edge = np.where(script.ends_part, _AT_COMMA, _ELSEWHERE)
        self._edge = np.where(ends, 0, edge).astype(np.float32)
        self._open = np.where(ends, _AT_SENTENCE, _WITHIN).astype(np.float32)
        self._length = (PASSED * script.starts).astype(np.float32)
        self._costs: list[_Costs] = []

    def best(self) -> list[Aligned]:
        self._forward()
        self._backward()
        aligned, at = [], 0
        for k in range(len(self._heard)):
            one, at = self._step(k, at)
            aligned.append(one)
        return aligned

    def _forward(self) -> None:
        low, at = 0, np.zeros(1, np.float32)
        for k, (first, last) in enumerate(self._bands):
            begun = self._skipped(low, at, last)[first - low :]
            over = self._over(k, begun)
            passed = begun + self._foreign(k)
            self._costs.append(_Costs(first, begun, over, passed))
            low, at = first, np.minimum(over, passed)

    def _backward(self) -> None:
        words = len(self._script.texts)
        low, at = words, np.zeros(1, np.float32)
        for k in reversed(range(len(self._heard))):
            first, last = self._bands[k]
            costs = self._costs[k]
            costs.onward = self._skipped_back(low, at, first)[: last - first + 1]
            costs.back = self._over(k, costs.onward, back=True)
            low, at = first, np.minimum(costs.back, costs.onward + self._foreign(k))

    def _step(self, k: int, at: int) -> tuple[Aligned, int]:
        """The best words of a piece after the ones before it have come to a place, and the place
        that it comes to."""
        first, last = self._bands[k]
        costs = self._costs[k]
        assert costs.onward is not None
        assert costs.back is not None
        here = self._skipped(at, np.zeros(1, np.float32), last)[max(first - at, 0) :]
        base = max(first, at) - first
        with_words, none = here + costs.back[base:], here + costs.onward[base:] + self._foreign(k)
        if none.min() <= with_words.min():
            place = base + first + int(none.argmin())
            return Aligned(place, place), at
        start = base + int(with_words.argmin())
        alone = np.full(last - first + 1, _NEVER, np.float32)
        alone[start] = 0
        ended = self._over(k, alone) + costs.onward
        end = int(ended.argmin())
        if end <= start:
            return Aligned(first + start, first + start), at
        otherwise = float((costs.passed + costs.onward).min())
        begins, ends = costs.begun + costs.back, costs.over + costs.onward
        margins = [_margin(begins, start, otherwise), _margin(ends, end, otherwise)]
        return Aligned(first + start, first + end, *margins), first + end

    def _foreign(self, k: int) -> float:
        return _ONCE + FOREIGN * len(self._heard[k])

    def _skipped(self, low: int, at: np.ndarray, last: int) -> np.ndarray:
        """Costs from place `low` to `last`, with words passed over."""
        at = np.concatenate([at, np.full(last - low + 1 - len(at), _NEVER, np.float32)])
        there, opens = self._length[low : last + 1], self._open[low : last + 1]
        passed = np.minimum.accumulate(at + opens - there)
        at[1:] = np.minimum(at[1:], passed[:-1] + there[1:] + opens[1:])
        return at

    def _skipped_back(self, low: int, at: np.ndarray, first: int) -> np.ndarray:
        """The same from the end: costs from place `first` on."""
        at = np.concatenate([np.full(low - first, _NEVER, np.float32), at])
        end = first + len(at)
        there, opens = self._length[first:end], self._open[first:end]
        passed = np.minimum.accumulate((at + opens + there)[::-1])[::-1]
        at[:-1] = np.minimum(at[:-1], passed[1:] - there[:-1] + opens[:-1])
        return at

    def _over(self, k: int, at: np.ndarray, *, back: bool = False) -> np.ndarray:
        """Costs by place once the piece was said from a place on, or back to one."""
        first, last = self._bands[k]
        heard, starts = self._heard[k], self._script.starts[first : last + 1]
        letters = self._script.letters[starts[0] : starts[-1]]
        if not len(heard) or not len(letters) or len(letters) > _WIDEST:
            return np.full(len(at), _NEVER, np.float32)
        places, edge = starts - starts[0], self._edge[first : last + 1]
        row = np.full(len(letters) + 1, _NEVER, np.float32)
        if back:
            heard, letters, places = heard[::-1], letters[::-1], len(letters) - places
        row[places] = at + edge
        return _edited(row, heard, letters)[places] + edge


def _edited(row: np.ndarray, heard: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Costs by letter after those heard, from costs before: Levenshtein's, from any place."""
    steps = np.arange(len(row), dtype=np.float32)
    row = np.minimum.accumulate(row - steps) + steps
    for letter in heard:
        new = row + 1
        np.minimum(new[1:], row[:-1] + (letters != letter), out=new[1:])
        new -= steps
        np.minimum.accumulate(new, out=new)
        new += steps
        row = new
    return row


def _margin(costs: np.ndarray, chosen: int, otherwise: float) -> float:
    others = np.delete(costs, chosen)
    other = min(float(others.min()) if len(others) else float(_NEVER), otherwise)
    return round(other - float(costs[chosen]), 3)
