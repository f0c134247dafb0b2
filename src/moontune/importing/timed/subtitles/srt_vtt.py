"""SRT and WebVTT, read by webvtt-py; an SRT is made a WebVTT first, of which the parser forgives
more: no numbers, numbers out of order, short times."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from moontune.data.manifest import Dropped
from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.timed.subtitles.bilingual import in_one_script
from moontune.importing.values import BAD_ROW, BAD_TIMES, DamagedSourceError, Place, left_out
from moontune.languages.words import joined_lines

_ARROW = re.compile(r"^\s*[\d:.,]+\s*-->\s*[\d:.,]+")
_BEFORE = re.compile(r"^\s*(?:-[\d:.,]+\s*-->\s*-?|[\d:.,]+\s*-->\s*-)[\d:.,]+")
_BRACE = re.compile(r'\s*\{\s*"')
_KEY = re.compile(r'\s*\{\s*"[^"]*"\s*:')
_STYLES = re.compile(r"\{\\[^{}]*\}")  # {\an8}, of SubStation
_VOICE = re.compile(r"<v(?:\.[^\s>]+)*\s+([^>]+)>")
_FEWEST, _ROLLING = 4, 0.4  # cues, and the share of them that begin with the last one's end
_SHOWN_ON_S = 1.0  # so soon after itself a caption is the same one
_HEAD = "WEBVTT\n\n"


def read_srt(path: Path, place: Place) -> list[Captioned]:
    """The captions of an SRT. Raises DamagedSourceError."""
    lines = read_text(path).text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line.replace(",", ".") if _ARROW.match(line) else line for line in lines]
    if next(filter(str.strip, lines), "").strip("\ufeff ").isdecimal():
        lines = [*_without_numbers(lines)]
    return [_captions(path, place, _HEAD + "\n".join(lines), added=_HEAD.count("\n"))]


def _without_numbers(lines: Sequence[str]) -> Iterator[str]:
    """Lines with nothing in place of captions' numbers, which would be of the text above where no
    empty line is between."""
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        is_before_times = _ARROW.match(following) or _BEFORE.match(following)
        yield "" if is_before_times and line.strip("\ufeff ").isdecimal() else line


def read_vtt(path: Path, place: Place) -> list[Captioned]:
    """The captions of a WebVTT; `<v NAME>` is who speaks. Raises DamagedSourceError."""
    text = read_text(path).text.replace("\r\n", "\n").replace("\r", "\n")
    return [_captions(path, place, text, added=0)]


def _captions(path: Path, place: Place, text: str, *, added: int) -> Captioned:
    import webvtt
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    try:
        parsed = webvtt.WebVTT.from_string(text)
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise DamagedSourceError(
            f"{path}: cannot be read as subtitles ({error}); mend it"
        ) from None
    name = place.name_of(path)
    lines = [n for n, line in enumerate(text.split("\n"), start=1) if _ARROW.match(line)]
    captions: list[Caption] = []
    left = _before_begin(text, name, added)
    cues = _spoken([cue.text for cue in parsed.captions])
    written = [_lines(spoken or "") for spoken, _ in cues]
    said = _unrolled(written)
    wheres = iter(lines)
    for cue, (spoken, who), words, of_cue in zip(parsed.captions, cues, said, written, strict=True):
        start, end = (_seconds(str(stamp)) for stamp in (cue.start, cue.end))
        where = f"{name}:{next(wheres, added) - added}"
        if spoken is None:
            left.append(left_out(where, cue.text[:60], BAD_ROW, "is JSON, and no text"))
        elif words is not None:
            whole = tuple(of_cue) if words == joined_lines(of_cue) else ()
            named = who or _voice(cue.raw_text)
            captions.append(Caption(where, start, end, words, named, lines=whole))
        elif captions and 0 <= start - captions[-1].end_s < _SHOWN_ON_S:
            captions[-1] = replace(captions[-1], end_s=max(end, captions[-1].end_s))
    lost = len(lines) - len(parsed.captions)
    if lost > 0:
        left.append(left_out(name, name, BAD_ROW, f"{lost} captions are not written as such"))
    if added and not lines and text.strip() != _HEAD.strip():
        detail = (
            "has no line such as 00:00:01,000 --> 00:00:02,000, as SRT has; give it the suffix of "
            "what it is, or export it again"
        )
        left = [left_out(name, name, BAD_ROW, detail)]
    try:
        captions, in_script = in_one_script(captions, place.language)
    except ValueError as error:
        raise DamagedSourceError(f"{path}: {error}") from None
    return Captioned(tuple(captions), left_out=(*left, *in_script.left_out), told=in_script.told)


def _before_begin(text: str, name: str, added: int) -> list[Dropped]:
    """Captions with a time before the recording, as Teams writes those of a meeting that had begun;
    webvtt-py passes them over."""
    detail = "begins before the recording does"
    return [
        left_out(f"{name}:{n - added}", line.strip()[:60], BAD_TIMES, detail)
        for n, (above, line) in enumerate(itertools.pairwise(text.split("\n")), start=2)
        if _BEFORE.match(line) and not (_ARROW.match(above) or above.startswith("NOTE"))
    ]


def _spoken(texts: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """What is said in each cue, and by whom if it is JSON as Microsoft Graph writes a meeting's
    (https://learn.microsoft.com/graph/api/calltranscript-get, metadataContent); None in other JSON,
    and in what may be a part of some."""
    found = [_object(text) for text in texts]
    of_json = any(found)
    return [
        _said(one) if one or (of_json and _BRACE.match(text)) or one is None else (text, None)
        for text, one in zip(texts, found, strict=True)
    ]


def _object(text: str) -> dict[str, Any] | None:
    """What JSON holds; None where it is damaged, nothing of a text, which may begin so."""
    if not _BRACE.match(text):
        return {}
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        spoken_of = error.msg == "Extra data" or not _KEY.match(text)
        return {} if spoken_of else None
    except (ValueError, RecursionError):
        return None


def _said(found: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    found = found or {}
    said, who = found.get("spokenText"), found.get("speakerName")
    named = who.strip() if isinstance(who, str) else ""
    return said if isinstance(said, str) else None, named or None


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _lines(text: str) -> list[str]:
    plain = html.unescape(_STYLES.sub("", text))
    return [line for line in map(tidy, plain.splitlines()) if line]


def _unrolled(cues: list[list[str]]) -> list[str | None]:
    """Each cue's text; without the lines that the one before it had already, where captions roll
    up, as YouTube's do, and None where nothing else is in it, as where Whisper shows a caption
    again for each of its words."""
    again = [bool(a and b) and (b[0] == a[-1] or a == b) for a, b in itertools.pairwise(cues)]
    rolling = len(again) >= _FEWEST and sum(again) > _ROLLING * len(again)
    texts: list[str | None] = []
    for i, lines in enumerate(cues):
        repeated = rolling and i > 0 and again[i - 1]
        if repeated:
            new = [] if lines == cues[i - 1] else lines[1:]
            texts.append(joined_lines(new) or None)
        else:
            texts.append(joined_lines(lines))
    return texts


def _voice(text: str) -> str | None:
    """Who speaks; None where nobody is named, or several are."""
    voices = {voice.strip() for voice in _VOICE.findall(text)}
    return html.unescape(voices.pop()) if len(voices) == 1 else None


SRT = TimedKind("srt", "SubRip", (".srt",), read_srt, tells=True)
VTT = TimedKind("vtt", "WebVTT", (".vtt", ".webvtt"), read_vtt, tells=True)
