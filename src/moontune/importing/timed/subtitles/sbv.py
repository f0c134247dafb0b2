"""SBV, YouTube's subtitles: a line of begin and end divided by a comma, then what is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, DamagedSourceError, Place, left_out
from moontune.languages.words import joined_lines

_CLOCK = r"(\d+):(\d{1,2}):(\d{1,2}(?:\.\d{1,3})?)"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*,\s*{_CLOCK}\s*")
# Who speaks, on a line before it: Google Meet. A sound begins with a small letter.
_NAMED = re.compile(r"\((?![a-z])([^()]*[^\W\d_][^()]*)\)")
_BREAK = "[br]"
_MOST = 0.5  # of the captions


def read_sbv(path: Path, place: Place) -> list[Captioned]:
    """The captions of an SBV. Raises DamagedSourceError."""
    name, captions, left = place.name_of(path), [], []
    times: tuple[str, float, float] | None = None
    said: list[str] = []
    for number, line in enumerate([*lines_of(read_text(path).text), ""], start=1):
        if (found := _TIMES.fullmatch(line)) is not None:
            captions += _caption(times, said)
            times, said = (f"{name}:{number}", _seconds(found, 1), _seconds(found, 4)), []
        elif times is not None:
            said.append(line)
        elif line.strip():
            left.append(left_out(f"{name}:{number}", line[:60], BAD_ROW, "has no times before it"))
    captions += _caption(times, said)
    if not captions:
        raise DamagedSourceError(
            f"{path}: has no line of begin and end, such as 0:00:01.000,0:00:02.500, as SBV has; "
            "get it again, or export it as SRT"
        )
    return [Captioned(tuple(_with_people(captions)), left_out=tuple(left))]


def _caption(times: tuple[str, float, float] | None, said: list[str]) -> list[Caption]:
    lines = [tidy(line) for line in "\n".join(said).replace(_BREAK, "\n").split("\n")]
    lines = [line for line in lines if line]
    return [Caption(*times, joined_lines(lines), lines=tuple(lines))] if times is not None else []


def _with_people(captions: list[Caption]) -> list[Caption]:
    """Captions with who speaks where most begin with a line of that; else it may be a sound."""
    people = [_NAMED.fullmatch(c.lines[0]) if len(c.lines) > 1 else None for c in captions]
    if sum(map(bool, people)) <= _MOST * len(captions):
        return captions
    return [
        replace(c, text=joined_lines(c.lines[1:]), speaker=who[1].strip(), lines=()) if who else c
        for c, who in zip(captions, people, strict=True)
    ]


def _seconds(found: re.Match[str], at: int) -> float:
    return 3600 * int(found[at]) + 60 * int(found[at + 1]) + float(found[at + 2])


SBV = TimedKind("sbv", "SBV", (".sbv",), read_sbv)
