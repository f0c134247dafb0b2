"""SBV, YouTube's subtitles: a line of begin and end divided by a comma, then what is said."""

from __future__ import annotations

import re
from pathlib import Path

from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, DamagedSourceError, Place, left_out

_CLOCK = r"(\d+):(\d{1,2}):(\d{1,2}(?:\.\d{1,3})?)"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*,\s*{_CLOCK}\s*")
_BREAK = "[br]"


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
    return [Captioned(tuple(captions), left_out=tuple(left))]


def _caption(times: tuple[str, float, float] | None, said: list[str]) -> list[Caption]:
    text = tidy("\n".join(said).replace(_BREAK, "\n"))
    return [Caption(*times, text)] if times is not None else []


def _seconds(found: re.Match[str], at: int) -> float:
    return 3600 * int(found[at]) + 60 * int(found[at + 1]) + float(found[at + 2])


SBV = TimedKind("sbv", "SBV", (".sbv",), read_sbv)
