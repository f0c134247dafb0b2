"""Recordings as a data set of drafts: clips with what a model hears in them, to be corrected."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance, each_utterance
from moontune.data.speakers import find_speakers
from moontune.errors import UserError
from moontune.languages.table import current
from moontune.system.files import json_line, naming, read_jsonl, real_path, write_bytes
from moontune.system.formatting import counted, printable
from moontune.transcribe.long_form import SegmentTranscript
from moontune.transcribe.need import Draft, Transcribed, ranked
from moontune.transcribe.recordings import Recording

MANIFEST, AUDIO = "manifest.jsonl", "audio"
_UNRANKED = "unranked.jsonl"  # a recording a line, while others are still being transcribed
_SILENT = "silent.jsonl"  # recordings in which nothing was heard, so that they are not heard again
_LONGEST_NAME = 200  # bytes of a clip's file without its number
_FIRST_S = 1200.0  # of which the last line tells


class DraftWriter:
    """A folder with `manifest.jsonl` and its audio, a row a clip, as a `Writer` of transcripts.

    A row is a draft until somebody has read it: no training takes it before.
    """

    keeps_parts = False

    def __init__(self, folder: Path, known: Sequence[Path], *, skip: bool) -> None:
        """`known` are manifests of what is transcribed already; `skip`: recordings are added to
        those that the folder has. Raises UserError."""
        if (folder.exists() or folder.is_symlink()) and not skip:
            raise UserError(
                f"--draft {folder}: is there already; name another folder, or add --skip-existing "
                "to add recordings to it"
            )
        self._folder, self._manifest = folder, folder / MANIFEST
        self._known = Transcribed.of(each_utterance(*known))
        self._before, ranked = _ranked(self._manifest)
        ranked_before = {row.get("source_file") for row in ranked}
        unranked = _unranked(folder / _UNRANKED)
        self._new = [row for row in unranked if row["source_file"] not in ranked_before]
        rows = (*ranked, *self._new)
        silent = _unranked(folder / _SILENT)
        self._whole = {str(row.get("source_file")) for row in (*rows, *silent)}
        self._files = {str(row.get("audio_filepath")).casefold() for row in rows}

    def has(self, recording: Recording) -> bool:
        """Also of a draft's own clip, where the folder lies among the recordings."""
        own = (
            recording.path and real_path(self._folder / AUDIO) in real_path(recording.path).parents
        )
        return bool(own) or _name(recording) in self._whole

    def add(self, recording: Recording, new: Sequence[SegmentTranscript]) -> None:
        pass

    def finish(
        self, recording: Recording, transcripts: Sequence[SegmentTranscript], *, whole: bool
    ) -> list[Path]:
        """Keep the clips of a recording, unless it was broken off: then none of them."""
        if not whole:
            return []
        spoken = [transcript for transcript in transcripts if transcript.text]
        if not spoken:
            self._note(_SILENT, [{"source_file": _name(recording)}])
            return []
        stem = self._free_stem(_file_name(recording.stem))
        rows = [self._clip(recording, stem, n, one) for n, one in enumerate(spoken, start=1)]
        self._new += rows
        self._files |= {row["audio_filepath"].casefold() for row in rows}
        self._note(_UNRANKED, rows)
        return [self._manifest]

    def _note(self, file: str, rows: Sequence[dict[str, Any]]) -> None:
        """A recording as a line of its own, whatever a kill left of the one before."""
        with naming(self._folder / file), open(self._folder / file, "ab") as stream:
            stream.write(b"\n" + json_line(rows) + b"\n")

    def _free_stem(self, stem: str) -> str:
        """The stem, or with a number where another recording of the name has clips here."""
        choices = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        return next(c for c in choices if _audio(c, 1).casefold() not in self._files)

    def _clip(
        self, recording: Recording, stem: str, number: int, transcript: SegmentTranscript
    ) -> dict[str, Any]:
        """The row of a clip whose audio is written."""
        segment, place = transcript.segment, _audio(stem, number)
        audio = self._folder / place
        audio.parent.mkdir(parents=True, exist_ok=True)
        write_flac(audio, segment.samples)
        return {
            "audio_filepath": place,
            "text": transcript.text,
            "duration": round(len(segment.samples) / SAMPLE_RATE_HZ, 3),
            "speaker": None,
            "id": place.removeprefix(f"{AUDIO}/").removesuffix(".flac"),
            "draft": True,
            "confidences": [round(sure, 3) for sure in transcript.confidences or ()],
            "source_file": _name(recording),
            "start_s": round(segment.start_s, 3),
        }

    def close(self) -> str:
        """Write the manifest, new drafts behind those that are there, the ones to correct first
        first; says what it holds."""
        if not self._new:
            (self._folder / _UNRANKED).unlink(missing_ok=True)
            if not self._before:
                (self._folder / _SILENT).unlink(missing_ok=True)
            with suppress(OSError):  # one that was made for nothing; any other is not empty
                self._folder.rmdir()
            return ""
        drafts = _drafts(self._new, self._folder)
        chosen = ranked(drafts, self._known)
        rows = [{**self._new[i], "priority": round(worth, 4)} for i, worth in chosen]
        lines = (json_line(row) + b"\n" for row in rows)
        self._before += b"".join(lines)
        write_bytes(self._manifest, self._before)
        (self._folder / _UNRANKED).unlink(missing_ok=True)
        self._new = []
        return _sentence(self._manifest, [drafts[i] for i, _ in chosen])


