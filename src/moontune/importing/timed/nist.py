"""CTM and STM, of NIST's scoring toolkit: words or segments of one or more recordings.

https://github.com/usnistgov/SCTK/blob/master/doc/infmts.htm
CTM: recording, channel, begin, duration, word [, confidence].
STM: recording, channel, speaker, begin, end [, <label>], text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from moontune.data.manifest import Dropped
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, BAD_TIMES, Place, left_out

_IGNORED = ("ignore_time_segment_in_scoring", "inter_segment_gap")
_LABEL = re.compile(r"<[^<>\s]*>")
_CHANNELS = {"a": 0, "b": 1, "1": 0, "2": 1}
_NO_WORD = re.compile(r"<[^<>]*>|\(%.*\)|@")  # <eps>, a hesitation, nothing


def read_ctm(path: Path, place: Place) -> list[Captioned]:
    """The words of a CTM, by recording. Raises DamagedSourceError."""

    def caption(parts: list[str], where: str) -> Caption:
        start, seconds = float(parts[2]), float(parts[3])
        text = "" if _NO_WORD.fullmatch(parts[4]) else parts[4]
        return Caption(where, start, start + seconds, text, is_word=True)

    return _read(path, place, 5, caption)


def read_stm(path: Path, place: Place) -> list[Captioned]:
    """The segments of an STM, by recording. Raises DamagedSourceError."""

    def caption(parts: list[str], where: str) -> Caption:
        text = parts[5:]
        if text and _LABEL.fullmatch(text[0]):
            text = text[1:]
        said = "" if text and text[0].lower() in _IGNORED else " ".join(text)
        return Caption(where, float(parts[3]), float(parts[4]), tidy(said), parts[2])

    return _read(path, place, 5, caption)


def _read(
    path: Path, place: Place, least: int, caption: Callable[[list[str], str], Caption]
) -> list[Captioned]:
    found: dict[tuple[str, str], list[Caption]] = defaultdict(list)
    left: list[Dropped] = []
    for number, line in _lines(path):
        where, parts = f"{place.name_of(path)}:{number}", line.split()
        if len(parts) < least:
            left.append(left_out(where, line[:60], BAD_ROW, f"has {len(parts)} fields"))
            continue
        try:
            one = caption(parts, where)
        except ValueError:
            left.append(left_out(where, line[:60], BAD_TIMES, "its times are no numbers"))
            continue
        if one.text or not one.is_word:
            found[parts[0], parts[1].lower()].append(one)
    recordings = defaultdict(set)
    for recording, channel in found:
        recordings[recording].add(channel)
    captioned = [
        Captioned(tuple(captions), (recording,),
                  _CHANNELS.get(channel) if len(recordings[recording]) > 1 else None)
        for (recording, channel), captions in found.items()
    ]  # fmt: skip
    return [*captioned, Captioned((), left_out=tuple(left))] if left else captioned


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines_of(read_text(path).text), start=1):
        if line.strip() and not line.startswith(";;"):
            yield number, line


CTM = TimedKind("ctm", "CTM", (".ctm",), read_ctm)
STM = TimedKind("stm", "STM", (".stm",), read_stm)
