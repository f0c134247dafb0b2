"""What a file looks like of which no format is anything, and what can be done with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moontune.importing.audio_files import is_audio
from moontune.importing.tables.delimited import dialects_of, table_of
from moontune.importing.text_files import Decoded, decode
from moontune.importing.timed.beside import kind_of, no_recording_of

_HEAD_BYTES = 65_536
_LARGEST_JSON = 50_000_000  # bytes
_NAMES_SHOWN, _LONGEST_NAME = 5, 30
_SRT = "export it as SRT or WebVTT"
_TABLE = "save it as .csv or .xlsx"
_TEXT = "save it as .docx or .txt"
_UNPACK = "unpack it, or pack it as .zip"
# What programs write that is not read, by the suffix; and what to do.
_BY_SUFFIX = {
    **dict.fromkeys((".smi", ".sami"), ("SAMI subtitles", _SRT)),
    **dict.fromkeys((".sub", ".idx"), ("MicroDVD's or a DVD's subtitles", _SRT)),
    ".sup": ("subtitles of a disc, which are pictures", "get them as SRT"),
    **dict.fromkeys((".stl", ".scc", ".mcc", ".cap"), ("a broadcaster's subtitles", _SRT)),
    ".lrc": ("a song's lyrics", "save them as Audacity labels, with a begin and an end each"),
    ".trs": ("a transcript of Transcriber", "open it in ELAN and save it as .eaf"),
    ".cha": ("a transcript of CLAN", "export it from CLAN (chat2elan) as .eaf"),
    ".exb": ("a transcript of EXMARaLDA", "export it there as .eaf or .TextGrid"),
    ".antx": ("an annotation of Annotation Pro", "export it there as .TextGrid"),
    ".aup3": ("a project of Audacity", "export its audio, and its labels as .txt"),
    **dict.fromkeys((".fcpxml", ".prproj"), ("a project of a video program", _SRT)),
    **dict.fromkeys((".srv1", ".srv2", ".srv3"), ("YouTube's own subtitles", _SRT)),
    **dict.fromkeys((".ark", ".scp"), ("a part of a Kaldi folder", "name the folder")),
    ".pdf": ("a PDF", _TEXT),
    **dict.fromkeys((".doc", ".rtf", ".odt", ".pages"), ("a text of a writing program", _TEXT)),
    **dict.fromkeys((".html", ".htm"), ("a web page", _TEXT)),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), ("a database", _TABLE)),
    **dict.fromkeys((".7z", ".rar", ".zst", ".lz4"), ("an archive that is not opened", _UNPACK)),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".npy", ".npz", ".h5", ".hdf5", ".tfrecord", ".mat"),
                    ("a program's own data", "write a manifest of it, as docs/data.md has it")),
}  # fmt: skip
_BY_BEGINNING = (
    (b"%PDF", ("a PDF", _TEXT)),
    (b"{\\rtf", ("a text of a writing program", _TEXT)),
    (b"SQLite format 3", ("a database", _TABLE)),
    (b"7z\xbc\xaf", ("an archive that is not opened", _UNPACK)),
    (b"Rar!", ("an archive that is not opened", _UNPACK)),
)
_OF_TASKS = {"annotations", "completions", "predictions", "result"}  # beside a task's data
_ROOT = re.compile(r"<(?![?!])(?:[\w.-]+:)?([\w.-]+)")
_TIMES = re.compile(r"\d:\d\d")


def in_words(path: Path) -> str | None:
    """`looks like SAMI subtitles; it is not read: export it as SRT`; None where nothing can be
    told."""
    known = _BY_SUFFIX.get(path.suffix.lower())
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head:
            return "is empty; get it again"
        known = known or next((k for begin, k in _BY_BEGINNING if head.startswith(begin)), None)
        if known is not None:
            return f"looks like {known[0]}; it is not read: {known[1]}"
        return _text_in_words(path, decode(head))
    except (OSError, UnicodeDecodeError):
        return None


def _text_in_words(path: Path, head: Decoded) -> str | None:
    suffix, text = path.suffix.lower(), head.text.lstrip("\ufeff \t\r\n")
    if "\0" in head.text or not text:
        return None
    if suffix in (".json", ".jsonl", ".ndjson") or text.startswith("{"):
        return _json_in_words(path)
    if text.startswith("<") and (root := _ROOT.search(text)) is not None:
        if root[1].lower() == "svg":
            return None
        if root[1].lower() == "html":
            return f"looks like a web page; it is not read: {_TEXT}"
        return f"is XML of <{root[1][:_LONGEST_NAME]}>; it is not read: {_SRT}"
    if suffix in (".csv", ".tsv", ".tab", ".psv", ".txt", ".md"):
        return _table_in_words(text, suffix)
    return None


def _json_in_words(path: Path) -> str:
    if path.stat().st_size > _LARGEST_JSON:
        return "is JSON, and too large to be told what of; write it as JSON lines or SRT"
    lines = 0
    try:
        content = decode(path.read_bytes()).text
        lines = sum(map(bool, map(str.strip, content.splitlines())))
        value = json.loads(content)
    except RecursionError:
        return "is JSON that is nested too deep; write it again"
    except ValueError as error:
        if lines > 1 and (first := _first_line(content)) is not None:
            if (tasks := _tasks_in_words(first)) is not None:
                return tasks
            return f"is JSON lines {_names(first)}; a manifest's need audio_filepath and text"
        return f"is no whole JSON ({error}); write it again"
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, dict)), {})
    if (tasks := _tasks_in_words(value)) is not None:
        return tasks
    state = value.get("status") if isinstance(value, dict) else None
    if state in ("queued", "processing", "error", "FAILED", "IN_PROGRESS"):
        return f"says that its transcript is {state!r}; get the finished one"
    return f"is JSON of no shape that is read {_names(value)}: {_SRT}"


def _tasks_in_words(value: Any) -> str | None:
    """What is wrong with a task of Label Studio's that is not read; None of anything else."""
    value = value if isinstance(value, dict) else {}
    task = value["task"] if isinstance(value.get("task"), dict) else value
    data = task.get("data")
    if not isinstance(data, dict) or not _OF_TASKS & {*value, *task}:
        return None
    if any(isinstance(found, str) and is_audio(Path(found)) for found in data.values()):
        return None  # what else is wrong is told
    named = next((f"{name}: {found}" for name, found in data.items() if found), "nothing")
    return (
        f"looks like Label Studio's tasks, whose data names no audio by its suffix ({named[:80]}); "
        "write the files' names there, such as a.wav"
    )


