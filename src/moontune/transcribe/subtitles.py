"""Timed text as SubRip and WebVTT."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import category, east_asian_width

from moontune.languages.table import current
from moontune.languages.words import CLOSES, COMMAS, ENDS, joined_words, written_words
from moontune.models.decoding import TimedWord

LINE = 42  # characters, the width that broadcasters' guides agree on; two lines at once
WIDE_LINE = 16  # characters of Chinese, Japanese or Korean, each as wide as two others
# Small kana, the long vowel and repetition do not begin a line.
_NO_BEGINNING = frozenset(
    "\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3"
    "\u30e3\u30e5\u30e7\u30ee\u30fc\u3005\u309d\u30fd"
)
_LINES = 2
# SubRip cannot escape: players take <...> for HTML, and --> for a time.
_NO_TAGS = str.maketrans("<>", "‹›")
_LEAST_S = 1.0  # a subtitle stays at least so long, unless the next one comes
_MOST_S = 7.0  # and no longer than this, again as the guides have it
_PAUSE_S = 0.5  # after the end of a sentence: what comes then is said anew
_ENDS = ENDS.replace("\u2026", "")


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
    timed = [
        piece
        for text in texts
        for said in _said_in_one(_timed(text))
        for part in _parts(said)
        for piece in _short(part)
    ]
    subtitles = []
    for i, words in enumerate(timed):
        start, end = words[0].start_s, min(words[-1].end_s, words[0].start_s + _MOST_S)
        following = timed[i + 1][0].start_s if i + 1 < len(timed) else float("inf")
        end = min(max(end, start + _LEAST_S), following)
        lines = tuple(_wrapped([word.text for word in words]))
        subtitles.append(Cue(round(1000 * start), round(1000 * end), lines))
    return subtitles


def _timed(text: TimedText) -> Sequence[TimedWord]:
    """The words of a text and when they are spoken; by characters where the model does not say."""
    words = written_words(text.text)
    if text.words is not None and len(text.words) == len(words):
        return [TimedWord(w, t.start_s, t.end_s) for w, t in zip(words, text.words, strict=True)]
    total, before, timed = sum(map(len, words)), 0, []
    for word in words:
        start = _moment(text.speech_s, before / total, ending=False)
        before += len(word)
        timed.append(TimedWord(word, start, _moment(text.speech_s, before / total, ending=True)))
    return timed


def _said_in_one(words: Sequence[TimedWord]) -> Iterator[Sequence[TimedWord]]:
    """Words up to each sentence's end that a pause follows."""
    first = 0
    for i, (word, following) in enumerate(itertools.pairwise(words), start=1):
        if _last_mark(word.text) in _ENDS and following.start_s - word.end_s >= _PAUSE_S:
            yield words[first:i]
            first = i
    yield words[first:]


def _short(words: Sequence[TimedWord]) -> Iterator[Sequence[TimedWord]]:
    """Words that a subtitle can show long enough: cut at the longest pause, near the middle where
    several are, until no part lasts too long."""
    if len(words) < 2 or words[-1].end_s - words[0].start_s <= _MOST_S:
        yield words
        return

    def pause(i: int) -> tuple[float, float]:
        return round(words[i].start_s - words[i - 1].end_s, 3), -abs(i - len(words) / 2)

    at = max(range(1, len(words)), key=pause)
    yield from _short(words[:at])
    yield from _short(words[at:])


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


def _wrapped(words: Sequence[str]) -> list[str]:
    """Lines of like length, where there must be two."""
    whole = joined_words(words)
    most = 2 * WIDE_LINE if 2 * _width(whole) > 3 * len(whole) else LINE  # most of it is wide
    lines = _filled(words, most)
    if len(lines) == _LINES and not current().spaced and (halves := _at_a_mark(words, most)):
        return halves
    for width in range(_width(whole) // 2, most) if len(lines) == _LINES else ():
        even = _filled(words, width)
        if len(even) == _LINES:
            return even
    return lines


def _at_a_mark(words: Sequence[str], most: int) -> list[str] | None:
    """Two lines, cut behind the mark that is nearest the middle: where nothing separates words, a
    cut elsewhere may divide one. None where no mark leaves lines that are short enough."""
    cuts = [
        i
        for i in range(1, len(words))
        if _last_mark(words[i - 1]) in ENDS + COMMAS
        and max(_width(joined_words(part)) for part in (words[:i], words[i:])) <= most
    ]
    if not cuts:
        return None
    at = min(cuts, key=lambda i: abs(2 * i - len(words)))
    return [joined_words(words[:at]), joined_words(words[at:])]


def _filled(words: Sequence[str], most: int) -> list[str]:
    """Lines of at most so many narrow characters, but for one that holds a longer word alone."""
    lines: list[list[str]] = []
    for word in words:
        if lines and (word[0] in _NO_BEGINNING or _width(joined_words([*lines[-1], word])) <= most):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [joined_words(line) for line in lines]


def _width(text: str) -> int:
    """Of a line, in narrow characters; marks above and below letters take no place."""
    wide = sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
    return wide - sum(category(c) in ("Mn", "Me") for c in text)


def _last_mark(word: str) -> str:
    """The last character of a word, but for what closes a quotation behind it."""
    return (word.rstrip(CLOSES) or word)[-1]


def _parts(words: Sequence[TimedWord]) -> Iterator[Sequence[TimedWord]]:
    """Words in parts of at most two lines, cut after a sentence or a comma where that leaves no
    scrap."""
    while words:
        fits, texts = 1, [word.text for word in words]
        while fits < len(words) and len(_wrapped(texts[: fits + 1])) <= _LINES:
            fits += 1
        at = fits
        if fits < len(words):
            for ends in (_ENDS, COMMAS):
                cuts = [i for i in range(fits, fits // 3, -1) if _last_mark(texts[i - 1]) in ends]
                if cuts:
                    at = cuts[0]
                    break
        yield words[:at]
        words = words[at:]


def _moment(speech_s: Sequence[tuple[float, float]], share: float, *, ending: bool) -> float:
    """The moment when a share of the time that somebody speaks has passed. Where a pause begins
    then, an end is before it and a start after it."""
    left = share * sum(end - start for start, end in speech_s)
    for start, end in speech_s:
        if left < end - start - 1e-6 or (ending and left <= end - start + 1e-6):
            return start + left
        left -= end - start
    return speech_s[-1][1]
