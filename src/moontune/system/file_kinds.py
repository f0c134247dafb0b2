"""What a file looks like by how it begins: a recording, an archive, a table."""

from __future__ import annotations

import csv
import re

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"RIFF", "a recording (wav)"),
    (b"fLaC", "a recording (flac)"),
    (b"OggS", "a recording (ogg)"),
    (b"ID3", "a recording (mp3)"),
    (b"\xff\xfb", "a recording (mp3)"),
    (b"PK\x03\x04", "a zip archive, a Word file or a table of a spreadsheet (docx, xlsx)"),
    (b"\xd0\xcf\x11\xe0", "a table of a spreadsheet (xls)"),
    (b"PAR1", "a parquet file"),
    (b"ARROW1", "an arrow file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"\xfd7zXZ", "a file packed by xz, and gzip alone is read"),
    (b"BZh", "a file packed by bzip2, and gzip alone is read"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd, and gzip alone is read"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "XML"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"),
)
_DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV", "|": "|-separated"}
_MOST_SHOWN = 60  # characters of the heads of a table


def binary_kind(head: bytes) -> str | None:
    """What a file with this first line is, where it is no text to be read; else None."""
    for start, kind in _KINDS:
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp":
        return "a recording (m4a, mp4)"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):  # nor UTF-16
        return "a binary file"
    return None


def text_kind(head: bytes) -> str | None:
    """What a file whose lines are no JSON looks like by the first: subtitles, a table, or plain
    text; else None."""
    try:
        text = head.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if text.startswith("WEBVTT") or re.fullmatch(r"\d{1,6}", text):
        return "subtitles"
    return table_kind(head) or ("plain text" if text[:1].isalpha() else None)


def table_kind(head: bytes) -> str | None:
    """`a CSV table (first line: path, sentence)` for a first line of two fields or more that are
    no JSON; else None."""
    try:
        text = head.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if not text or text[0] in "{[":
        return None
    mark = max(_DELIMITERS, key=text.count)
    try:
        (cells,) = csv.reader([text], delimiter=mark, strict=True)
    except (csv.Error, ValueError):
        return None
    prose = any(len(cell.split()) > 3 for cell in cells) and mark not in "\t|"
    if len(cells) < 2 or prose or not all(cell.isprintable() for cell in cells):
        return None
    heads = ", ".join(cell.strip() for cell in cells)
    if len(heads) > _MOST_SHOWN:
        heads = heads[: _MOST_SHOWN - 1] + "…"
    return f"a {_DELIMITERS[mark]} table (first line: {heads})"
