"""Parquet files and what `save_to_disk` writes: columns with the audio's own bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from moontune.data.rows.empty_texts import NEVER_WORDS, in_words
from moontune.data.rows.label_studio import OF_ELSE, may_be_of_stretches
from moontune.importing.tables.columns import TOLD, Columns, choose_columns
from moontune.importing.tables.stretches import reason_of, stretch_of
from moontune.importing.tables.table_rows import file_row
from moontune.importing.values import (
    BAD_ROW,
    NO_AUDIO,
    NO_TEXT,
    DamagedSourceError,
    Found,
    Place,
    SourceRow,
    left_out,
)

_First = Callable[[list[str]], list[dict[str, Any]]]  # the first rows, of columns
_BATCH_ROWS = 16  # of seconds of sound each


@dataclass(frozen=True)
class ArrowColumns:
    """Names of the columns that are taken."""

    audio: str
    text: str
    others: Columns

    @property
    def wanted(self) -> list[str]:
        texts = [self.text] if self._text_else is None else [self.text, self._text_else]
        return list(dict.fromkeys([self.audio, *texts, *self._named().values()]))

    @property
    def in_words(self) -> tuple[str, ...]:
        """What was taken for what."""
        otherwise = "" if self._text_else is None else f', else "{self._text_else}"'
        named = (f'{name}: "{head}"' for name, head in self._named().items())
        return (f'audio: "{self.audio}"', f'text: "{self.text}"{otherwise}', *named)

    @property
    def _text_else(self) -> str | None:
        """The column of the text where that of `text` is empty."""
        at = self.others.text_else
        return None if at is None else self.others.heads[at]

    def _named(self) -> dict[str, str]:
        heads, c = self.others.heads, self.others
        fields = (*((name, getattr(c, name)) for name in TOLD), *c.sessions)
        return {name: heads[at] for name, at in fields if at is not None}

    def row(self, record: dict[str, Any], where: str, stem: str, place: Place) -> Found:
        """A record as a row. Its audio is bytes, or the path of a file."""
        told = {name: _plain(record.get(head)) for name, head in self._named().items()}
        text, audio = record.get(self.text), record.get(self.audio)
        if self._text_else is not None and not (isinstance(text, str) and text.strip()):
            text = record.get(self._text_else)
        if not isinstance(text, str) or not text.strip():
            return left_out(where, stem, NO_TEXT, "the text is empty")
        if text.strip() in NEVER_WORDS:
            return left_out(where, stem, NO_TEXT, in_words(text))
        path, sound = (audio, None) if isinstance(audio, str) else (None, audio)
        if isinstance(audio, dict):
            path, sound = audio.get("path"), audio.get("bytes")
            if sound is None and audio.get("array") is not None:
                return left_out(where, stem, BAD_ROW, "the audio is an array; save it as bytes")
        recorded = tuple((n, v) for n, _ in self.others.sessions if (v := told[n]))
        speaker = told.get("speaker")
        if isinstance(sound, bytes) and sound:
            name = told.get("id") or (Path(path).stem if path else None) or stem
            return SourceRow(where, text, sound, name, speaker=speaker, recorded=recorded)
        if not isinstance(path, str) or not path:
            return left_out(where, stem, NO_AUDIO, "neither bytes nor a path")
        try:  # of what the file is a part of, the bytes are a clip already
            offset, seconds, channel = stretch_of(lambda name: told.get(name) or "")
        except ValueError as error:
            return left_out(where, stem, reason_of(error), str(error))
        return file_row(
            place, place.path if place.path.is_dir() else place.path.parent, path, text, where,
            lambda file, name: SourceRow(
                where, text, file, name, offset, seconds, channel, speaker, recorded
            ),
        )  # fmt: skip


def parquet_rows(file: Path, columns: ArrowColumns, place: Place) -> Iterator[Found]:
    """The rows of a parquet file. Raises DamagedSourceError."""
    return _rows(file, _parquet_batches(file, columns), columns, place)


def arrow_rows(file: Path, columns: ArrowColumns, place: Place) -> Iterator[Found]:
    """The rows of an arrow file of `save_to_disk`. Raises DamagedSourceError."""
    return _rows(file, _arrow_batches(file, columns), columns, place)


def _rows(
    file: Path, batches: Iterator[Any], columns: ArrowColumns, place: Place
) -> Iterator[Found]:
    number = 0
    while True:
        try:
            records = next(batches, None)
        except _errors() as error:
            raise DamagedSourceError(f"{file}: behind row {number}: {_line(error)}") from None
        if records is None:
            return
        for record in records:
            number += 1
            yield _row(file, number, record, columns, place)


def _parquet_batches(file: Path, columns: ArrowColumns) -> Iterator[list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(_BATCH_ROWS, columns=columns.wanted):
            yield batch.to_pylist()


def _arrow_batches(file: Path, columns: ArrowColumns) -> Iterator[list[dict[str, Any]]]:
    import pyarrow as pa

    with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
        for batch in stream:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                yield batch.slice(start, _BATCH_ROWS).select(columns.wanted).to_pylist()


def parquet_columns(file: Path, place: Place) -> ArrowColumns | None:
    """The columns of a parquet file; None where none is of audio or of text."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            return _columns(table.schema_arrow, place, partial(_first_of_parquet, table))
    except _errors() as error:
        raise DamagedSourceError(f"{file}: is no whole parquet file ({_line(error)})") from None


