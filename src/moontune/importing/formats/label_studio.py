"""Label Studio's JSON: tasks with their audio, and what annotators wrote of all of it or of parts.

https://labelstud.io/guide/task_format: a task has `data`, which names the audio, and `annotations`,
whose `result` holds texts (`textarea`) and stretches with labels, one `id` for what belongs
together. What is saved to a target storage is one annotation with its `task`. JSON_MIN has a field
of texts and one of stretches in their order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from moontune.data.rows.fields import is_row
from moontune.data.rows.label_studio import names_text
from moontune.importing.audio_files import NotFoundError
from moontune.importing.formats.label_studio_tasks import (
    NOBODY,
    Said,
    Task,
    may_be_first,
    tasks_of,
)
from moontune.importing.tables.json_lines import (
    SUFFIXES,
    first_object,
    head_of,
    is_json_lines,
    json_objects,
)
from moontune.importing.tables.table_rows import file_row
from moontune.importing.timed.joining import SLACK_S
from moontune.importing.timed.recognisers.documents import MOST_BYTES, document_of
from moontune.importing.values import (
    ANOTHER_TEXT,
    BAD_ROW,
    BAD_TIMES,
    NO_AUDIO,
    OVERLAPPING,
    TWICE,
    DamagedSourceError,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)
from moontune.system.formatting import counted

_HEAD_BYTES = 2**16
_SIGN = re.compile(
    rb'"(?:annotations|completions|predictions|result)"\s*:\s*\[|"labels"\s*:\s*\[\s*"'
    rb'|"(?:annotation_id|lead_time)"\s*:'
)
_OF_SOUND = re.compile(r"(?i)speech|voice|noise|music|silence|pause|laugh\w*|background|segment")
_Files = Mapping[Path, Sequence[Task]]


@dataclass(frozen=True)
class _Taken:
    """What was taken for what, of all the tasks."""

    field: str  # of texts
    speakers: frozenset[str]  # labels that are
    channels: bool  # of the audio are told apart


def _file(place: Place) -> Recognised | None:
    tasks = _tasks_of(place.path, place.name_of(place.path))
    return _recognised(place, {place.path: tasks}) if tasks else None


def _folder(place: Place) -> Recognised | None:
    found: dict[Path, list[Task]] = {}
    others: list[Path] = []
    for file in filter(is_json_lines, sorted(place.path.iterdir())):
        if tasks := _tasks_of(file, place.name_of(file)):
            found[file] = tasks
        else:
            others.append(file)
    if not found or (all(map(_is_lines, found)) and any(map(_is_manifest, others))):
        return None
    written = any(task.lacking != NOBODY for tasks in found.values() for task in tasks)
    return replace(_recognised(place, found), whole=written)  # else other files may say it


def _is_lines(file: Path) -> bool:
    return file.suffix.lower() != ".json"


def _is_manifest(file: Path) -> bool:
    """Whether a file has a manifest's rows, which are taken before tasks a line each."""
    return _is_lines(file) and (row := first_object(file)) is not None and is_row(row)


def has_tasks(file: Path) -> bool:
    """Whether a file has Label Studio's tasks."""
    return bool(_tasks_of(file, file.name))


def _tasks_of(file: Path, name: str) -> list[Task]:
    """The tasks of a file; none where it is something else."""
    try:
        head = head_of(file, _HEAD_BYTES)
        if _SIGN.search(head) is None or file.stat().st_size > MOST_BYTES:
            return []
        first = first_object(file) if head.startswith(b"{") else None
        if first is not None and not may_be_first(first):  # a manifest's, which may be long
            return []
        return tasks_of(_document(file), name)
    except (OSError, DamagedSourceError):
        return []


def _document(file: Path) -> Any:
    """What a file holds; where that is no whole JSON, its lines, None for those that are damaged.
    Raises DamagedSourceError."""
    try:
        return document_of(file)
    except DamagedSourceError:
        lines = [found for _, found in json_objects(file)]
        if 2 * lines.count(None) > len(lines):
            raise
        return lines


def _recognised(place: Place, found: _Files) -> Recognised:
    files = _one_of_each(found)
    said = [one for tasks in files.values() for task in tasks for one in task.said]
    fields = Counter(one.field for one in said if one.text)
    field = max(fields, key=lambda name: (names_text(name), fields[name]), default="")
    of_field = [one for one in said if one.field == field and one.text]
    labels = {one.label for one in of_field if one.label and not _OF_SOUND.fullmatch(one.label)}
    told = [f"tasks: {', '.join(file.name for file in files)}"]
    others = ", ".join(sorted(fields.keys() - {field}))
    if others or (field and not names_text(field)):
        told.append(f'text: "{field}"' + (f", not {others}" if others else ""))
    if joined := sum(one.entries > 1 for one in of_field):
        told.append(f"joined: {counted(joined, 'text')} of several entries")
    speakers = labels if len(labels) > 1 else set()
    if speakers:
        told.append(f"speaker: labels, {', '.join(sorted(speakers)[:8])}")
    if several := sum(task.several for tasks in files.values() for task in tasks):
        told.append(f"annotated twice: {counted(several, 'task')}, the ground truth or the latest")
    taken = _Taken(field, frozenset(speakers), any(one.channel for one in said))
    clashing = _clashing(place, files)
    parts = [partial(_rows, place, f, tasks, taken, clashing) for f, tasks in files.items()]
    return Recognised("label-studio", place.path, tuple(parts), tuple(told), of_one=bool(speakers))


