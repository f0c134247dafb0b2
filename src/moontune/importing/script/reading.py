"""Scripts as lines of what is said: plain text, Markdown and Word files."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from moontune.data.annotations import without_annotations
from moontune.importing.text_files import MARKDOWN, WORD, read_text
from moontune.importing.values import DamagedSourceError

_NO_SPEECH = re.compile(r"^\s*([-*_=~]\s*){3,}$|^\s*\|?[\s:|-]*\|[\s:|-]*$")  # rules, under heads
_FENCE = re.compile(r"^\s*(```|~~~)")
_QUOTE = re.compile(r"^\s*(?:>\s*)*(?:\d{1,3}[.)]\s+(?=\S))?")
_PICTURE = re.compile(r"!\[[^\[\]]*\]\([^()]*\)")
_REMARK = re.compile(r"<!--.*?-->", re.DOTALL)
_CLOCK = r"(?:\d{1,2}:)?\d{1,3}:\d{2}(?:[.,]\d{1,3})?"
_TIME = (
    r"[\[(]?(?:(\d{1,2}):)?(\d{1,3}):(\d{2})(?:[.,]\d{1,3})?[\])]?"
    rf"(?:\s*-+>\s*{_CLOCK}[\])]?|\s*[-\u2013]\s*{_CLOCK}[\])])?"
)
_WORD = r"(?:[^\W\d_a-z][\w.'-]*|\d{1,2})"
_NAME = rf"(?:{_WORD}\s+){{1,4}}"
_STAMP = re.compile(rf"\s*(?:{_NAME})?{_TIME}\s*:?\s*\Z")  # a line of its own: `Ann Lee  0:04`
_STAMPED = re.compile(rf"\s*{_TIME}\s*[-\u2013:]?\s+(?=\S)")  # `0:04 and so on`
_OTTERS_TURN = re.compile(rf"\s*(?:{_WORD} ){{0,3}}{_WORD}(?: {{2,}}|\t){_CLOCK}\s*")
_OTTERS_END = re.compile(r"\s*Transcribed by https?://otter\.ai/?\s*", re.IGNORECASE)
_TURN = re.compile(rf"\s*{_NAME}[\[(]{_CLOCK}[\])]\s*:\s*(?=\S)")  # `Ann Lee [0:04]: and so on`
# A line of its own of a time and who speaks: `[00:00:04.10] - Ann Lee`.
_STAMP_OF = re.compile(
    rf"\s*[\[(]{_CLOCK}[\])]\s*[-\u2013]?\s*((?:{_WORD}\s+){{0,3}}{_WORD})\s*:?\s*\Z"
)
_MARK = re.compile(r"\s*#\d{1,2}:\d{2}:\d{2}[-.,:]\d{1,3}#\s*")  # of F4 and easytranscript
# Times with seconds or parts of these, which hardly anybody reads out.
_EXACT = re.compile(
    r"\b(?:(\d{1,2}):(\d{2}):(\d{2})\b(?:[.,]\d+)?|(\d{1,3}):(\d{2})[.,]\d+)(\s*-+>|[:;]\d{2}\b)?"
)
_FEWEST = 3  # lines with times that never go back
_OF_TURNS, _UNREAD = 0.5, 0.2  # of the lines
_PEOPLE = 0.7  # as many different ones at most as there are turns; words are not said so often
_BEHIND_S = 1.0  # that the last may be behind the recording's end
_SHARES = ((_STAMP, 0.1), (_STAMPED, 0.5))  # of the lines
_HEAD = re.compile(r"\A\s*---\n.*?\n---\n", re.DOTALL)


def script_lines(
    path: Path, seconds: float = 0.0, tell: Callable[[int], object] = lambda count: None
) -> list[tuple[int, str]]:
    """Lines with their numbers, from 1, without headings' signs, markup, stage directions between
    brackets, labels of speakers and times. Headings themselves stay: they may be read out.

    `seconds` and `tell` are as in `without_times`.

    Raises DamagedSourceError.
    """
    suffix = path.suffix.lower()
    if suffix in WORD:
        lines = _of_word(path)
    else:
        text = read_text(path).text.replace("\r\n", "\n").replace("\r", "\n")
        lines = _of_markdown(text) if suffix in MARKDOWN else text.split("\n")
    cleaned, _ = without_annotations(without_times(lines, seconds, tell))
    return [(n, line) for n, line in enumerate(cleaned, start=1) if line.strip()]


def without_times(
    lines: Sequence[str],
    seconds: float = 0.0,
    tell: Callable[[int], object] = lambda count: None,
) -> list[str]:
    """Lines without the times that YouTube, Otter and the like put before what is said, and without
    who says it where that stands beside them: where several have one, none is before the last, and
    none is behind the end of a recording of so many seconds (0: not known). Others may be said.

    `tell` is given how many there are.
    """
    lines = _without_turns(_without_otters(lines, seconds, tell), tell)
    for pattern, share in _SHARES:
        found = [match for line in lines if (match := pattern.match(line))]
        times = [[int(part or 0) for part in match.groups()] for match in found]
        fewest = max(_FEWEST, share * sum(bool(line.strip()) for line in lines))
        if len(times) >= fewest and _go_along(times, seconds):
            lines = [pattern.sub("", line, count=1) for line in lines]
            tell(len(times))
    return list(lines)


def has_unread_times(lines: Sequence[str], seconds: float) -> bool:
    """Whether lines without times still have many, which are of no form that is known: with frames,
    with arrows, or such as rise within the recording. A time of the day or a verse is said."""
    found = [match for line in lines if (match := _EXACT.search(line))]
    if len(found) < max(_FEWEST, _UNREAD * sum(bool(line.strip()) for line in lines)):
        return False
    times = [[int(m[1] or 0), int(m[2] or m[4]), int(m[3] or m[5])] for m in found]
    return any(match[6] for match in found) or _go_along(times, seconds)


def _without_turns(lines: Sequence[str], tell: Callable[[int], object]) -> list[str]:
    """Lines without F4's marks, and without who speaks and when before each turn as Sonix writes
    it, or on the line before it as Happy Scribe does."""
    if marks := sum(len(_MARK.findall(line)) for line in lines):
        tell(marks)
        lines = [_MARK.sub(" ", line).strip() for line in lines]
    there = [i for i, line in enumerate(lines) if line.strip()]
    turns = [i for i in there if _TURN.match(lines[i])]
    if len(turns) >= max(_FEWEST, _OF_TURNS * len(there)):
        tell(len(turns))
        return [_TURN.sub("", line, count=1) for line in lines]
    people = {i: who[1] for i in there if (who := _STAMP_OF.match(lines[i]))}
    stamps, names = people.keys(), {*people.values()}
    alone = not any(a in stamps and b in stamps for a, b in itertools.pairwise(there))
    alone = alone and len(names) <= _PEOPLE * len(stamps) and not any(n[0].islower() for n in names)
    if alone and len(stamps) >= _FEWEST and there[-1] not in stamps:
        tell(len(stamps))
        return ["" if i in stamps else line for i, line in enumerate(lines)]
    return list(lines)


def _without_otters(
    lines: Sequence[str], seconds: float, tell: Callable[[int], object]
) -> list[str]:
    """Lines without what Otter writes around what is said: who speaks and when before each turn,
    two spaces apart, also of a single one; what stands before the first where that lists speakers;
    and who transcribed it."""
    lines = ["" if _OTTERS_END.fullmatch(line) else line for line in lines]
    turns = [i for i, line in enumerate(lines) if _OTTERS_TURN.fullmatch(line)]
    if not turns:
        return lines
    above = [line.strip() for line in lines[: turns[0]] if line.strip()]
    found = [_STAMP.match(lines[i]) for i in turns]
    times = [[int(part or 0) for part in match.groups()] for match in found if match]
    if len(times) < len(turns) or times != sorted(times) or not _inside(times, seconds):
        return lines
    if above and "SPEAKERS" not in above:
        return lines
    if not any(line.strip() for i, line in enumerate(lines) if i > turns[0] and i not in turns):
        return lines
    tell(len(turns))
    return ["" if i <= turns[0] or i in turns else line for i, line in enumerate(lines)]


def _go_along(times: list[list[int]], seconds: float) -> bool:
    """Whether hours, minutes and seconds rise, to the end of a recording at most."""
    return _inside(times, seconds) and times == sorted(times) and times[0] < times[-1]


def _inside(times: list[list[int]], seconds: float) -> bool:
    hours, minutes, rest = times[-1]
    return 3600 * hours + 60 * minutes + rest <= (seconds or float("inf")) + _BEHIND_S


def _of_word(path: Path) -> list[str]:
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = docx.Document(str(path))
        return [line for p in document.paragraphs for line in p.text.split("\n")]
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError, SyntaxError, OSError):
        raise DamagedSourceError(
            f"{path}: cannot be read as a Word file; save it again, or as plain text"
        ) from None


def _of_markdown(text: str) -> list[str]:
    """The lines, with those empty that are code, rules, remarks or about the document."""
    text = _HEAD.sub(_blank, text)
    text = _REMARK.sub(_blank, text)
    lines, code = [], False
    for line in text.split("\n"):
        fence = bool(_FENCE.match(line))
        code ^= fence
        if code or fence or _NO_SPEECH.match(line):
            line = ""
        lines.append(_QUOTE.sub("", _PICTURE.sub("", line)))
    return lines


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")
