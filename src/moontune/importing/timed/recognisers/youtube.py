"""YouTube's own captions (json3): `events` of `segs`; milliseconds.

As https://www.youtube.com/api/timedtext answers to `fmt=json3`, and yt-dlp writes it, of which
there is no reference: an event without `segs` makes a window, and one with `aAppend` goes on in the
one before. Captions that YouTube made have a window, in which each stays on while the next is said;
what another begins ends it. `pens` of `rbRuby` write how characters are read beside them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    text_of,
)

_NO_WIDTH = str.maketrans("", "", "\u200b\ufeff")  # around styled texts


@dataclass
class _Line:
    start_ms: float | None
    end_ms: float | None  # None: not told
    segs: list[Any]
    window: Any
    ruby: bool


def _parts(document: Any) -> list[Any] | None:
    events = dicts(inside(document, "events"))
    if not any("tStartMs" in one and dicts(one.get("segs")) for one in events or ()):
        return None
    lines = [*_lines(events or [], _ruby_pens(document))]
    for line, following in itertools.pairwise(lines):
        rolls = line.window is not None and line.window == following.window
        if line.start_ms is not None and following.start_ms is not None:
            earlier = line.start_ms < following.start_ms < (line.end_ms or math.inf)
            if earlier and (rolls or line.end_ms is None):
                line.end_ms = following.start_ms
    return lines


def _lines(events: list[dict[str, Any]], ruby: set[int]) -> Iterator[_Line]:
    """What is written on the screen, without what only breaks a line."""
    line: _Line | None = None
    for event in events:
        segs = event.get("segs")
        if segs is None:
            continue
        parts = segs if isinstance(segs, list) else [segs]
        has_ruby = any(inside(seg, "pPenId") in ruby for seg in parts)
        is_break = all(_is_space(seg) for seg in parts)
        if event.get("aAppend") and line is not None and not is_break:
            line.segs += parts
            line.end_ms = max(filter(None, (line.end_ms, _end(event))), default=None)
            line.ruby |= has_ruby
            continue
        if line is not None:
            yield line
        line = None
        if not is_break:
            start, window = _ms(event.get("tStartMs")), event.get("wWinId")
            line = _Line(start, _end(event), [*parts], window, has_ruby)
    if line is not None:
        yield line


def _is_space(seg: Any) -> bool:
    text = inside(seg, "utf8")
    return isinstance(text, str) and not text.translate(_NO_WIDTH).strip()


def _end(event: dict[str, Any]) -> float | None:
    start, length = _ms(event.get("tStartMs")), _ms(event.get("dDurationMs"))
    return None if start is None or length is None else start + length


def _ms(value: Any) -> float | None:
    """A time; None for what is none."""
    return float(value) if isinstance(value, int | float) and value is not True else None


def _ruby_pens(document: Any) -> set[int]:
    pens = inside(document, "pens")
    return {
        i for i, pen in enumerate(pens if isinstance(pens, list) else []) if inside(pen, "rbRuby")
    }


def _segment(line: _Line) -> Segment:
    if line.ruby:
        raise TypeError("has readings of characters beside them (ruby)")
    if line.start_ms is None or line.end_ms is None:
        raise ValueError("has no begin, or no end, and nothing follows")
    text = "".join(text_of(seg["utf8"]) for seg in line.segs).translate(_NO_WIDTH)
    return Segment(line.start_ms / 1000, line.end_ms / 1000, text)


SERVICE = Service("youtube", "YouTube captions JSON", _parts, _segment, (".json3", ".json"))
