"""Clips of pieces whose words are sure, and the passages between them.

A clip begins and ends at pauses whose place in the script is sure, best where a sentence ends. It
has every word of the script between the two. A wrong word is worse than a lost clip, so one of
which too much was heard otherwise is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from moontune.importing.script.alignment import Aligned
from moontune.importing.script.words import Script, sound_of
from moontune.importing.values import Piece
from moontune.languages.words import joined_words, written_words

SURE = 1.5  # letters that another place for an edge must cost more
SURE_BESIDE = 3.0  # the same beside speech that is not in the script, whose words they may be
LEAST = 0.42  # confidence of a clip: one minus the letters that differ, of all
LEAST_OF_PIECE = 0.3  # of a piece of more than so many letters
_FEW = 4
MOST_RUN = 8  # letters of the script unheard in a row, or heard without being in it
_PAUSE_S = 0.1  # a shorter one is none: nothing is cut there

FOREIGN = "not in the script"  # reasons, as counted
UNSURE = "not sure"
NOT_SPOKEN = "not spoken"


@dataclass(frozen=True)
class Passage:
    """A stretch of a recording: a clip, or what is left out."""

    start_s: float
    end_s: float
    first: int  # its words of the script
    end: int
    confidence: float = 0.0
    reason: str | None = None  # why it is left out; None: a clip
    detail: str = ""


@dataclass(frozen=True)
class _Said:
    piece: Piece
    words: Aligned


def passages(
    pieces: Sequence[Piece], aligned: Sequence[Aligned], script: Script, longest_s: float
) -> list[Passage]:
    """A recording's clips and what is left out of it, in order of time."""
    said = _beside_foreign([_Said(*pair) for pair in zip(pieces, aligned, strict=True)])
    found: list[Passage] = []
    for foreign, group in itertools.groupby(said, key=lambda one: one.words.foreign):
        if foreign:
            found += [_foreign(one) for one in group]
            continue
        for run in _runs(list(group)):
            found += _of_run(run, script, longest_s)
    return found


def _beside_foreign(said: Sequence[_Said]) -> list[_Said]:
    """The same, with edges that are not sure enough for what they are beside made unsure."""
    found = []
    for i, one in enumerate(said):
        words, before, after = one.words, said[max(i - 1, 0) : i], said[i + 1 : i + 2]
        if any(other.words.foreign for other in before) and words.first_margin < SURE_BESIDE:
            words = replace(words, first_margin=0.0)
        if any(other.words.foreign for other in after) and words.end_margin < SURE_BESIDE:
            words = replace(words, end_margin=0.0)
        found.append(_Said(one.piece, words))
    return found


def _foreign(one: _Said) -> Passage:
    heard = f"heard: {one.piece.text[:60]}" if one.piece.text else "no words were heard"
    at = one.words.first
    return Passage(one.piece.start_s, one.piece.end_s, at, at, reason=FOREIGN, detail=heard)


def _runs(group: Sequence[_Said]) -> Iterator[list[_Said]]:
    """Pieces between which no word of the script is passed over."""
    run: list[_Said] = []
    for one in group:
        if run and run[-1].words.end != one.words.first:
            yield run
            run = []
        run.append(one)
    yield run


def _of_run(run: list[_Said], script: Script, longest_s: float) -> Iterator[Passage]:
    cuts = [i for i in range(1, len(run)) if _may_cut(run[i - 1], run[i])]
    at_sentences = [i for i in cuts if script.ends_sentence[run[i].words.first]]
    for first, end in itertools.pairwise([0, *at_sentences, len(run)]):
        within = [i for i in cuts if first < i < end]
        for low, high in _short_enough(run, first, end, within, longest_s):
            for part in _trimmed(run[low:high]):
                yield _judged(part, script, longest_s)


def _trimmed(clip: Sequence[_Said]) -> Iterator[Sequence[_Said]]:
    """A clip from its first sure edge to its last one, and what is before and behind that."""
    first = [i for i, one in enumerate(clip) if one.words.first_margin >= SURE]
    last = [i + 1 for i, one in enumerate(clip) if one.words.end_margin >= SURE]
    if not first or not last or first[0] >= last[-1]:
        yield clip
        return
    for low, high in itertools.pairwise([0, first[0], last[-1], len(clip)]):
        if low < high:
            yield clip[low:high]


def _may_cut(before: _Said, after: _Said) -> bool:
    return (
        after.piece.start_s - before.piece.end_s >= _PAUSE_S
        and before.words.end_margin >= SURE
        and after.words.first_margin >= SURE
    )


def _short_enough(
    run: Sequence[_Said], first: int, end: int, cuts: Sequence[int], longest_s: float
) -> Iterator[tuple[int, int]]:
    """A stretch of pieces, cut at its longest pauses until each is short enough."""
    seconds = run[end - 1].piece.end_s - run[first].piece.start_s
    if seconds <= longest_s or not cuts:
        yield first, end
        return
    cut = max(cuts, key=lambda i: run[i].piece.start_s - run[i - 1].piece.end_s)
    yield from _short_enough(run, first, cut, [i for i in cuts if i < cut], longest_s)
    yield from _short_enough(run, cut, end, [i for i in cuts if i > cut], longest_s)


def _judged(clip: Sequence[_Said], script: Script, longest_s: float) -> Passage:
    start, end = clip[0].piece.start_s, clip[-1].piece.end_s
    words = clip[0].words.first, clip[-1].words.end
    heard = "".join(sound_of(word) for one in clip for word in written_words(one.piece.text))
    confidence, run = agreement(heard, script.sound(*words))
    why = None
    if end - start > longest_s:
        why = f"lasts {end - start:.1f} s without a sure pause; --max-clip-s takes up to 30"
    elif clip[0].words.first_margin < SURE:
        why = "where in the script it begins is not sure"
    elif clip[-1].words.end_margin < SURE:
        why = "where in the script it ends is not sure"
    elif confidence < LEAST:
        why = f"confidence {confidence:.2f}, at least {LEAST:g}"
    elif (least := min(_confidence(one, script) for one in clip)) < LEAST_OF_PIECE:
        why = f"confidence {least:.2f} of a part, at least {LEAST_OF_PIECE:g}"
    elif run >= MOST_RUN:
        why = f"{run} letters in a row are heard and not in the script, or the other way round"
    if why is not None:
        text = joined_words(one.piece.text for one in clip)
        return Passage(start, end, *words, confidence, UNSURE, f"{why}; heard: {text[:60]}")
    return Passage(start, end, *words, confidence)


def _confidence(one: _Said, script: Script) -> float:
    heard = "".join(map(sound_of, written_words(one.piece.text)))
    written = script.sound(one.words.first, one.words.end)
    return agreement(heard, written)[0] if max(len(heard), len(written)) > _FEW else 1.0


def agreement(heard: str, written: str) -> tuple[float, int]:
    """One minus the letters that differ, of all, and the longest run that one side lacks."""
    from rapidfuzz.distance import Levenshtein

    longest = max(len(heard), len(written), 1)
    codes = Levenshtein.opcodes(heard, written)
    run = 0
    for code in codes:
        run = max(run, abs((code.src_end - code.src_start) - (code.dest_end - code.dest_start)))
    return 1 - Levenshtein.distance(heard, written) / longest, run
