"""The rows of a table as what its source says of utterances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from moontune.data.rows.empty_texts import SPELLINGS, empty_spellings, in_words
from moontune.data.rows.label_studio import OF_LABEL_STUDIO
from moontune.importing.audio_files import NotFoundError, is_audio
from moontune.importing.tables.beyond import Places
from moontune.importing.tables.columns import Cell, Columns, cell_at
from moontune.importing.tables.stretches import reason_of, stretch_of
from moontune.importing.tables.texts import is_list_of_stretches, out_of_list
from moontune.importing.values import (
    BAD_ROW,
    HIDDEN,
    NO_AUDIO,
    NO_TEXT,
    Found,
    Place,
    SourceRow,
    left_out,
)


@dataclass(frozen=True)
class Table:
    """A table's rows of cells, each with its line or row in the file."""

    name: str  # of the file, as messages have it
    folder: Path  # that paths begin at
    records: Sequence[tuple[int, Sequence[Cell]]]
    delimiter: str = ", "
    quoted: bool = False  # texts with a delimiter in them stand between quotes
    hidden: frozenset[int] = frozenset()  # rows that are not shown
    left_out: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # reason and detail


def rows_of(table: Table, columns: Columns, place: Place) -> Iterator[Found]:
    """A row for each record below the head, or the reason why it is none."""
    body = [
        (line, _whole(cells, columns, table))
        for line, cells in table.records[1 if columns.has_head else 0 :]
    ]
    texts = [at for at in (columns.text, columns.text_else) if at is not None]
    empty = empty_spellings(cells[at] or "" for _, cells in body for at in texts if at < len(cells))
    behind = Places.of(columns, [cells for _, cells in body])
    for line, cells in body:
        where = f"{table.name}:{line}"
        if any(cells) and line in table.hidden:
            named = cells[columns.audio] if columns.audio < len(cells) else None
            yield left_out(where, named or where, HIDDEN, "is not shown in Excel")
        elif line in table.left_out:
            yield left_out(where, cell_at(cells, columns.audio) or where, *table.left_out[line])
        elif any(cells):
            if len(cells) > len(columns.heads) and behind.are_a_note(cells):
                cells = cells[: len(columns.heads)]
            yield _row(table, columns, place, where, cells, empty)


def _whole(cells: Sequence[Cell], columns: Columns, table: Table) -> Sequence[Cell]:
    """Cells beyond the last column belong to a text in the last one: its commas have no quotes."""
    last = len(columns.heads) - 1
    if len(cells) > last + 1 and columns.text == last:
        return [*cells[:last], table.delimiter.join(cell or "" for cell in cells[last:])]
    return cells


def _row(
    table: Table,
    columns: Columns,
    place: Place,
    where: str,
    cells: Sequence[Cell],
    empty: Collection[str],
) -> Found:
    cell = partial(cell_at, cells)
    texts = [at for at in (columns.text, columns.text_else) if at is not None]
    named = cell(columns.audio)
    text = next((cell(at) for at in texts if cell(at) and cell(at) not in empty), "")
    said_empty = next((cell(at) for at in texts if cell(at)), "")
    wanted = max(columns.audio, min(texts)) + 1
    if len(cells) < wanted:
        return left_out(where, named, BAD_ROW, f"has {len(cells)} cells, {wanted} are needed")
    beyond = any(map(cell, range(len(columns.heads), len(cells))))
    if beyond and _may_be_of_text(table, text):  # which its text has is not known
        detail = (
            f"has {len(cells)} cells, and the table {len(columns.heads)} columns; put a text with "
            f"{table.delimiter.strip()} in it between quotes"
        )
        return left_out(where, named, BAD_ROW, detail)
    try:
        offset, seconds, channel = stretch_of(lambda name: cell(getattr(columns, name)))
    except ValueError as error:
        return left_out(where, named, reason_of(error), str(error))
    if not OF_LABEL_STUDIO.isdisjoint(columns.heads) and any(
        map(is_list_of_stretches, filter(None, cells))
    ):  # in another's table they may be noises beside a text of all of it
        detail = "the text is of stretches of the audio; export it as JSON"
        return left_out(where, named, BAD_ROW, detail)
    try:
        text = out_of_list(text)
    except ValueError as error:
        return left_out(where, named, BAD_ROW, str(error))
    if said_empty and not text:
        return left_out(where, named, NO_TEXT, in_words(said_empty))
    recorded = tuple((name, cell(at)) for name, at in columns.sessions if cell(at))
    return file_row(
        place, table.folder, named, text, where,
        lambda path, name: SourceRow(
            where, text, path, name, offset, seconds, channel,
            _unless_empty(cell(columns.speaker)) or None, recorded,
        ),
    )  # fmt: skip


def _may_be_of_text(table: Table, text: str) -> bool:
    """Whether cells beyond the last column may be what follows a comma of the text; a text that
    holds one itself was between quotes."""
    mark = table.delimiter.strip()
    return mark in (",", ";") and not table.quoted and mark not in text


def _unless_empty(cell: str) -> str:
    """A cell; nothing where a program wrote that it is empty."""
    return "" if cell in SPELLINGS else cell


def file_row(
    place: Place,
    folder: Path,
    named: str,
    text: str,
    where: str,
    make: Callable[[Path, str], SourceRow],
) -> Found:
    """The row that `make` makes of the audio file that is named, and of the clip's name; or why
    there is none."""
    if not text.strip():
        return left_out(where, named, NO_TEXT, "the text is empty")
    try:
        path = place.finder.find(named, folder)
    except NotFoundError as error:
        return left_out(where, named, NO_AUDIO, str(error))
    return make(path, clip_name(place, path))


def clip_name(place: Place, path: Path) -> str:
    """A clip's name: its file's below the source, without the suffix."""
    name = PurePosixPath(place.name_of(path))
    return str(name.with_suffix("") if is_audio(path) else name)
