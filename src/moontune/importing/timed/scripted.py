"""Texts of which only the begin is told, and which are too long for a clip: what the base hears in
their stretch of the recording says where they can be cut, as of a script without times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from moontune.data.annotations import without_annotations
from moontune.data.audio import AudioError
from moontune.errors import UserError
from moontune.importing.script.passages import Written, rows_of_pieces
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.timed.captions import Caption
from moontune.importing.values import TOO_LONG, Found, Piece, Place, left_out


def rows_of_stretches(
    stretches: Sequence[tuple[int, Sequence[Caption]]], recording: Path, place: Place
) -> dict[int, list[Found]]:
    """The clips of captions that follow one another, by the number of the first, and what is left
    out; where there is no base to hear them with, all is."""
    if not stretches:
        return {}
    if place.ear is None:
        remedy = "`moontune import` hears where it can be cut"
        return {number: [*_left_out(said, remedy)] for number, said in stretches}
    found: dict[int, list[Found]] = {}
    try:
        pieces = place.ear.hear(recording, place.longest_s)
        for number, said in stretches:
            found[number] = [*_rows(number, said, recording, pieces, place)]
    except (UserError, AudioError) as error:
        return {number: [*_left_out(said, f"{error}"[:200])] for number, said in stretches}
    return found


def _left_out(captions: Sequence[Caption], why: str) -> Iterator[Found]:
    for caption in captions:
        length = caption.end_s - caption.start_s
        detail = f"lasts {length:.1f} s up to the next time; {why}, or set times more often"
        yield left_out(caption.where, caption.text[:60], TOO_LONG, detail)


def _rows(
    number: int,
    captions: Sequence[Caption],
    recording: Path,
    pieces: Sequence[Piece],
    place: Place,
) -> Iterator[Found]:
    """Of captions that follow one another. Raises AudioError."""
    assert place.ear is not None
    start, end = captions[0].start_s, captions[-1].end_s
    heard = [piece for piece in pieces if start <= (piece.start_s + piece.end_s) / 2 < end]
    texts = [(i, line) for i, one in enumerate(captions) for line in (one.lines or (one.text,))]
    cleaned, _ = without_annotations([line for _, line in texts])
    lines = [(i, line) for (i, _), line in zip(texts, cleaned, strict=True) if line.strip()]
    whole = clip_name(place, recording)
    written = Written(
        recording, lines, captions[0].where, f"{whole}/{number:04}", whole,
        lambda line: captions[line].where,
        {i: one.speaker for i, one in enumerate(captions) if one.speaker},
    )  # fmt: skip
    yield from rows_of_pieces(written, heard, place.ear, place.longest_s)


def runs_of(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in order, those together that follow one another."""
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        yield [number for _, number in group]
