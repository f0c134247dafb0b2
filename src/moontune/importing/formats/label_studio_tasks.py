"""What Label Studio's tasks say: which audio is meant, and what was written of it or of parts.

A result is of the object that `to_name` names, which may be a text, a picture or a video beside
the audio: `start` and `end` are seconds of audio only, else letters, paragraphs or frames.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from moontune.data.rows.fields import FIELD_NAMES, MILLISECONDS, channel_of, is_row
from moontune.data.rows.label_studio import (
    OF_ELSE,
    OF_LABEL_STUDIO,
    are_stretches,
    by_annotators,
    has_stretches,
    names_text,
)
from moontune.importing.audio_files import is_audio
from moontune.importing.timed.captions import tidy
from moontune.importing.values import BAD_ROW, MISSHAPEN, NO_TEXT

NOBODY = "nobody annotated it"
_TIMES = (FIELD_NAMES["offset"], MILLISECONDS["offset"])  # of a part of a recording


@dataclass(frozen=True)
class Said:
    """A text, and which stretch of the audio it is of; all of it where no times are told."""

    text: str
    field: str  # its name in the annotation
    start_s: float | None = None
    end_s: float | None = None
    label: str | None = None
    channel: int | None = None
    entries: int = 1  # that the text was written in
    lacking: tuple[str, str] | None = None  # why it is not used: reason and detail


@dataclass(frozen=True)
class Task:
    """A task with the annotation that counts."""

    where: str
    audio: str  # as it is named; "" where none is
    speaker: str | None
    said: tuple[Said, ...]
    lacking: str = ""  # why nothing is
    reason: str = NO_TEXT
    several: bool = False  # annotators wrote of it
    number: str = ""  # its id; "" where it has none
    rank: tuple[bool, str] = (False, "")  # of the annotation: greater is better


def tasks_of(document: Any, name: str) -> list[Task]:
    """The tasks of a document, of which None is a damaged line; none where it is something else."""
    values = document if isinstance(document, list) else [document]
    there = [value for value in values if isinstance(value, dict)]
    if not there or not all(isinstance(value, dict | None) for value in values):
        return []
    if any(map(_is_min, there)):
        make = _min_task
    elif _are_of_several(there):
        make = _min_whole
    elif any(map(_is_task, there)):
        make = _task
    else:
        return []
    return [
        make(value, f"{name}:task {_number(value) or i}") if value is not None else _broken(name, i)
        for i, value in enumerate(values, 1)
    ]


def _broken(name: str, number: int) -> Task:
    """A line that is damaged, as where a file was cut off."""
    detail = "is no JSON object; export it again"
    return Task(f"{name}:task {number}", "", None, (), detail, BAD_ROW)


def _number(value: dict[str, Any]) -> str:
    task = value.get("task")
    number = task.get("id") if isinstance(task, dict) else value.get("id")
    return str(number) if isinstance(number, str | int) else ""


def may_be_first(value: dict[str, Any]) -> bool:
    """Whether a file's first line may be of Label Studio, of which others follow."""
    return not OF_LABEL_STUDIO.isdisjoint(value) or not is_row(value)


def _is_task(value: dict[str, Any]) -> bool:
    if is_row(value):  # a manifest's, whatever else it has
        return False
    if isinstance(value.get("task"), dict):  # an annotation of a target storage
        data, made = value["task"].get("data"), [value]
    else:
        lists = [value.get(name) for name in ("annotations", "completions", "predictions")]
        if not any(isinstance(one, list) for one in lists):
            return False
        data, made = value.get("data"), [a for one in lists if isinstance(one, list) for a in one]
    results = all("result" in one for one in made if isinstance(one, dict))
    return isinstance(data, dict) and results and bool(_audios(data))


def _task(value: dict[str, Any], where: str) -> Task:
    number = _number(value)
    if isinstance(value.get("task"), dict):
        value = value["task"] | {"annotations": [value]}
    data = value["data"] if isinstance(value.get("data"), dict) else {}
    audio, speaker = _audio(data)[0], _speaker(data)
    made = [one for one in _annotations(value) if not one.get("was_cancelled")]
    kept = [one for one in made if not _is_rejected(one)]
    if not kept:
        lacking = "a reviewer rejected what was written" if made else NOBODY
        return Task(where, audio, speaker, (), lacking)
    chosen = max(kept, key=_rank)
    try:
        audio, problem = _audio(data, _objects(chosen["result"]))
        said = () if problem else tuple(_said(chosen["result"]))
    except MISSHAPEN as error:
        return Task(where, audio, speaker, (), f"{type(error).__name__}: {error}"[:200])
    several, rank = len(kept) > 1, _rank(chosen)
    return Task(
        where, audio, speaker, said, problem, several=several, number=number, rank=rank
    )  # fmt: skip


