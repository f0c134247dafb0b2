"""oTranscribe's `.otr`: text with the times that somebody set, each the begin of what follows.

JSON whose `text` is HTML, with `<span class="timestamp" data-timestamp="12.3">0:12</span>`.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_TIMES, MISSHAPEN, DamagedSourceError, Place, left_out

_BREAKS = ("p", "br", "div", "li")
_REMEDY = "set some in oTranscribe, or export it as text and import text and audio"


class _Text(HTMLParser):
    """Times, each with what stands behind it; what stands before the first has none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[tuple[str | None, list[str]]] = [(None, [])]
        self._inside = 0  # of a time's own span, and those in it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if self._inside:
            self._inside += tag == "span"
        elif tag == "span" and "timestamp" in (told.get("class") or "").split():
            self._inside = 1
            self.parts.append((told.get("data-timestamp"), []))
        elif tag in _BREAKS:
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._inside:
            self._inside -= tag == "span"
        elif tag in _BREAKS:
            self.handle_data("\n")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.parts[-1][1].append(data)


def read_otranscribe(path: Path, place: Place) -> list[Captioned]:
    """The captions of an `.otr`; the last is said to the recording's end. Raises
    DamagedSourceError."""
    try:
        document = json.loads(read_text(path).text)
        text, media = document["text"], document.get("media")
        parser = _Text()
        parser.feed(text)
        parser.close()
    except (*MISSHAPEN, RecursionError) as error:
        raise DamagedSourceError(
            f"{path}: cannot be read as oTranscribe's ({type(error).__name__}); save it there again"
        ) from None
    name, captions, left = place.name_of(path), [], []
    for number, (time, parts) in enumerate(parser.parts):
        said = tidy("".join(parts))
        where = f"{name}:time {number}" if number else name
        start = _seconds(time)
        if start is not None:
            lines = tuple(filter(None, map(tidy, "".join(parts).splitlines())))
            captions.append(Caption(where, start, start, said, to_next=True, lines=lines))
        elif said:
            what = "stands before the first time" if not number else f"{time!r} is no time"
            left.append(left_out(where, said[:60], BAD_TIMES, what))
    if not captions:
        raise DamagedSourceError(f"{path}: has no times; {_REMEDY}")
    named = (PurePosixPath(media).name,) if isinstance(media, str) and media.strip() else ()
    return [Captioned(tuple(captions), named, left_out=tuple(left))]


def _seconds(time: str | None) -> float | None:
    try:
        return float(time or "")
    except ValueError:
        return None


OTRANSCRIBE = TimedKind("otr", "oTranscribe", (".otr",), read_otranscribe)
