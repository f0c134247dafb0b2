"""Which column of a table is the audio, which the text, and what the others tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from moontune.data.rows.fields import FIELD_NAMES, MILLISECONDS
from moontune.data.rows.sessions import SESSION_FIELDS
from moontune.importing.audio_files import AudioFinder, NotFoundError
from moontune.importing.tables.stretches import understood
from moontune.importing.tables.texts import corrected_column, of_models
from moontune.transcribe.recordings import SUFFIXES

Cell = str | None
_NAMES: dict[str, tuple[str, ...]] = {
    "audio": (
        *FIELD_NAMES["audio_filepath"],
        *("file_name", "filepath", "file_path", "wav_path", "wav_file", "wav_filename", "wav_name"),
        *("audio_file", "audio_filename", "audio_name", "audiofile", "clip", "clip_path"),
        *(
            "sound",
            "sound_file",
            "recording",
            "recording_name",
            "recording_path",
            "recording_file",
            "datei",
            "dateiname",
        ),
        *("fichier", "archivo", "fichero", "arquivo"),
    ),
    "text": (
        *FIELD_NAMES["text"],
        *("transcripts", "transcriptions", "sentences", "utterance", "caption", "prompt", "script"),
        *(
            "verbatim",
            "words",
            "raw_text",
            "normalized_text",
            "normalized_transcription",
            "content",
            "satz",
        ),
        *("texte", "texto", "testo", "phrase", "frase", "transkript", "transcripción"),
    ),
    "speaker": (
        *FIELD_NAMES["speaker"],
        *("spk_id", "reader", "reader_id", "speaker_name", "voice", "narrator", "user", "user_id"),
        *("participant", "participant_id", "person", "sprecher"),
        *("sprecherin", "locuteur", "locutor", "hablante", "parlante"),
    ),
    "offset": (
        *FIELD_NAMES["offset"],
        "onset",
        "begin_time",
        "begin_s",
        "time_in",
        "in_time",
        "beginn",
        "from",
    ),
    "end": (
        *FIELD_NAMES["end"],
        "offset_end",
        "finish_time",
        "finish",
        "time_out",
        "out_time",
        "ende",
        "to",
    ),
    "duration": (*FIELD_NAMES["duration"], "dur", "length"),
    **{f"{field}_ms": names for field, names in MILLISECONDS.items()},
    "channel": FIELD_NAMES["channel"],
    "id": FIELD_NAMES["id"],
}
TOLD = (
    *("speaker", "id", "offset", "end", "duration", "offset_ms", "end_ms", "duration_ms"),
    "channel",
)  # fields of Columns beside audio and text
_LOOKED_AT = 60  # rows
_MOST = 0.6  # of the looked at
_OF_PEOPLE = 0.5  # of the words that a model wrote: as many at least has a text of people
_MOST_ABOVE = 10  # lines that may stand above a table's head

_SPELT = 0.9  # of a column's words are single letters


# Names that say something else as often; then what the cells are decides.
_DOUBTED = frozenset(("recording", "recording_name", "verbatim"))
_SENT = frozenset(("from", "to"))


@dataclass(frozen=True)
class Columns:
    """Places of what a table tells, from 0; None where no column does."""

    heads: tuple[str, ...]  # as written, or "column 1" where the first row is no head
    has_head: bool
    audio: int
    text: int
    text_else: int | None = None  # the text where that of `text` is empty
    speaker: int | None = None
    offset: int | None = None
    end: int | None = None
    duration: int | None = None
    offset_ms: int | None = None
    end_ms: int | None = None
    duration_ms: int | None = None
    channel: int | None = None
    id: int | None = None
    sessions: tuple[tuple[str, int], ...] = ()  # names of SESSION_FIELDS

    def in_words(self, used: Collection[str] = ()) -> tuple[str, ...]:
        """`audio: "Datei"`, `text: "Satz"`, `not used: "Alter"`: what was taken for what. What
        heads are `used` for beside that is told elsewhere."""
        places = [(name, getattr(self, name)) for name in ("audio", "text", *TOLD)]
        taken = [*((n, p) for n, p in places if p is not None), *self.sessions]
        said = [f'{name}: "{self.heads[place]}"' for name, place in taken]
        if self.text_else is not None:
            said[1] += f', else "{self.heads[self.text_else]}"'
        known = {self.text_else, *(place for _, place in taken)}
        rest = [head for place, head in enumerate(self.heads) if place not in known]
        left = [f'"{head}"' for head in rest if head not in used]
        return (*said, *([f"not used: {', '.join(left)}"] if left else []))


def choose_columns(
    rows: Sequence[Sequence[Cell]], finder: AudioFinder, folder: Path
) -> Columns | None:
    """The columns of a table's first rows; None if none is of audio, or none of text.

    A column's name decides; where it says nothing, its cells do: audio is what ends like a file of
    it, or what is one in the source's folders, and text is what has the most words.
    """
    sample = [list(row) for row in rows[: _LOOKED_AT + 1] if any(row)]
    if not sample:
        return None
    has_head = _is_head(sample)
    width = len(sample[0]) if has_head else _usual_width(sample)
    if width < 2:
        return None
    named = sample[0] if has_head else []
    named += [None] * (width - len(named))
    heads = tuple((head or f"column {i + 1}").strip() for i, head in enumerate(named))
    body = sample[1:] if has_head else sample
    cells = [[cell for row in body if i < len(row) and (cell := row[i])] for i in range(width)]
    places = fields_of(heads) if has_head else {}
    names = [*map(plain, heads)]
    named_audio, named_text = (
        None if place is None or names[place] in _DOUBTED else place
        for place in (places.pop(field, None) for field in ("audio", "text"))
    )
    audio = _audio_column(named_audio, cells, finder, folder)
    columns = [
        [(row[i] or "").strip() if i < len(row) else "" for row in body] for i in range(width)
    ]
    corrected = corrected_column(names, columns, named_text) if has_head else None
    text = named_text if corrected is None else corrected
    text = _text_column(text, cells, audio, [*of_models(names), *places.values()])
    if audio is None or text is None:
        return None
    if named_text is not None and named_text not in (audio, text):
        places["text_else"] = named_text
    rest = {
        name: place
        for name, place in places.items()
        if place not in (audio, text)
        and _is_of(name, columns[place], columns[audio])
        and (names[place] not in _SENT or _are_times(name, columns[place], columns[audio]))
    }
    taken = {audio, text, *rest.values()}
    sessions = tuple(
        (name, place)
        for name in SESSION_FIELDS
        for place, head in enumerate(heads)
        if has_head and plain(head) == name and place not in taken
    )
    return Columns(heads, has_head, audio, text, **rest, sessions=sessions)


def above_head(rows: Sequence[Sequence[Cell]]) -> int:
    """How many rows stand above the one that names a column of audio and one of text: a title,
    remarks, Excel's `sep=;`. Where no row does, it is the one before the first that has audio, if
    that names its columns and those above fewer than half as many."""
    first = rows[: _MOST_ABOVE + 1]
    for number, row in enumerate(first):
        if any(map(looks_like_audio, row)):
            filled = [_filled(one) for one in first[:number]]
            is_head = number > 1 and filled[-1] >= 2 and 2 * max(filled[:-1]) < filled[-1]
            return number - 1 if is_head and 2 * filled[-1] > _filled(row) else 0
        if {"audio", "text"} <= fields_of([cell or "" for cell in row]).keys():
            return number
    return 0


def _filled(row: Sequence[Cell]) -> int:
    """How many cells have something in them."""
    return sum(bool(cell and cell.strip()) for cell in row)


def head_width(rows: Sequence[Sequence[Cell]]) -> int | None:
    """How many columns a table's head names; None where it has none."""
    sample = [row for row in rows[above_head(rows) :][: _LOOKED_AT + 1] if any(row)]
    return len(sample[0]) if sample and _is_head(sample) else None


