"""Clips between the sure ones, of words that the base did not write and finds likely all the same.

Where a recording has shouts, whispers or odd names, what the base writes tells nothing of them. But
it can say how likely given words are: of the sentences that the script has there, and of the pieces
of sound, each few that follow one another are tried together. A guess is taken where its tokens
cost little, and clearly less than on the same sound played backwards; of all guesses of a gap those
that together gain most, where a further piece of sound must be worth it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moontune.data.truecasing import close_sentence, restore_style
from moontune.importing.script.cutting import UNSURE, Passage
from moontune.importing.script.listening import PAD_S
from moontune.importing.script.words import Script
from moontune.importing.values import Ear, Fit, Guess, Piece

# Nats a token: of a guess and of each sentence, at most, and gained over the reversed sound.
MEAN, GAINED = 3.0, 1.0
MEAN_OF_SENTENCE, GAINED_OF_SENTENCE = 5.0, 0.5
EDGE = 8.0  # nats: the most of the first two and last two tokens, beside which others may be said
WORTH = 3.0  # nats in all: what each further piece of a guess must bring
LETTERS_PER_S = (1.0, 28.0)
_TOGETHER = 4  # pieces, and sentences, of a guess
_MOST = 10  # pieces, and sentences, of a gap; in a longer one there is too much to confuse


@dataclass(frozen=True)
class _Gap:
    """Pieces between two clips, and places in the script between which their words may be."""

    pieces: tuple[Piece, ...]
    places: tuple[int, ...]  # where sentences begin and end


@dataclass(frozen=True)
class _Tried:
    """A guess of a gap: from one of its pieces and places to another."""

    gap: _Gap
    piece: int
    piece_end: int
    place: int
    place_end: int

    @property
    def start_s(self) -> float:
        return self.gap.pieces[self.piece].start_s

    @property
    def end_s(self) -> float:
        return self.gap.pieces[self.piece_end - 1].end_s

    def guess(self, script: Script) -> Guess:
        places = self.gap.places[self.place : self.place_end + 1]
        sentences = (script.text(*pair) for pair in itertools.pairwise(places))
        start = max(self.start_s - PAD_S, 0.0)
        return Guess(start, self.end_s + PAD_S, tuple(map(as_the_base_writes, sentences)))

    def passage(self, fits: Sequence[Fit]) -> Passage:
        words = self.gap.places[self.place], self.gap.places[self.place_end]
        mean = float(np.concatenate([fit.there for fit in fits]).mean())
        return Passage(self.start_s, self.end_s, *words, round(float(np.exp(-mean)), 2))


def with_unheard(
    found: Sequence[Passage], pieces: Sequence[Piece], script: Script, recording: Path,
    ear: Ear, longest_s: float,
) -> list[Passage]:  # fmt: skip
    """The passages of a recording, with clips in place of what was left out where words fit."""
    gaps = list(_gaps(found, pieces, script))
    tried = [one for gap in gaps for one in _guesses(gap, script, longest_s)]
    fits = ear.fits(recording, [one.guess(script) for one in tried]) if tried else []
    if not fits:
        return list(found)
    known = list(zip(tried, fits, strict=True))
    clips = [clip for gap in gaps for clip in chosen([one for one in known if one[0].gap is gap])]
    return _joined(found, clips, pieces)


def as_the_base_writes(sentence: str) -> str:
    """A sentence of a script in sentence case, with an end."""
    return restore_style(sentence, "") if sentence.isupper() else close_sentence(sentence, "")


def _gaps(found: Sequence[Passage], pieces: Sequence[Piece], script: Script) -> Iterator[_Gap]:
    words, begun = len(script.texts), 0.0
    first = 0
    for clip in [*(one for one in found if one.reason is None), None]:
        end, until = (words, np.inf) if clip is None else (clip.first, clip.start_s)
        there = tuple(p for p in pieces if p.start_s >= begun and p.end_s <= until)
        inner = (i for i in range(first + 1, end) if script.ends_sentence[i])
        places = (first, *inner, end)
        if first < end and 0 < len(there) <= _MOST and len(places) <= _MOST + 1:
            yield _Gap(there, places)
        if clip is not None:
            first, begun = clip.end, clip.end_s


def _guesses(gap: _Gap, script: Script, longest_s: float) -> Iterator[_Tried]:
    for piece, piece_end in _stretches(len(gap.pieces)):
        for place, place_end in _stretches(len(gap.places) - 1):
            one = _Tried(gap, piece, piece_end, place, place_end)
            seconds = one.end_s - one.start_s
            letters = len(script.sound(gap.places[place], gap.places[place_end]))
            slowest, fastest = LETTERS_PER_S
            if seconds <= longest_s and slowest * seconds <= letters <= fastest * seconds:
                yield one


def _stretches(count: int) -> Iterator[tuple[int, int]]:
    for first in range(count):
        for end in range(first + 1, min(first + _TOGETHER, count) + 1):
            yield first, end


def chosen(known: Sequence[tuple[_Tried, tuple[Fit, ...]]]) -> list[Passage]:
    """Of a gap's guesses those to take: in order, none of them twice, with the most gained."""
    good = [
        (one, fits, gained)
        for one, fits in known
        if fits_well(fits) and (gained := _gained(one, fits)) > 0
    ]
    good.sort(key=lambda each: (each[0].piece_end, each[0].place_end))
    best: list[tuple[float, list[Passage]]] = []
    for one, fits, gained in good:
        before = [
            best[i]
            for i, (other, _, _) in enumerate(good[: len(best)])
            if other.piece_end <= one.piece and other.place_end <= one.place
        ]
        most, clips = max(before, key=lambda each: each[0], default=(0.0, []))
        best.append((most + gained, [*clips, one.passage(fits)]))
    return max(best, key=lambda each: each[0], default=(0.0, []))[1]


def fits_well(fits: Sequence[Fit]) -> bool:
    """Whether words are likely enough to be what is said."""
    there = np.concatenate([fit.there for fit in fits])
    backwards = np.concatenate([fit.reversed for fit in fits])
    edges = np.concatenate([there[:2], there[-2:]])
    return (
        bool(there.mean() <= MEAN and edges.max() <= EDGE)
        and bool((backwards - there).mean() >= GAINED)
        and all(
            fit.there.mean() <= MEAN_OF_SENTENCE
            and (fit.reversed - fit.there).mean() >= GAINED_OF_SENTENCE
            for fit in fits
        )
    )


def _gained(one: _Tried, fits: Sequence[Fit]) -> float:
    """Nats over the reversed sound, for which each piece but one must do its part."""
    nats = float(sum((fit.reversed - fit.there).sum() for fit in fits))
    return nats - WORTH * (one.piece_end - one.piece - 1)


def _joined(
    found: Sequence[Passage], clips: Sequence[Passage], pieces: Sequence[Piece]
) -> list[Passage]:
    """Passages in order of time: of what was left out that which no new clip has."""
    kept: list[Passage] = list(clips)
    for one in found:
        taken = [c for c in clips if c.start_s < one.end_s and one.start_s < c.end_s]
        if not taken:
            kept.append(one)
            continue
        for p in pieces:
            inside = one.start_s <= p.start_s and p.end_s <= one.end_s
            if inside and not any(c.start_s <= p.start_s and p.end_s <= c.end_s for c in taken):
                at = max((c.end for c in taken if c.end_s <= p.start_s), default=taken[0].first)
                heard = f"heard: {p.text[:60]}" if p.text else "no words were heard"
                kept.append(Passage(p.start_s, p.end_s, at, at, reason=UNSURE, detail=heard))
    return sorted(kept, key=lambda passage: passage.start_s)
