"""Label Studio's JSON: tasks with their audio, and what annotators wrote of all of it or of parts.

https://labelstud.io/guide/task_format: a task has `data`, which names the audio, and `annotations`,
whose `result` holds texts (`textarea`) and stretches with labels, one `id` for what belongs
together. What is saved to a target storage is one annotation with its `task`. JSON_MIN has a field
of texts and one of stretches in their order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from moontune.data.rows.fields import FIELD_NAMES
from moontune.importing.audio_files import is_audio
from moontune.importing.tables.table_rows import file_row
from moontune.importing.timed.captions import tidy
from moontune.importing.timed.recognisers.documents import MOST_BYTES, document_of
from moontune.importing.values import (
    BAD_TIMES,
    NO_AUDIO,
    NO_TEXT,
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
_SIGN = re.compile(rb'"(?:annotations|completions|result)"\s*:\s*\[|"labels"\s*:\s*\[\s*"')
_LACKING = (LookupError, TypeError, ValueError, AttributeError)  # as values of JSON raise them
_OF_SOUND = re.compile(r"(?i)speech|voice|noise|music|silence|pause|laugh\w*|background|segment")


@dataclass(frozen=True)
class _Said:
    """A text, and which stretch of the audio it is of; all of it where no times are told."""

    text: str
    field: str  # its name in the annotation
    start_s: float | None = None
    end_s: float | None = None
    label: str | None = None
    channel: int | None = None


@dataclass(frozen=True)
class _Task:
    where: str
    audio: str  # as it is named; "" where none is
    speaker: str | None
    said: tuple[_Said, ...]
    lacking: str = ""  # why nothing is
    several: bool = False  # annotators wrote of it


def _file(place: Place) -> Recognised | None:
    tasks = _tasks_of(place.path, place)
    return _recognised(place, {place.path: tasks}) if tasks else None


def _folder(place: Place) -> Recognised | None:
    found: dict[Path, list[_Task]] = {}
    for file in sorted(place.path.iterdir()):
        if file.suffix.lower() == ".json" and (tasks := _tasks_of(file, place)):
            found[file] = tasks
    return _recognised(place, found) if found else None


def _recognised(place: Place, files: dict[Path, list[_Task]]) -> Recognised:
    said = [one for tasks in files.values() for task in tasks for one in task.said]
    fields = Counter(one.field for one in said if one.text)
    field = max(fields, key=lambda name: (_names_text(name), fields[name]), default="")
    labels = {one.label for one in said if one.field == field and one.text and one.label}
    labels = {label for label in labels if not _OF_SOUND.fullmatch(label)}
    told = [f"tasks: {', '.join(file.name for file in files)}"]
    if len(fields) > 1:
        others = ", ".join(sorted(fields.keys() - {field}))
        told.append(f'text: "{field}", not {others}')
    speakers = labels if len(labels) > 1 else set()
    if speakers:
        told.append(f"speaker: labels, {', '.join(sorted(speakers)[:8])}")
    if several := sum(task.several for tasks in files.values() for task in tasks):
        told.append(f"annotated twice: {counted(several, 'task')}, the ground truth or the latest")
    parts = [partial(_rows, place, f, tasks, field, speakers) for f, tasks in files.items()]
    return Recognised("label-studio", place.path, tuple(parts), tuple(told), of_one=bool(speakers))


def _names_text(field: str) -> bool:
    return field.lower() in FIELD_NAMES["text"]


def _rows(
    place: Place, file: Path, tasks: Sequence[_Task], field: str, speakers: set[str]
) -> Iterator[Found]:
    for task in tasks:
        if not task.audio:
            yield left_out(task.where, task.where, NO_AUDIO, "the task names no audio file")
            continue
        said = [one for one in task.said if one.field in (field, "")]
        if not said:
            detail = task.lacking or "nobody wrote a text"
            yield left_out(task.where, task.audio, NO_TEXT, detail)
        several = len({one.channel for one in said}) > 1
        for one in said:
            yield _row(place, file, task, one if several else replace(one, channel=None), speakers)


def _row(place: Place, file: Path, task: _Task, said: _Said, speakers: set[str]) -> Found:
    offset, seconds = said.start_s, None
    if said.start_s is not None and said.end_s is not None:
        seconds = said.end_s - said.start_s
        if said.start_s < 0 or seconds <= 0:
            detail = f"ends at {said.end_s:g} s and begins at {said.start_s:g} s"
            return left_out(task.where, task.audio, BAD_TIMES, detail)
    who = said.label if said.label in speakers else task.speaker
    return file_row(
        place, file.parent, task.audio, said.text, task.where,
        lambda path, name: SourceRow(
            task.where, said.text, path, name, offset, seconds, said.channel, who
        ),
    )  # fmt: skip


def _tasks_of(file: Path, place: Place) -> list[_Task]:
    """The tasks of a file; none where it is something else."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if _SIGN.search(head) is None or file.stat().st_size > MOST_BYTES:
            return []
        document = document_of(file)
    except (OSError, DamagedSourceError):
        return []
    values = document if isinstance(document, list) else [document]
    if not values or not all(isinstance(value, dict) for value in values):
        return []
    if not any(map(_is_task, values)):
        return []
    name = place.name_of(file)
    return [_task(value, f"{name}:task {value.get('id', i)}") for i, value in enumerate(values, 1)]


