"""Files with timed texts as rows: the captions of a recording, joined and cut in its pauses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.data.audio import AudioError, audio_blocks
from moontune.data.manifest import Dropped
from moontune.importing.audio_files import NotFoundError
from moontune.importing.pauses import Loudness, cut_times
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.timed.beside import (
    KINDS,
    MANY,
    beside,
    has_its_name,
    has_text,
    kind_of,
    no_recording_of,
    recording_beside,
)
from moontune.importing.timed.captions import Caption, Captioned, TimedKind
from moontune.importing.timed.joining import sentences, sort_out, with_speakers
from moontune.importing.timed.scripted import rows_of_stretches, runs_of
from moontune.importing.values import (
    NO_AUDIO,
    TOO_LONG,
    UNREADABLE,
    DamagedSourceError,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)

_MOST_TOLD = 5  # lines on what was taken for what, of a folder's files
_FRAME_S = 0.05  # that a clip may be longer than asked for its pauses


def _folder(kind: TimedKind, place: Place) -> Recognised | None:
    there = beside(place.path, place.language)
    files = [file for of, file in there.timed if of is kind]
    if not files:
        return None
    noted: dict[str, None] = {}  # of all files, once they are read
    parts = [partial(rows_of, kind, place.at(file), noted=noted) for file in files]
    rest = [partial(there.left_out, place)] if kind is there.teller else []
    told = _told(kind, place.at(files[0])) + (
        there.told(place.language) if kind is there.teller else ()
    )

    def told_after() -> tuple[str, ...]:
        return tuple(text for text in noted if text not in told)[:_MOST_TOLD]

    return Recognised(kind.name, place.path, (*parts, *rest), told, False, told_after)


def _file(kind: TimedKind, place: Place) -> Recognised | None:
    if kind_of(place.path) is not kind:
        return None
    return Recognised(kind.name, place.path, (partial(rows_of, kind, place),), _told(kind, place))


def of_recording(kind: TimedKind, place: Place, recording: Path) -> Recognised:
    """The file of a place as what is said in a recording of any name."""
    parts, told = (partial(rows_of, kind, place, recording),), _told(kind, place)
    if not has_its_name(place.path, recording) and not any("recording:" in text for text in told):
        told = (*told, f'recording: "{recording.name}"')
    return Recognised(kind.name, place.path, parts, told)


def _told(kind: TimedKind, place: Place) -> tuple[str, ...]:
    """What is taken for what in a file; of a damaged one that is told when its rows are read."""
    try:
        read = kind.read(place.path, place) if kind.tells else []
    except DamagedSourceError:
        return ()
    told = dict.fromkeys(text for one in read for text in one.told)
    recording = recording_beside(place.path)
    named = kind in MANY or any(one.audio for one in read)
    if not named and recording is not None and not has_its_name(place.path, recording):
        told[f'recording: "{recording.name}", the only one beside it'] = None
    return tuple(told)


def is_given_for(path: Path, recording: Path, *, alone: bool) -> bool:
    """Whether a file has timed texts of the recording that was given before it: it is of none
    beside it, and has this one's name, or the two are given `alone` and this one has no text."""
    kind, other = kind_of(path), recording_beside(path)
    if kind is None or kind in MANY or (other is not None and has_its_name(path, other)):
        return False
    return has_its_name(path, recording) or (alone and not has_text(recording))


def rows_of(
    kind: TimedKind,
    place: Place,
    recording: Path | None = None,
    noted: dict[str, None] | None = None,
) -> Iterator[Found]:
    """The clips of a file with timed texts, and what is left out; of its own recording where none
    is given. `noted` gets what was taken for what. Raises DamagedSourceError."""
    for captioned in kind.read(place.path, place):
        if noted is not None and kind.tells:
            noted.update(dict.fromkeys(captioned.told))
        yield from captioned.left_out
        if captioned.captions:
            yield from _clips(captioned, place, recording)


def _clips(captioned: Captioned, place: Place, recording: Path | None) -> Iterator[Found]:
    try:
        recording = recording or _recording(captioned, place)
    except NotFoundError as error:
        for caption in captioned.captions:
            yield left_out(caption.where, caption.text[:60], NO_AUDIO, str(error))
        return
    try:
        loudness = Loudness.of(audio_blocks(recording, captioned.channel))
    except AudioError as error:
        yield left_out(place.name_of(recording), recording.name, UNREADABLE, str(error))
        return
    yield from _cut(captioned, recording, loudness, place)


def _cut(
    captioned: Captioned, recording: Path, loudness: Loudness, place: Place
) -> Iterator[SourceRow | Dropped]:
    sorted_out = sort_out(with_speakers(captioned.captions), loudness.seconds)
    yield from sorted_out.left_out
    said = sentences(sorted_out.usable, place.longest_s)
    long = [i for i, one in enumerate(said) if one.to_next and _is_too_long(one, place.longest_s)]
    runs = [*runs_of(long)]
    of_ear = rows_of_stretches([(r[0] + 1, [said[i] for i in r]) for r in runs], recording, place)
    others = [*sorted_out.clashing, *(said[i] for i in long)]
    usable = [one for i, one in enumerate(said) if i not in long]
    times = cut_times(
        [(c.start_s, c.end_s) for c in usable], loudness, [(c.start_s, c.end_s) for c in others]
    )
    cut = dict(zip(map(id, usable), times, strict=True))
    stem = clip_name(place, recording)
    for number, caption in enumerate(said, start=1):
        yield from of_ear.get(number, ())
        if id(caption) not in cut:
            continue
        start, end = cut[id(caption)]
        if _is_too_long(caption, place.longest_s):
            length = caption.end_s - caption.start_s
            detail = f"lasts {length:.1f} s; --max-clip-s takes up to 30"
            yield left_out(caption.where, caption.text[:60], TOO_LONG, detail)
            continue
        yield SourceRow(
            caption.where, caption.text, recording, f"{stem}/{number:04}", start,
            round(end - start, 3), captioned.channel, caption.speaker,
            (("recording", stem),),
        )  # fmt: skip


def _is_too_long(caption: Caption, longest_s: float) -> bool:
    return caption.end_s - caption.start_s > longest_s + _FRAME_S


def _recording(captioned: Captioned, place: Place) -> Path:
    """The audio that captions are of: what their file names, else what has its name.

    Raises NotFoundError.
    """
    folder = place.path.parent
    for named in captioned.audio:
        try:
            return place.finder.find(named, folder)
        except NotFoundError:
            continue
    if (found := recording_beside(place.path, captioned.audio)) is None:
        raise NotFoundError(no_recording_of(place.path, next(iter(captioned.audio), None)))
    return found


def _format(kind: TimedKind) -> Format:
    *others, last = kind.suffixes
    ends = f"{', '.join(others)} or {last}" if others else last
    sign = {
        "labels": "a .txt of begin, end and text divided by tabs, beside its recording",
        "whisper": "a .json with segments, beside its recording",
    }.get(kind.name, f"{ends} beside its recording")
    return Format(
        kind.name, kind.title, sign, partial(_folder, kind), partial(_file, kind), kind.suffixes
    )


FORMATS = tuple(_format(kind) for kind in KINDS)