def _ranked(manifest: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """A manifest's lines as they are, and their rows. Raises UserError."""
    if not manifest.is_file():
        return b"", []
    rows = read_jsonl(manifest, "rows cannot be added to it: name another folder for --draft")
    return manifest.read_bytes().rstrip(b"\n") + b"\n", rows


def _unranked(file: Path) -> list[dict[str, Any]]:
    """Rows of recordings that an earlier start finished; a line that was broken off is none."""
    rows: list[dict[str, Any]] = []
    if file.is_file():
        for line in file.read_bytes().split(b"\n"):
            with suppress(ValueError):
                rows += json.loads(line)
    return rows


def _audio(stem: str, number: int) -> str:
    return f"{AUDIO}/{stem}-{number:04}.flac"


def _file_name(stem: str) -> str:
    """A recording's stem as clips are called after it: of characters that are text, and not too
    long for a file."""
    parts = (printable(part).strip().encode()[:_LONGEST_NAME] for part in Path(stem).parts)
    return "/".join(part.decode(errors="ignore") or "clip" for part in parts)


def _name(recording: Recording) -> str:
    return "stdin" if recording.path is None else str(real_path(recording.path))


def _drafts(rows: Sequence[dict[str, Any]], folder: Path) -> list[Draft]:
    """The rows, with speakers as far as folders or file names tell them."""
    clips = [
        Utterance(row["id"], folder / row["audio_filepath"], row["text"], row["duration"], None)
        for row in rows
    ]
    found = find_speakers(clips)
    speakers = [u.speaker for u in (clips if found is None else found.utterances)]
    return [
        Draft(row["text"], row["confidences"], row["duration"], speaker)
        for row, speaker in zip(rows, speakers, strict=True)
    ]


def _sentence(manifest: Path, drafts: Sequence[Draft]) -> str:
    """What there is to correct, and how much of it stands at the beginning."""
    seconds = sum(draft.seconds for draft in drafts)
    says = f"{counted(len(drafts), 'draft')}, {seconds / 60:.1f} minutes: {manifest}"
    first_s = first = 0.0
    for draft in drafts:
        if first_s >= _FIRST_S:
            break
        first_s, first = first_s + draft.seconds, first + draft.likely_wrong
    wrong = sum(draft.likely_wrong for draft in drafts)
    if first_s < seconds:
        says += (
            f"; the first {first_s / 60:.0f} minutes hold {first:.0f} of {wrong:.0f} "
            f"{current().unit}s that are likely wrong"
        )
    return says
