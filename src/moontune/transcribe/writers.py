"""Transcripts of recordings written as text, JSON lines, SRT or VTT."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from moontune.languages.words import written_words
from moontune.models.decoding import TimedWord
from moontune.system.files import write_text
from moontune.system.formatting import printable
from moontune.transcribe.long_form import SegmentTranscript
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import SegmentationConfig
from moontune.transcribe.subtitles import TimedText, cues, srt, vtt

Format = Literal["text", "jsonl", "srt", "vtt"]
_SUFFIX = {"text": ".txt", "jsonl": ".jsonl", "srt": ".srt", "vtt": ".vtt"}


def render(
    recording: Recording,
    transcripts: Sequence[SegmentTranscript],
    form: Format,
    model: str,
    config: SegmentationConfig,
) -> str:
    """A recording's transcript: a line for each segment, or subtitles."""
    if form == "text":
        return "".join(f"{' '.join(printable(s.text).split())}\n" for s in transcripts if s.text)
    if form == "jsonl":
        return "".join(f"{_json(_row(recording, s, model))}\n" for s in transcripts if s.text)
    subtitles = cues(
        [TimedText(printable(s.text), s.segment.speech_s(config), s.words) for s in transcripts]
    )
    return srt(subtitles) if form == "srt" else vtt(subtitles)


def _json(row: dict[str, Any]) -> str:
    """An object on a line, as readable as can be: what a terminal would obey is escaped."""
    text = json.dumps(row, ensure_ascii=False)
    return "".join(c if c == printable(c) else json.dumps(c)[1:-1] for c in text)


def _row(recording: Recording, row: SegmentTranscript, model: str) -> dict[str, Any]:
    return {
        "file": recording.shown,
        "start_s": round(row.segment.start_s, 3),
        "end_s": round(row.segment.end_s, 3),
        "text": row.text,
        "tokens": row.tokens,
        "truncated": row.truncated,
        "model": model,
        **({"words": words} if (words := _words(row)) is not None else {}),
    }


def _words(row: SegmentTranscript) -> list[dict[str, Any]] | None:
    """Words with their times and confidences, as far as these are known; None: neither is."""
    if row.words is not None:
        return [_word(word) for word in row.words]
    if row.confidences is None:
        return None
    words = zip(written_words(row.text), row.confidences, strict=True)
    return [{"word": word, "confidence": round(sure, 3)} for word, sure in words]


def _word(word: TimedWord) -> dict[str, Any]:
    return {
        "word": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        **({} if word.confidence is None else {"confidence": round(word.confidence, 3)}),
    }


class Writer(Protocol):
    """Where transcripts go."""

    keeps_parts: bool  # of a recording that was broken off

    def has(self, recording: Recording) -> bool:
        """True where its transcript is there already."""
        ...

    def add(self, recording: Recording, new: Sequence[SegmentTranscript]) -> None:
        """New transcripts of a recording; in order."""
        ...

    def finish(
        self, recording: Recording, transcripts: Sequence[SegmentTranscript], *, whole: bool
    ) -> list[Path]:
        """All its transcripts, or all until it was broken off; the files written."""
        ...


class StreamWriter:
    """On a stream, text and JSON lines as they come; of several recordings, text under its name."""

    keeps_parts = True

    def __init__(
        self,
        stream: TextIO,
        form: Format,
        model: str,
        config: SegmentationConfig,
        clear: Callable[[], None] = lambda: None,  # takes a progress bar off the terminal
        *,
        several: bool,
    ) -> None:
        self._stream, self._form, self._several = stream, form, several
        self._model, self._config, self._clear = model, config, clear
        self._last_shown: Recording | None = None

    def has(self, recording: Recording) -> bool:
        return False

    def add(self, recording: Recording, new: Sequence[SegmentTranscript]) -> None:
        if self._form in ("text", "jsonl"):
            self._head(recording)
            self._write(render(recording, new, self._form, self._model, self._config))

    def finish(
        self, recording: Recording, transcripts: Sequence[SegmentTranscript], *, whole: bool
    ) -> list[Path]:
        if self._form in ("srt", "vtt"):
            self._write(render(recording, transcripts, self._form, self._model, self._config))
        elif whole:
            self._head(recording)
        return []

    def _head(self, recording: Recording) -> None:
        if self._several and self._form == "text" and self._last_shown != recording:
            apart = "" if self._last_shown is None else "\n"
            self._write(f"{apart}==> {printable(recording.shown)} <==\n")
            self._last_shown = recording

    def _write(self, text: str) -> None:
        if self._stream.isatty():
            self._clear()
        self._stream.write(text)
        self._stream.flush()


class FolderWriter:
    """Files below a folder, one for each recording and format, whole or named `.partial`."""

    keeps_parts = True

    def __init__(
        self,
        folder: Path,
        forms: Sequence[Format],
        model: str,
        config: SegmentationConfig,
        *,
        skip: bool,
    ) -> None:
        self._folder, self._forms, self._skip = folder, forms, skip
        self._model, self._config = model, config

    def _path(self, recording: Recording, form: Format, *, whole: bool = True) -> Path:
        part = "" if whole else ".partial"
        return self._folder / f"{recording.stem}{part}{_SUFFIX[form]}"

    def has(self, recording: Recording) -> bool:
        return self._skip and all(self._path(recording, form).is_file() for form in self._forms)

    def add(self, recording: Recording, new: Sequence[SegmentTranscript]) -> None:
        pass

    def finish(
        self, recording: Recording, transcripts: Sequence[SegmentTranscript], *, whole: bool
    ) -> list[Path]:
        files = []
        for form in self._forms:
            path = self._path(recording, form, whole=whole)
            write_text(path, render(recording, transcripts, form, self._model, self._config))
            files.append(path)
            if whole:
                self._path(recording, form, whole=False).unlink(missing_ok=True)
        return files