def _is_task(value: dict[str, Any]) -> bool:
    if _is_min(value):
        return True
    data = value["task"].get("data") if isinstance(value.get("task"), dict) else value.get("data")
    of_annotators = any(
        isinstance(value.get(name), list) for name in ("annotations", "completions", "result")
    )
    return isinstance(data, dict) and of_annotators and bool(_audio(data))


def _is_min(value: dict[str, Any]) -> bool:
    """Whether it is a task as JSON_MIN has it, with stretches."""
    return bool(_audio(value)) and any(map(_are_stretches, value.values()))


def _are_stretches(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and {"start", "end", "labels"} <= one.keys() for one in value)
    )


def _task(value: dict[str, Any], where: str) -> _Task:
    if _is_min(value):
        return _min_task(value, where)
    if isinstance(value.get("task"), dict):  # an annotation of a target storage
        value = value["task"] | {"annotations": [value]}
    data = value["data"] if isinstance(value.get("data"), dict) else {}
    made = [one for one in _annotations(value) if not one.get("was_cancelled")]
    audio, speaker = _audio(data), _speaker(data)
    if not made:
        return _Task(where, audio, speaker, (), "nobody annotated it")
    chosen = max(made, key=lambda one: (bool(one.get("ground_truth")), _when(one)))
    try:
        said = tuple(_said(chosen["result"]))
        return _Task(where, audio, speaker, said, several=len(made) > 1)
    except _LACKING as error:
        return _Task(where, audio, speaker, (), f"{type(error).__name__}: {error}"[:200])


def _annotations(value: dict[str, Any]) -> list[dict[str, Any]]:
    found = value.get("annotations") or value.get("completions") or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _when(annotation: dict[str, Any]) -> str:
    """When it was last changed, so that the later one is greater."""
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _said(result: Sequence[dict[str, Any]]) -> Iterator[_Said]:
    """The texts of an annotation, and its stretches that have none."""
    stretches: dict[str, _Said] = {}
    for one in result:
        value, place = one.get("value") or {}, str(one.get("id"))
        if {"start", "end"} <= value.keys():
            known = stretches.get(place, _Said("", ""))
            label = next(iter(value.get("labels") or ()), known.label)
            channel = value.get("channel", known.channel)
            stretches[place] = _Said(
                "", "", float(value["start"]), float(value["end"]),
                None if label is None else str(label), channel,
            )  # fmt: skip
    with_text = set()
    for one in result:
        value, place = one.get("value") or {}, str(one.get("id"))
        if one.get("type") != "textarea" or "text" not in value:
            continue
        texts = value["text"] if isinstance(value["text"], list) else [value["text"]]
        stretch = stretches.get(place, _Said("", ""))
        with_text.add(place)
        yield replace(stretch, text=tidy(" ".join(map(str, texts))), field=str(one["from_name"]))
    yield from (stretch for place, stretch in stretches.items() if place not in with_text)


def _min_task(value: dict[str, Any], where: str) -> _Task:
    """A task of JSON_MIN: texts and stretches in the same order."""
    audio, speaker = _audio(value), _speaker(value)
    stretches = next(filter(_are_stretches, value.values()))
    names = [name for name in (*FIELD_NAMES["text"], *value) if _texts(value, name, audio)]
    texts = _texts(value, names[0], audio) if names else []
    if len(texts) != len(stretches):
        lacking = f"{len(stretches)} stretches have {len(texts)} texts; export as JSON"
        return _Task(where, audio, speaker, (), lacking)
    pairs = zip(stretches, texts, strict=True)
    said = (_said([_region(one), _written(text, names[0])]) for one, text in pairs)
    return _Task(where, audio, speaker, tuple(one for some in said for one in some))


def _region(stretch: dict[str, Any]) -> dict[str, Any]:
    return {"id": "1", "value": stretch}


def _written(text: str, field: str) -> dict[str, Any]:
    return {"id": "1", "type": "textarea", "from_name": field, "value": {"text": [text]}}


def _texts(value: dict[str, Any], name: str, audio: str) -> list[str]:
    """What a field of JSON_MIN says, a text a stretch; nothing for other fields."""
    if name in ("created_at", "updated_at", *FIELD_NAMES["audio_filepath"]):
        return []
    found = value.get(name)
    texts = found if isinstance(found, list) else [found]
    strings = [text for text in texts if isinstance(text, str)]
    return strings if len(strings) == len(texts) and strings != [audio] else []


def _audio(data: dict[str, Any]) -> str:
    """The audio that a task names: its file's name on the server, or where it was mounted."""
    first = [data[name] for name in FIELD_NAMES["audio_filepath"] if name in data]
    for value in (*first, *data.values()):
        if isinstance(value, str) and (named := _path(value)):
            return named
    return ""


def _path(value: str) -> str:
    """An audio file's path out of a path or an address; "" for what is none."""
    address = urlsplit(value.strip())
    mounted = parse_qs(address.query).get("d", [""])[0]  # /data/local-files/?d=folder/a.wav
    for path in (mounted, address.path if address.scheme else value.strip()):
        if "\n" not in path and is_audio(Path(path)):
            return path
    return ""


def _speaker(data: dict[str, Any]) -> str | None:
    found = (data[name] for name in FIELD_NAMES["speaker"] if data.get(name) not in (None, ""))
    return next((str(one) for one in found if isinstance(one, str | int)), None)


FORMAT = Format(
    "label-studio", "Label Studio", "JSON of tasks with `data` and `annotations`",
    _folder, _file, (".json",),
)  # fmt: skip
