"""Kaldi: `wav.scp`, `text`, and where they are there `segments` and `utt2spk`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.importing.audio_files import NotFoundError
from moontune.importing.tables.stretches import times
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.values import (
    BAD_ROW,
    BAD_TIMES,
    NO_AUDIO,
    NO_TEXT,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)


def _folder(place: Place) -> Recognised | None:
    if not all((place.path / name).is_file() for name in ("wav.scp", "text")):
        return None
    there = [n for n in ("wav.scp", "text", "segments", "utt2spk") if (place.path / n).is_file()]
    told = (f"files: {', '.join(there)}",)
    return Recognised("kaldi", place.path, (partial(_rows, place),), told)


def _rows(place: Place) -> Iterator[Found]:
    folder = place.path
    files = {key: value for _, key, value in _pairs(folder / "wav.scp")}
    speakers = {key: value for _, key, value in _pairs(folder / "utt2spk")}
    segments = {key: value.split() for _, key, value in _pairs(folder / "segments")}
    name = place.name_of(folder / "text")
    for line, utterance, text in _pairs(folder / "text"):
        where = f"{name}:{line}"
        recording, offset, seconds = utterance, None, None
        if segments:
            parts = segments.get(utterance)
            if parts is None or len(parts) < 3:
                yield left_out(where, utterance, BAD_ROW, "segments has no such utterance")
                continue
            recording = parts[0]
            try:
                offset, seconds = times(parts[1], parts[2], "")
            except ValueError as error:
                yield left_out(where, utterance, BAD_TIMES, str(error))
                continue
        if not text:
            yield left_out(where, utterance, NO_TEXT, "the text is empty")
            continue
        try:
            path = _file(place, files.get(recording), recording)
        except NotFoundError as error:
            yield left_out(where, utterance, NO_AUDIO, str(error))
            continue
        clip = utterance if segments else clip_name(place, path)
        speaker = speakers.get(utterance)
        yield SourceRow(where, text, path, clip, offset, seconds, speaker=speaker)


def _file(place: Place, named: str | None, recording: str) -> Path:
    if named is None:
        raise NotFoundError(f"wav.scp has no recording {recording}")
    if named.endswith("|") or named.startswith("|"):
        raise NotFoundError("wav.scp has a command, and none is run; write the audio to files")
    if ".ark:" in named:
        raise NotFoundError("wav.scp points into an ark file; write the audio to files")
    return place.finder.find(named, place.path)


def _pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each line's number, its first word and the rest."""
    if not path.is_file():
        return
    for number, line in enumerate(lines_of(read_text(path).text), start=1):
        if words := line.split(maxsplit=1):
            yield number, words[0], words[1].strip() if len(words) > 1 else ""


FORMAT = Format("kaldi", "Kaldi", "wav.scp and text (and segments, utt2spk)", _folder)
