"""TSV of Whisper: a head of start, end and text, and times in milliseconds."""

from __future__ import annotations

import re
from pathlib import Path

from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, Place, left_out

_HEAD = ["start", "end", "text"]
_ROW = re.compile(r"([0-9]{1,12})\t([0-9]{1,12})\t(.*)")
_FIRST = 200  # characters in which the head stands


def is_whisper_tsv(path: Path) -> bool:
    """Whether a file's first line is Whisper's head."""
    with open(path, "rb") as stream:
        first = stream.read(_FIRST).split(b"\n")[0]
    return first.decode(errors="replace").strip("\ufeff\r ").split("\t") == _HEAD


def read_whisper_tsv(path: Path, place: Place) -> list[Captioned]:
    """The captions of a file. Raises DamagedSourceError."""
    captions, left = [], []
    for number, line in enumerate(lines_of(read_text(path).text)[1:], start=2):
        where = f"{place.name_of(path)}:{number}"
        if not line.strip():
            continue
        if (row := _ROW.fullmatch(line)) is None:
            what = "is no row of start and end in milliseconds, and text"
            left.append(left_out(where, line[:60], BAD_ROW, what))
            continue
        start, end = (int(row[i]) / 1000 for i in (1, 2))
        captions.append(Caption(where, start, end, tidy(row[3])))
    return [Captioned(tuple(captions), left_out=tuple(left))]


WHISPER_TSV = TimedKind(
    "whisper-tsv", "TSV of Whisper", (".tsv",), read_whisper_tsv, is_whisper_tsv
)