def _annotations(value: dict[str, Any]) -> list[dict[str, Any]]:
    found = value.get("annotations") or value.get("completions") or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _rank(annotation: dict[str, Any]) -> tuple[bool, str]:
    """The ground truth, else when it was last changed, so that the later one is greater."""
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    return bool(annotation.get("ground_truth")), str(when)


def _is_rejected(annotation: dict[str, Any]) -> bool:
    """Whether the last review of it says that it is wrong."""
    found = annotation.get("reviews")
    reviews = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    last = max(reviews, key=lambda one: str(one.get("created_at") or ""), default={})
    return last.get("accepted") is False


def _objects(result: Sequence[dict[str, Any]]) -> set[str]:
    """What texts are written of."""
    return {str(one.get("to_name")) for one in result if one.get("type") == "textarea"}


def _said(result: Sequence[dict[str, Any]]) -> Iterator[Said]:
    """The texts of an annotation, and its stretches that have none."""
    stretches, elsewhere = _stretches(result)
    with_text = set()
    for one in result:
        value, place = one.get("value") or {}, str(one.get("id"))
        if one.get("type") != "textarea" or "text" not in value:
            continue
        texts = value["text"] if isinstance(value["text"], list) else [value["text"]]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"a text is {', '.join(type(text).__name__ for text in texts)}"[:100])
        stretch = stretches.get(place, Said("", ""))
        if place in elsewhere or (place not in stretches and value.keys() - {"text", "channel"}):
            detail = f"is written of a part of {one.get('to_name')} that has no times in seconds"
            stretch = Said("", "", lacking=(BAD_ROW, detail))
        with_text.add(place)
        text, written = tidy(" ".join(texts)), sum(map(bool, map(str.strip, texts)))
        yield replace(stretch, text=text, field=str(one["from_name"]), entries=written)
    yield from (stretch for place, stretch in stretches.items() if place not in with_text)


def _stretches(result: Sequence[dict[str, Any]]) -> tuple[dict[str, Said], set[str]]:
    """Stretches of audio by id, and ids of parts of something else. Raises ValueError."""
    stretches: dict[str, Said] = {}
    elsewhere: set[str] = set()
    values = [(one, one.get("value") or {}) for one in result]
    heard = {
        str(one.get("to_name"))
        for one, value in values
        if "original_length" in one or "channel" in value
    }
    objects: set[str] = set()
    for one, value in values:
        place, has_times = str(one.get("id")), {"start", "end"} <= value.keys()
        of_a_text = has_times and one.get("type") != "textarea" and "text" in value
        of_another = has_times and heard and str(one.get("to_name")) not in heard
        if of_a_text or of_another or value.keys() & OF_ELSE:
            elsewhere.add(place)
        elif has_times:
            objects |= {str(one["to_name"])} if "to_name" in one else set()
            known = stretches.get(place, Said("", ""))
            start, end = _seconds(value["start"]), _seconds(value["end"])
            channel = channel_of(value) if "channel" in value else known.channel
            stretches[place] = Said("", "", start, end, _label(value) or known.label, channel)
    if not heard and len(objects) > 1:
        raise ValueError(f"has stretches of {', '.join(sorted(objects))}; which is heard?")
    return {p: one for p, one in stretches.items() if p not in elsewhere}, elsewhere


def _label(value: dict[str, Any]) -> str | None:
    labels = value.get("labels")
    labels = labels if isinstance(labels, list) else [labels]
    return next((str(label) for label in labels if label is not None), None)


def _seconds(value: Any) -> float:
    """Raises TypeError and ValueError for what is no time."""
    if isinstance(value, bool):
        raise TypeError("a time is true or false")
    if not math.isfinite(seconds := float(value)):
        raise ValueError(f"a time is {seconds}")
    return seconds


def _is_min(value: dict[str, Any]) -> bool:
    """Whether it is a task as JSON_MIN has it, with stretches."""
    return has_stretches(value) and bool(_audios(value))