def plain(head: str) -> str:
    """A column's name without case, marks and spaces: `Audio File ` is `audio_file`."""
    return re.sub(r"[^\w]+", "_", head.strip().casefold()).strip("_")


def cell_at(cells: Sequence[Cell], at: int | None) -> str:
    """What stands in a column; nothing where the row ends before it, or there is no such one."""
    return (cells[at] or "").strip() if at is not None and at < len(cells) else ""


def looks_like_audio(cell: Cell) -> bool:
    """Whether a cell ends as the name of an audio file does."""
    return bool(cell) and PurePosixPath(str(cell).strip()).suffix.lower() in SUFFIXES


def _is_head(sample: Sequence[Sequence[Cell]]) -> bool:
    """Whether the first row names the columns."""
    first = sample[0]
    if any(looks_like_audio(cell) for cell in first):
        return False
    known = {name for names in _NAMES.values() for name in names}
    if any(plain(cell or "") in known for cell in first):
        return True
    below = sample[1:]
    return any(
        sum(looks_like_audio(row[i]) for row in below if i < len(row)) >= _MOST * len(below) > 0
        for i in range(len(first))
    )


def _usual_width(sample: Sequence[Sequence[Cell]]) -> int:
    """How many cells most rows have. One that has more has delimiters in its text."""
    counts = Counter(map(len, sample))
    return max(counts, key=lambda width: (counts[width], width))


