"""SubStation Alpha (`.ass`, `.ssa`): the lines that are said, without their styles.

Read by hand: pysubs2 tells no line's number, takes the columns of `Format:` in one order only, and
gives up a whole file for one time that is none.
http://www.tcax.org/docs/ass-specs.htm
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moontune.data.manifest import Dropped
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.timed.subtitles.bilingual import spoken
from moontune.importing.values import (
    BAD_ROW,
    BAD_TIMES,
    NO_TEXT,
    DamagedSourceError,
    Place,
    left_out,
)
from moontune.system.formatting import counted

_SECTION = re.compile(r"\s*\[(.+)\]\s*")
_EVENTS = "events"
_COLUMNS = (
    *("marked", "start", "end", "style", "name"),
    *("marginl", "marginr", "marginv", "effect", "text"),
)
_TIME = re.compile(r"(\d+):(\d{1,2}):(\d{1,2}(?:[.,]\d{1,3})?)")
_TAGS = re.compile(r"\{([^{}]*)\}")
_DRAWING = re.compile(r"\\p(\d+)")
_PLACED = re.compile(r"\\(?:pos|move)\s*\(")
_SIGNS = re.compile(r"\b(?:signs?|typeset\w*|ts)\b", re.IGNORECASE)
_NOBODY = ("", "default", "ntp")  # as programs fill the column
_MADE = re.compile(r"\s*fx\b", re.IGNORECASE)  # by a template, of a line that is a comment now
_MOST = 0.5  # of the lines may be placed on the picture for it to mean a sign


@dataclass(frozen=True)
class _Line:
    """What is shown, and whether that is written on the picture."""

    caption: Caption
    placed: bool
    sign: bool  # by its style, or an effect of what is sung
    style: str


def read_substation(path: Path, place: Place) -> list[Captioned]:
    """The captions of an ASS or SSA. Raises DamagedSourceError.

    Taken are lines of `Dialogue:`. Those of a style for signs, or that are set on a place of the
    picture where most are not, are written there and not said.
    """
    name, lines = place.name_of(path), lines_of(read_text(path).text)
    found: list[_Line] = []
    left: list[Dropped] = []
    for one in _lines(lines, path, name):
        (left if isinstance(one, Dropped) else found).append(one)  # type: ignore[arg-type]
    few = sum(line.placed for line in found) < _MOST * len(found)
    signs = [line.caption for line in found if line.sign or (few and line.placed)]
    for sign in signs:
        detail = "is a sign on the picture or an effect, and is not said"
        left.append(left_out(sign.where, sign.text[:60], NO_TEXT, detail))
    where = {sign.where for sign in signs}
    styles: dict[str, list[Caption]] = defaultdict(list)
    for line in found:
        if line.caption.where not in where and line.caption.text:
            styles[line.style].append(line.caption)
    try:
        said = spoken(styles, place.language, lambda style: None, "style")
    except ValueError as error:
        raise DamagedSourceError(f"{path}: {error}") from None
    over = where | {one.where for one in said.left_out}
    captions = tuple(line.caption for line in found if line.caption.where not in over)
    told = (f"not said: {counted(len(signs), 'line')} of signs and effects",) if signs else ()
    return [Captioned(captions, left_out=(*left, *said.left_out), told=(*told, *said.told))]


def _lines(lines: list[str], path: Path, name: str) -> Iterator[_Line | Dropped]:
    section, columns, seen = "", [*_COLUMNS], False
    for number, line in enumerate(lines, start=1):
        if (head := _SECTION.fullmatch(line)) is not None:
            section = head[1].strip().lower()
            seen = seen or section == _EVENTS
            continue
        kind, _, rest = line.partition(":")
        kind = kind.strip().lower()
        if section != _EVENTS or kind not in ("format", "dialogue"):
            continue
        if kind == "format":
            columns = [column.strip().lower() for column in rest.split(",")]
            if not {"start", "end"} <= {*columns} or columns[-1] != "text":
                raise DamagedSourceError(
                    f"{path}:{number}: the columns have no Start and End, or Text is not the last; "
                    "save it again in Aegisub, or export it as SRT"
                )
            continue
        cells = zip(columns, rest.split(",", len(columns) - 1), strict=False)
        yield _line(dict(cells), f"{name}:{number}")
    if not seen:
        raise DamagedSourceError(
            f"{path}: has no [Events], as ASS and SSA have; get it again, or export it as SRT"
        )


def _line(cells: dict[str, str], where: str) -> _Line | Dropped:
    if "text" not in cells:
        return left_out(where, where, BAD_ROW, f"has {len(cells)} columns")
    times = [_TIME.fullmatch(cells[column].strip()) for column in ("start", "end")]
    text = _plain(cells["text"])
    if None in times:
        what = f"{cells['start'].strip()} and {cells['end'].strip()} are no times"
        return left_out(where, text[:60], BAD_TIMES, what[:200])
    start, end = (_seconds(time) for time in times if time)
    who = (cells.get("name") or cells.get("actor") or "").strip()
    effect = _MADE.match(cells.get("effect", "")) is not None
    style = cells.get("style", "").strip().removeprefix("*")
    return _Line(
        Caption(where, start, end, text, who if who.lower() not in _NOBODY else None),
        _PLACED.search(cells["text"]) is not None,
        effect or _SIGNS.search(style.replace("_", " ")) is not None,
        style,
    )


def _seconds(time: re.Match[str]) -> float:
    return 3600 * int(time[1]) + 60 * int(time[2]) + float(time[3].replace(",", "."))


def _plain(text: str) -> str:
    """A line's text without tags, remarks between braces, and drawings."""
    parts, drawing = [], False
    for i, part in enumerate(_TAGS.split(text)):
        if i % 2:
            modes = _DRAWING.findall(part)
            drawing = int(modes[-1]) > 0 if modes else drawing
        elif not drawing:
            parts.append(part)
    shown = "".join(parts)
    return tidy(shown.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " "))


SUBSTATION = TimedKind(
    "ass", "SubStation (ASS, SSA)", (".ass", ".ssa"), read_substation, tells=True
)