def _one_of_each(files: _Files) -> dict[Path, list[Task]]:
    """The tasks, where one is there again, as in an older export or of another annotator in
    JSON_MIN, with one that counts; none where it is not told which that is."""
    best: dict[tuple[str, str], Task] = {}
    equal: set[tuple[str, str]] = set()  # keys of the best that say different things
    for task in (task for tasks in files.values() for task in tasks):
        if task.number and any(one.text for one in task.said):
            first = best.setdefault(_key(task), task)
            if task.rank > first.rank:
                best[_key(task)] = task
                equal.discard(_key(task))
            elif task.rank == first.rank and task.said != first.said:
                equal.add(_key(task))

    def counts(task: Task) -> Task:
        other = best.get(_key(task), task)
        if _key(task) in equal and task.said:
            detail = f"{task.audio} has several texts of the same day, or of none; keep one of them"
            return replace(task, said=(), lacking=detail, reason=ANOTHER_TEXT, several=False)
        if other is task or not task.said:
            return task
        detail = f"as {other.where}, which is the ground truth or no older"
        return replace(task, said=(), lacking=detail, reason=TWICE, several=False)

    return {file: [*map(counts, tasks)] for file, tasks in files.items()}


def _key(task: Task) -> tuple[str, str]:
    return task.number, task.audio.lstrip("/")


def _clashing(place: Place, files: _Files) -> dict[str, str]:
    """Names of audio, as tasks have it, that lead to one file though they are of several, as two
    uploads of the same name do; each with why it is not used."""
    named: dict[Path, set[str]] = defaultdict(set)
    folders = {(one.audio, f.parent) for f, tasks in files.items() for one in tasks if one.said}
    for audio, folder in folders:
        try:
            named[place.finder.find(audio, folder)].add(audio.lstrip("/"))
        except NotFoundError:
            continue
    return {
        audio: f"{', '.join(sorted(names)[:3])} would all be {place.name_of(path)}"
        for path, names in named.items()
        for audio in names
        if len(names) > 1
    }


def _rows(
    place: Place, file: Path, tasks: Sequence[Task], taken: _Taken, clashing: Mapping[str, str]
) -> Iterator[Found]:
    for task in tasks:
        if task.reason == BAD_ROW:
            yield left_out(task.where, task.where, BAD_ROW, task.lacking)
            continue
        if not task.audio:
            yield left_out(task.where, task.where, NO_AUDIO, "the task names no audio file")
            continue
        said = [one for one in task.said if one.field in (taken.field, "")]
        if not said:
            detail = task.lacking or "nobody wrote a text"
            yield left_out(task.where, task.audio, task.reason, detail)
        elif (detail := clashing.get(task.audio.lstrip("/"))) is not None:
            yield left_out(task.where, task.audio, NO_AUDIO, detail)
        else:
            kept = said if taken.channels else [replace(one, channel=None) for one in said]
            yield from (_row(place, file, task, one, taken) for one in _alone(kept))


def _alone(said: Sequence[Said]) -> list[Said]:
    """The same, with a reason where several texts are of all of the audio, or said at once."""
    found = [*said]
    wholes = [i for i, one in enumerate(found) if one.text and one.start_s is None]
    wholes = [i for i in wholes if found[i].lacking is None]
    if len({found[i].text for i in wholes}) > 1:
        detail = f"{len(wholes)} texts are of all of the recording"
        for i in wholes:
            found[i] = replace(found[i], lacking=(ANOTHER_TEXT, detail))
    last: dict[int | None, int] = {}  # of a channel, the one that ends last
    timed = [i for i, one in enumerate(found) if _is_timed(one)]
    for i in sorted(timed, key=lambda i: _span(found[i])):
        one, at = found[i], last.get(found[i].channel)
        if at is not None and (*_span(one), one.text) != (*_span(found[at]), found[at].text):
            before = found[at]
            if _span(one)[0] < _span(before)[1] - SLACK_S:
                found[i], found[at] = _said_while(one, before), _said_while(before, one)
        if at is None or _span(one)[1] >= _span(found[at])[1]:
            last[one.channel] = i
    return found


def _is_timed(one: Said) -> bool:
    return bool(one.text) and one.start_s is not None and one.end_s is not None


def _span(one: Said) -> tuple[float, float]:
    return one.start_s or 0.0, one.end_s or 0.0


def _said_while(one: Said, other: Said) -> Said:
    start, end = _span(other)
    return replace(one, lacking=(OVERLAPPING, f"another is said at {start:g}-{end:g} s"))


def _row(place: Place, file: Path, task: Task, said: Said, taken: _Taken) -> Found:
    if said.lacking is not None:
        return left_out(task.where, task.audio, *said.lacking)
    offset, seconds = said.start_s, None
    if said.start_s is not None and said.end_s is not None:
        seconds = said.end_s - said.start_s
        if said.start_s < 0 or seconds <= 0:
            detail = f"ends at {said.end_s:g} s and begins at {said.start_s:g} s"
            return left_out(task.where, task.audio, BAD_TIMES, detail)
    who = said.label if said.label in taken.speakers else task.speaker
    return file_row(
        place, file.parent, task.audio, said.text, task.where,
        lambda path, name: SourceRow(
            task.where, said.text, path, name, offset, seconds, said.channel, who
        ),
    )  # fmt: skip


FORMAT = Format(
    "label-studio", "Label Studio", "JSON of tasks with `data` and `annotations`",
    _folder, _file, SUFFIXES,
)  # fmt: skip
