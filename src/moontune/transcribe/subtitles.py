"""Timed text as SubRip and WebVTT."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moontune.models.decoding import TimedWord

LINE = 42  # characters, the width that broadcasters' guides agree on; two lines at once
_LINES = 2
# SubRip cannot escape: players take <...> for HTML, and --> for a time.
_NO_TAGS = str.maketrans("<>", "‹›")
_LEAST_S = 1.0  # a subtitle stays at least so long, unless the next one comes


@dataclass(frozen=True)
class Cue:
    """One subtitle: when it shows, in milliseconds, and its one or two lines."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class TimedText:
    """A text and when it was spoken: spans of (start, end) seconds, in order, at least one."""

    text: str
    speech_s: Sequence[tuple[float, float]]
    words: Sequence[TimedWord] | None = None  # when each is spoken, where the model says so


def cues(texts: Sequence[TimedText]) -> list[Cue]:
    """Subtitles of readable length. They begin and end with their words; where a model gives no
    times of words, those of one text share the time that somebody speaks in it by characters."""
    timed: list[tuple[float, float, tuple[str, ...]]] = []
    for text in texts:
        parts = _parts(text.text)
        if text.words is not None and len(text.words) == len(text.text.split()):
            timed += _by_words(parts, text.words)
            continue
        total, before = sum(map(len, parts)), 0
        for part in parts:
            start = _moment(text.speech_s, before / total, ending=False)
            before += len(part)
            end = _moment(text.speech_s, before / total, ending=True)
            timed.append((start, end, tuple(_wrapped(part))))
    subtitles = []
    for i, (start, end, lines) in enumerate(timed):
        following = timed[i + 1][0] if i + 1 < len(timed) else float("inf")
        end = min(max(end, start + _LEAST_S), following)
        subtitles.append(Cue(round(1000 * start), round(1000 * end), lines))
    return subtitles


def _by_words(
    parts: Sequence[str], words: Sequence[TimedWord]
) -> Iterator[tuple[float, float, tuple[str, ...]]]:
    first = 0
    for part in parts:
        last = first + len(part.split()) - 1
        yield words[first].start_s, words[last].end_s, tuple(_wrapped(part))
        first = last + 1


def srt(subtitles: Sequence[Cue]) -> str:
    blocks = []
    for number, cue in enumerate(subtitles, start=1):
        text = "\n".join(cue.lines).translate(_NO_TAGS)
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def vtt(subtitles: Sequence[Cue]) -> str:
    blocks = ["WEBVTT\n"]
    for cue in subtitles:
        text = html.escape("\n".join(cue.lines), quote=False)
        blocks.append(f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{text}\n")
    return "\n".join(blocks)


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def _wrapped(text: str) -> list[str]:
    """Lines of like length, where there must be two."""
    lines = textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False)
    for width in range(len(text) // 2, LINE) if len(lines) == _LINES else ():
        even = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        if len(even) == _LINES:
            return even
    return lines


def _parts(text: str) -> list[str]:
    """A text in parts of at most two lines, cut after a sentence or a comma where that leaves no
    scrap."""
    parts: list[str] = []
    words = text.split()
    while words:
        fits = 1
        while fits < len(words) and len(_wrapped(" ".join(words[: fits + 1]))) <= _LINES:
            fits += 1
        at = fits
        if fits < len(words):
            for ends in (".?!", ",;:"):
                cuts = [i for i in range(fits, fits // 3, -1) if words[i - 1][-1] in ends]
                if cuts:
                    at = cuts[0]
                    break
        parts.append(" ".join(words[:at]))
        words = words[at:]
    return parts


def _moment(speech_s: Sequence[tuple[float, float]], share: float, *, ending: bool) -> float:
    """The moment when a share of the time that somebody speaks has passed. Where a pause begins
    then, an end is before it and a start after it."""
    left = share * sum(end - start for start, end in speech_s)
    for start, end in speech_s:
        if left < end - start - 1e-6 or (ending and left <= end - start + 1e-6):
            return start + left
        left -= end - start
    return speech_s[-1][1]