def arrow_columns(file: Path, place: Place) -> ArrowColumns | None:
    """The columns of an arrow file; None where none is of audio or of text."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
            return _columns(stream.schema, place, partial(_first_of_stream, stream))
    except _errors() as error:
        raise DamagedSourceError(f"{file}: is no whole arrow file ({_line(error)})") from None


def _columns(schema: Any, place: Place, first: _First) -> ArrowColumns | None:
    import pyarrow as pa

    names = list(schema.names)
    _refuse_stretches(schema, place.path)
    binary = [
        f.name for f in schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)
    ]
    holders = [
        f.name
        for f in schema
        if (pa.types.is_struct(f.type) and {s.name for s in f.type} & {"bytes", "path"})
        or f.name in binary
    ]
    heads = ["audio" if n == (holders or [None])[0] else n for n in names]
    plain = [f.name for f in schema if f.name not in binary and not pa.types.is_nested(f.type)]
    others = choose_columns(
        [heads, *_sample(names, holders, plain, first)], place.finder, place.path
    )
    if others is None:
        return None
    others = replace(others, heads=tuple(names))
    return ArrowColumns(names[others.audio], names[others.text], others)


def _refuse_stretches(schema: Any, source: Path) -> None:
    """Raises DamagedSourceError where texts are of stretches of the audio, as Label Studio's."""
    import pyarrow as pa

    for one in schema if may_be_of_stretches(schema.names) else ():
        item = one.type.value_type if pa.types.is_list(one.type) else None
        named = {p.name for p in item} if item is not None and pa.types.is_struct(item) else set()
        if {"start", "end", "labels"} <= named and not named & {*OF_ELSE, "text"}:
            raise DamagedSourceError(
                f'{source}: has texts of stretches of the audio (column "{one.name}"); export '
                "them from Label Studio as JSON, and name that"
            )


def _sample(
    names: list[str], holders: list[str], plain: list[str], first: _First
) -> list[list[str | None]]:
    """The first rows as cells, of audio that is in the file as a name; a row of any text where
    there are none."""
    try:
        records = first(plain) if plain else []
    except _errors():  # told where it is read
        records = []
    records = records or [{name: f"x{i}" for i, name in enumerate(plain)}]
    return [
        [f"x{i}.wav" if n in holders else _plain(record.get(n)) for n in names]
        for i, record in enumerate(records)
    ]


def _first_of_parquet(table: Any, names: list[str]) -> list[dict[str, Any]]:
    batch = next(table.iter_batches(_BATCH_ROWS, columns=names), None)
    return [] if batch is None else batch.to_pylist()


def _first_of_stream(stream: Any, names: list[str]) -> list[dict[str, Any]]:
    batch = next(iter(stream), None)
    return [] if batch is None else batch.slice(0, _BATCH_ROWS).select(names).to_pylist()


def _row(file: Path, number: int, record: Any, columns: ArrowColumns, place: Place) -> Found:
    where = f"{place.name_of(file)}:{number}"
    return columns.row(record, where, f"{file.stem}-{number:05}", place)


def _plain(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or isinstance(value, dict | list | bytes) else str(value)


def _errors() -> tuple[type[Exception], ...]:
    from pyarrow import ArrowException

    return (OSError, ArrowException, ValueError, KeyError)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