def _first_line(content: str) -> dict[str, Any] | None:
    try:
        value = json.loads(next(filter(str.strip, content.splitlines())))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _names(value: Any) -> str:
    names = [str(name)[:_LONGEST_NAME] for name in value] if isinstance(value, dict) else []
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"(of {', '.join(names[:_NAMES_SHOWN])}{more})" if names else "(without names)"


def _table_in_words(text: str, suffix: str) -> str:
    dialects = dialects_of(text)
    is_text = suffix in (".txt", ".md")
    if not is_text and dialects:
        heads = [str(cell)[:_LONGEST_NAME] for cell in table_of(text, dialects[0])[0][1] if cell]
        shown = ", ".join(heads[:_NAMES_SHOWN]) + (", ..." if len(heads) > _NAMES_SHOWN else "")
        return (
            f"is a table ({shown}) in which no column names audio files, or none is what is said; "
            "call them path and text"
        )
    if is_text and len(_TIMES.findall(text)) > 2:
        return "is a text with times, and no recording of its name is beside it; name both"
    if is_text:
        return "is a text, and no recording of its name is beside it; name both"
    return "is no table of two columns or more"


def shown_of(files: Iterator[Path], most: int) -> list[str]:
    """What files look like, one for each suffix, each with its name."""
    found: dict[str, str] = {}
    for file in files:
        suffix = file.suffix.lower()
        if len(found) >= most:
            break
        if suffix in found or is_audio(file):
            continue
        timed = kind_of(file) is not None
        words = f"has times, and {no_recording_of(file)}" if timed else in_words(file)
        if words is not None:
            found[suffix] = f"{file.name} {words}"
    return [*found.values()]
