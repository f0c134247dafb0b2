"""A transcript held against what was heard, piece by piece to be taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from moontune.languages.table import current
from moontune.languages.words import joined_words, written_words
from moontune.models.confidence.written import Chunk, read_written

Kind = Literal["same", "style", "wrong", "extra", "missing"]


@dataclass(frozen=True)
class Piece:
    """Some words that were heard, or of the transcript where nothing was (`missing`).

    They stand for words `first` to `end` (not included) of the transcript's written words; taking
    them puts them there, or takes what is missing out.
    """

    text: str
    kind: Kind  # style: right, but for case or punctuation; extra: heard alone
    first: int
    end: int


@dataclass(frozen=True)
class _Words:
    """Written words that WER counts as one, and which of the text's words they are."""

    raw: str
    counted: tuple[str, ...]
    first: int
    end: int


def differences(text: str, heard: str) -> list[Piece]:
    """What was heard in order, and between it what of the transcript was not."""
    found = _pieces(_words(text), _words(heard))
    return list(found) if current().spaced else list(_together(found))


def _together(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Pieces of characters: those that are other ones are taken as one, up to the next that is
    right, since no word begins at each."""
    for counts, group in itertools.groupby(pieces, lambda p: p.kind not in ("same", "style")):
        part = list(group)
        if not counts or len(part) == 1:
            yield from part
            continue
        heard = [p for p in part if p.kind != "missing"]
        kinds = {p.kind for p in part}
        kind: Kind = part[0].kind if len(kinds) == 1 else "wrong"
        text = joined_words(p.text for p in heard or part)
        yield Piece(text, kind, part[0].first, part[-1].end)


def _words(text: str) -> list[_Words]:
    found, place = [], 0
    for chunk in _chunks(text):
        end = place + len(written_words(chunk.raw))
        found.append(_Words(chunk.raw, chunk.tokens, place, end))
        place = end
    return found


def _chunks(text: str) -> list[Chunk]:
    return [chunk for chunk in read_written(text).chunks if chunk.raw]


def _pieces(text: list[_Words], heard: list[_Words]) -> Iterator[Piece]:
    from rapidfuzz.distance import Levenshtein

    own = [w.counted for w in text]
    for op in Levenshtein.opcodes(own, [w.counted for w in heard]):
        ours, theirs = text[op.src_start : op.src_end], heard[op.dest_start : op.dest_end]
        if op.tag == "insert":
            place = text[op.src_start].first if op.src_start < len(text) else _length(text)
            yield from (Piece(w.raw, _alone(w, "extra"), place, place) for w in theirs)
        elif op.tag == "delete":
            yield from (Piece(w.raw, _alone(w, "missing"), w.first, w.end) for w in ours)
        else:
            for one, other in zip(ours, theirs, strict=True):
                yield Piece(other.raw, _kind(one, other), one.first, one.end)


def _length(text: list[_Words]) -> int:
    return text[-1].end if text else 0


def _alone(words: _Words, kind: Kind) -> Kind:
    """Words that WER does not count ("uh") are only written otherwise."""
    return kind if words.counted or kind == "missing" else "style"


def _kind(one: _Words, other: _Words) -> Kind:
    if one.raw == other.raw:
        return "same"
    return "style" if one.counted == other.counted else "wrong"
