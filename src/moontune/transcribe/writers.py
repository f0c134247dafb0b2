"""What was said in recordings, written as text, JSON lines, SRT or VTT."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from moontune.system.files import write_text
from moontune.system.formatting import printable
from moontune.transcribe.long_form import Said
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import Cutting
from moontune.transcribe.subtitles import Stretch, cues, srt, vtt

Format = Literal["text", "jsonl", "srt", "vtt"]
_SUFFIX = {"text": ".txt", "jsonl": ".jsonl", "srt": ".srt", "vtt": ".vtt"}


def rendered(
    recording: Recording, said: Sequence[Said], form: Format, model: str, cutting: Cutting
) -> str:
    """A recording's transcript: a line for each piece, or subtitles."""
    if form == "text":
        return "".join(f"{' '.join(printable(s.text).split())}\n" for s in said if s.text)
    if form == "jsonl":
        return "".join(f"{_json(_row(recording, s, model))}\n" for s in said)
    made = cues([Stretch(printable(s.text), s.piece.speech_s(cutting)) for s in said])
    return srt(made) if form == "srt" else vtt(made)


def _json(row: dict[str, Any]) -> str:
    """An object on a line, as readable as can be: what a terminal would obey is escaped."""
    text = json.dumps(row, ensure_ascii=False)
    return "".join(c if c == printable(c) else json.dumps(c)[1:-1] for c in text)


def _row(recording: Recording, said: Said, model: str) -> dict[str, Any]:
    return {
        "file": recording.shown,
        "start_s": round(said.piece.start_s, 3),
        "end_s": round(said.piece.end_s, 3),
        "text": said.text,
        "tokens": said.tokens,
        "truncated": said.truncated,
        "model": model,
    }


class Output(Protocol):
    """Where transcripts go."""

    def done(self, recording: Recording) -> bool:
        """Whether its transcript is there already."""
        ...

    def add(self, recording: Recording, new: Sequence[Said]) -> None:
        """Of what was said, what is new; in order."""
        ...

    def finish(self, recording: Recording, said: Sequence[Said], *, whole: bool) -> list[Path]:
        """All that was said, or all until it was broken off; the files written."""
        ...


class Printed:
    """On a stream, text and JSON lines as they come; of several recordings, text under its name."""

    def __init__(
        self,
        stream: TextIO,
        form: Format,
        model: str,
        cutting: Cutting,
        clear: Callable[[], None] = lambda: None,  # takes a progress bar off the terminal
        *,
        several: bool,
    ) -> None:
        self._stream, self._form, self._several = stream, form, several
        self._model, self._cutting, self._clear = model, cutting, clear
        self._under: Recording | None = None

    def done(self, recording: Recording) -> bool:
        return False

    def add(self, recording: Recording, new: Sequence[Said]) -> None:
        if self._form in ("text", "jsonl"):
            self._head(recording)
            self._write(rendered(recording, new, self._form, self._model, self._cutting))

    def finish(self, recording: Recording, said: Sequence[Said], *, whole: bool) -> list[Path]:
        if self._form in ("srt", "vtt"):
            self._write(rendered(recording, said, self._form, self._model, self._cutting))
        elif whole:
            self._head(recording)
        return []

    def _head(self, recording: Recording) -> None:
        if self._several and self._form == "text" and self._under != recording:
            apart = "" if self._under is None else "\n"
            self._write(f"{apart}==> {printable(recording.shown)} <==\n")
            self._under = recording

    def _write(self, text: str) -> None:
        if self._stream.isatty():
            self._clear()
        self._stream.write(text)
        self._stream.flush()


class Filed:
    """Files below a folder, one for each recording and format, whole or named `.partial`."""

    def __init__(
        self, folder: Path, forms: Sequence[Format], model: str, cutting: Cutting, *, skip: bool
    ) -> None:
        self._folder, self._forms, self._skip = folder, forms, skip
        self._model, self._cutting = model, cutting

    def _path(self, recording: Recording, form: Format, *, whole: bool = True) -> Path:
        part = "" if whole else ".partial"
        return self._folder / f"{recording.stem}{part}{_SUFFIX[form]}"

    def done(self, recording: Recording) -> bool:
        return self._skip and all(self._path(recording, form).is_file() for form in self._forms)

    def add(self, recording: Recording, new: Sequence[Said]) -> None:
        pass

    def finish(self, recording: Recording, said: Sequence[Said], *, whole: bool) -> list[Path]:
        written = []
        for form in self._forms:
            path = self._path(recording, form, whole=whole)
            write_text(path, rendered(recording, said, form, self._model, self._cutting))
            written.append(path)
            if whole:
                self._path(recording, form, whole=False).unlink(missing_ok=True)
        return written