def fields_of(heads: Sequence[str]) -> dict[str, int]:
    """Places by field; of several names for one, the first in the list of names."""
    places = {plain(head): i for i, head in reversed([*enumerate(heads)])}
    found: dict[str, int] = {}
    for field, names in _NAMES.items():
        at = next((places[n] for n in names if n in places), None)
        if at is not None and at not in found.values():
            found[field] = at
    return found


def _is_of(field: str, cells: Sequence[str], files: Sequence[str]) -> bool:
    """Whether a column is used for what its name says: its cells are understood, or tell rows of
    one file apart, which are left out then."""
    apart = len({*zip(files, cells, strict=True)}) > len({*files})
    return apart or understood(field, cells)


def _are_times(field: str, cells: Sequence[str], files: Sequence[str]) -> bool:
    """Whether a column is of times, and a file has several: who wrote to whom is no stretch."""
    return understood(field, cells) and len({*filter(None, files)}) < sum(map(bool, files))


def _audio_column(
    named: int | None, cells: Sequence[Sequence[str]], finder: AudioFinder, folder: Path
) -> int | None:
    def like(place: int) -> float:
        return sum(map(looks_like_audio, cells[place])) / max(1, len(cells[place]))

    best = max(range(len(cells)), key=like)
    if named is not None and (like(named) >= like(best) or like(best) < _MOST):
        return named
    if like(best) >= _MOST:
        return best
    there = [_there(column[:10], finder, folder) for column in cells]
    best = max(range(len(cells)), key=there.__getitem__)
    return best if there[best] >= _MOST else None


def _there(cells: Sequence[str], finder: AudioFinder, folder: Path) -> float:
    """The share of cells that are files of audio."""
    found = 0
    for cell in cells:
        try:
            found += bool(finder.find(cell, folder))
        except (NotFoundError, OSError):
            continue
    return found / max(1, len(cells))


def _text_column(
    named: int | None, cells: Sequence[Sequence[str]], audio: int | None, less: Sequence[int]
) -> int | None:
    if named is not None and named != audio:
        return named  # else the most words, those of columns that are `less` by half
    spelt = _spelt(cells, audio)

    def words(place: int) -> float:
        letters = [cell for cell in cells[place] if any(c.isalpha() for c in cell)]
        if place == audio or place in spelt or len(letters) < _MOST * max(1, len(cells[place])):
            return 0.0
        return sum(len(cell.split()) for cell in letters) / max(1, len(cells[place]))

    best = max(range(len(cells)), key=words)
    rest = (place for place in range(len(cells)) if place not in less)
    other = max(rest, key=words, default=best)
    if words(other) >= _OF_PEOPLE * words(best):  # else a remark on what a model wrote
        best = other
    return best if words(best) > 0 and len(cells[best]) else None


def _spelt(cells: Sequence[Sequence[str]], audio: int | None) -> set[int]:
    """Columns that have the words of another letter by letter, as FLEURS has them."""
    single = [_are_single(column) for column in cells]
    whole = [
        [*map(_letters, column)]
        for place, column in enumerate(cells)
        if place != audio and not single[place]
    ]
    return {
        place
        for place, column in enumerate(cells)
        if single[place] and any(_are_same([*map(_letters, column)], other) for other in whole)
    }


def _are_single(cells: Sequence[str]) -> bool:
    parts = [part for cell in cells for part in cell.split()]
    return sum(len(part) == 1 for part in parts) > _SPELT * len(parts)


def _are_same(letters: Sequence[str], others: Sequence[str]) -> bool:
    same = sum(a == b for a, b in zip(letters, others, strict=False))
    return same >= _MOST * max(1, len(letters))


def _letters(cell: str) -> str:
    return "".join(filter(str.isalpha, cell.casefold()))