def _min_task(value: dict[str, Any], where: str) -> Task:
    """A task of JSON_MIN: texts and stretches in the same order. A record is one annotation."""
    audio, problem = _audio(value)
    speaker = _speaker(value)
    stretches = next(filter(are_stretches, value.values()), [])
    names = [name for name in by_annotators(value) if names_text(name)]
    fitting = [name for name in names if len(_texts(value[name])) == len(stretches)]
    if not stretches:
        problem = problem or "has no stretches, as others have; export as JSON"
    elif len(fitting) > 1:
        problem = problem or f"{', '.join(fitting)} may be its texts; export as JSON"
    elif not fitting:
        counts = [len(_texts(value[name])) for name in names]
        have = f"{len(stretches)} stretches have {max(counts, default=0)} texts"
        problem = problem or f"{have}; export as JSON"
    if problem:
        return Task(where, audio, speaker, (), problem)
    pairs = zip(stretches, _texts(value[fitting[0]]), strict=True)
    try:
        said = tuple(
            one
            for stretch, text in pairs
            for one in _said([{"id": "1", "value": stretch}, _written(text, fitting[0])])
        )
    except MISSHAPEN as error:
        return Task(where, audio, speaker, (), f"{type(error).__name__}: {error}"[:200])
    return Task(where, audio, speaker, said, number=_number(value), rank=_rank(value))


def _are_of_several(values: Sequence[dict[str, Any]]) -> bool:
    """Whether they are of JSON_MIN, without stretches, and a task is there once an annotator; else
    a manifest says as much, and of parts of recordings more."""
    if not all("annotation_id" in value and "id" in value and _audios(value) for value in values):
        return False
    if any(map(_is_part, values)) or not any(map(_has_text, values)):
        return False
    return len({(_number(value), _audio(value)) for value in values}) < len(values)


def _is_part(value: dict[str, Any]) -> bool:
    return any(name in value for names in _TIMES for name in names)


def _has_text(value: dict[str, Any]) -> bool:
    return any(map(names_text, by_annotators(value)))


def _min_whole(value: dict[str, Any], where: str) -> Task:
    """A record of JSON_MIN whose text is of all of the audio."""
    audio, problem = _audio(value)
    names = [name for name in by_annotators(value) if names_text(name) and value[name]]
    texts = {name: _texts(value[name]) for name in names}
    if [len(found) for found in texts.values()] != [1]:
        have = f"has {sum(map(len, texts.values()))} texts in {', '.join(names) or 'no field'}"
        problem = problem or f"{have}; export as JSON"
    said = () if problem else (Said(tidy(texts[names[0]][0]), names[0]),)
    number, rank = _number(value), _rank(value)
    return Task(where, audio, _speaker(value), said, problem, number=number, rank=rank)


def _written(text: str, field: str) -> dict[str, Any]:
    return {"id": "1", "type": "textarea", "from_name": field, "value": {"text": [text]}}


def _texts(found: Any) -> list[str]:
    """What a field of JSON_MIN says, a text a stretch; nothing for other fields."""
    texts = found if isinstance(found, list) else [found]
    return texts if all(isinstance(text, str) for text in texts) else []


def _audios(data: dict[str, Any]) -> dict[str, str]:
    """The audio that a task names, by its fields; those first that are called so."""
    fields = dict.fromkeys([*(n for n in FIELD_NAMES["audio_filepath"] if n in data), *data])
    texts = ((name, data[name]) for name in fields if isinstance(data[name], str))
    return {name: path for name, value in texts if (path := _path(value))}


def _audio(data: dict[str, Any], objects: Collection[str] = ()) -> tuple[str, str]:
    """The audio that is meant: its file's name on the server, or where it was mounted; and why it
    is not known where a task names several."""
    named = _audios(data)
    first = next(iter(named.values()), "")
    meant = {named[name] for name in objects if name in named}
    if len(meant) == 1:
        return meant.pop(), ""
    is_called = next(iter(named), "") in FIELD_NAMES["audio_filepath"]
    if len(meant) > 1 or (not is_called and len({*named.values()}) > 1):
        return first, f"names several audio files ({', '.join(named)}), and not which is meant"
    return first, ""


def _path(value: str) -> str:
    """An audio file's path out of a path or an address; "" for what is none."""
    value = value.strip()
    try:
        address = urlsplit(value)
    except ValueError:  # a text that begins as an address does
        return ""
    mounted = parse_qs(address.query).get("d", [""])[0]  # /data/local-files/?d=folder/a.wav
    is_address = len(address.scheme) > 1  # and no drive's letter
    for path in (mounted, address.path.lstrip("/") if is_address else value):
        if "\n" not in path and is_audio(Path(path)):
            return path
    return ""


def _speaker(data: dict[str, Any]) -> str | None:
    found = (data[name] for name in FIELD_NAMES["speaker"] if data.get(name) not in (None, ""))
    return next((str(one) for one in found if isinstance(one, str | int)), None)
