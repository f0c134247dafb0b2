"""Rows of one recording by several annotators, as Label Studio's CSV has one for each.

As of its JSON, the ground truth counts, else what was changed last. Where a table does not say
which that is, or the rows are of several tasks, none of the texts is taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moontune.data.rows.empty_texts import SPELLINGS
from moontune.data.rows.label_studio import OF_ITS_OWN
from moontune.importing.audio_files import NotFoundError
from moontune.importing.tables.columns import Cell, Columns, cell_at
from moontune.importing.tables.delimited import Records
from moontune.importing.values import ANOTHER_TEXT, TWICE, Place
from moontune.system.formatting import counted

_STRETCH = ("offset", "end", "duration", "offset_ms", "end_ms", "duration_ms", "channel")
_WHEN = ("updated_at", "created_at")
_DAY = re.compile(r"\d{4}-\d\d-\d\d.*")  # of which the later one is greater
_MOST_NAMED = 4  # rows
_TRUE = ("true", "1", "yes")


@dataclass(frozen=True)
class Annotated:
    """Rows that do not count: lines, each with reason and detail."""

    left_out: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    decided_by: tuple[str, ...] = ()  # heads of columns that say which row counts


@dataclass(frozen=True)
class _Row:
    line: int
    file: Path  # which two uploads of one name may be
    text: str
    task: tuple[str, str]  # its id, and how it names its audio
    is_true: bool
    when: str

    @property
    def rank(self) -> tuple[bool, str]:
        return self.is_true, self.when


def of_annotators(
    records: Records, columns: Columns, place: Place, hidden: Collection[int] = frozenset()
) -> Annotated:
    """Which rows of a table, from its head on, are of a recording that another row tells better, or
    as well; of no table but Label Studio's. `place` is the table's file, and rows that are `hidden`
    are passed over."""
    if not columns.has_head or OF_ITS_OWN.isdisjoint(columns.heads):
        return Annotated()
    groups: dict[tuple[object, ...], list[_Row]] = defaultdict(list)
    for line, cells in records[1:]:
        row = None if line in hidden else _row(line, cells, columns, place)
        if row is not None:
            stretch = (cell_at(cells, getattr(columns, name)) for name in _STRETCH)
            groups[(row.file, *stretch)].append(row)
    left: dict[int, tuple[str, str]] = {}
    earlier = open_rows = 0
    for rows in groups.values():
        if len({row.text for row in rows}) < 2:
            continue  # the same again is told as such
        best = max(rows, key=lambda row: row.rank)
        if _is_the_one(best, rows):
            others = [row for row in rows if row.text != best.text]
            detail = f"as row {best.line}, which is the ground truth or the latest"
            left |= {row.line: (TWICE, detail) for row in others}
            earlier += 1
        else:
            where = ", ".join(str(row.line) for row in rows[:_MOST_NAMED])
            detail = f"rows {where} have one recording and several texts; keep one of them"
            left |= {row.line: (ANOTHER_TEXT, detail) for row in rows}
            open_rows += len(rows)
    told = []
    decided_by = _deciding(columns) if earlier else ()
    if earlier:
        by = " and ".join(f'"{name}"' for name in decided_by)
        text = f"the latest text is taken, by {by}"
        told.append(f"annotated twice: {counted(earlier, 'recording')}, {text}")
    if open_rows:
        told.append(
            f"left out: {counted(open_rows, 'row')} of recordings with several texts, keep one of "
            "each"
        )
    return Annotated(left, tuple(told), decided_by)


def _deciding(columns: Columns) -> tuple[str, ...]:
    """Heads of the columns that tell which row counts."""
    days = [name for name in _WHEN if name in columns.heads]
    return tuple(name for name in ("ground_truth", *days[:1]) if name in columns.heads)


def _row(line: int, cells: Sequence[Cell], columns: Columns, place: Place) -> _Row | None:
    """None of a row without a text, or without audio that is there."""
    texts = (cell_at(cells, at) for at in (columns.text, columns.text_else))
    text = next((text for text in texts if text and text not in (*SPELLINGS, "[]")), "")
    audio = cell_at(cells, columns.audio)
    if not text:
        return None
    try:
        file = place.finder.find(audio, place.path.parent)
    except NotFoundError:
        return None
    when = next(filter(None, (_named(name, cells, columns) for name in _WHEN)), "")
    is_true = _named("ground_truth", cells, columns).lower() in _TRUE
    task = _named("id", cells, columns), audio.lstrip("/")
    return _Row(line, file, " ".join(text.split()), task, is_true, when)


def _named(name: str, cells: Sequence[Cell], columns: Columns) -> str:
    """What stands in a column of this very name."""
    return cell_at(cells, columns.heads.index(name)) if name in columns.heads else ""


def _is_the_one(best: _Row, rows: Sequence[_Row]) -> bool:
    """Whether no other text is as good, and days are written so that they can be compared."""
    if len({row.task for row in rows}) > 1:
        return False
    rivals = [row for row in rows if row.text != best.text]
    if best.is_true and not any(row.is_true for row in rivals):
        return True
    dated = all(_DAY.fullmatch(row.when) for row in rows if row.is_true == best.is_true)
    return dated and all(row.rank < best.rank for row in rivals)
