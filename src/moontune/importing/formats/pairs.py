"""Pairs of a recording and its text: `a.wav` and `a.txt`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moontune.config.schema import CleanConfig
from moontune.data.audio import AudioError, header_duration_s
from moontune.importing.audio_files import files_below, is_audio, is_hidden
from moontune.importing.formats.prompts import is_list
from moontune.importing.script import passages
from moontune.importing.script.reading import has_unread_times, script_lines, without_times
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.text_files import MARKDOWN, WORD, lines_of, read_text
from moontune.importing.timed.beside import PLAIN, Beside, beside, is_script, no_recording_of
from moontune.importing.timed.captions import tidy
from moontune.importing.timed.labels import has_times
from moontune.importing.values import (
    BAD_ROW,
    NO_AUDIO,
    NO_TEXT,
    TOO_LONG,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)
from moontune.languages.words import joined_lines
from moontune.system.formatting import counted

_LONGEST_S = 60.0  # of a clip that has no times in its text
_CUT_S = CleanConfig.max_duration_s  # a run takes none that is longer, so it is cut
_UNREAD = (
    "has times in a form that is not read; export it as SRT or WebVTT, or as text without times"
)
_MOST = 0.5  # of the texts must have a recording
_SAMPLES = re.compile(r"0 (\d{3,9}) (?=\S)")
_FEWEST_ALIKE, _SHARE_ALIKE = 3, 0.05  # texts of one first or last line
_SHOWN = 40  # characters of it
_FIRST_OF_TWO = "_mic1"  # VCTK's microphones


@dataclass
class _Times:
    """Those that were taken out from before what is said."""

    count: int = 0
    texts: int = 0

    def add(self, count: int) -> None:
        """Those of one text."""
        self.count += count
        self.texts += 1

    def in_words(self) -> tuple[str, ...]:
        """In one line, where there are any."""
        there = counted(self.texts, "text")
        times = counted(self.count, "time")
        return (f"not said: {times} on lines of {there}",) if self.texts else ()


class _Alike:
    """Lines that several texts begin or end with, which may be heads that nobody reads out."""

    def __init__(self) -> None:
        self._texts = 0
        self._lines: Counter[str] = Counter()

    def add(self, lines: Sequence[str]) -> None:
        """Those of one text."""
        self._texts += 1
        if len(lines) > 1:
            self._lines.update({lines[0].strip(), lines[-1].strip()})

    def in_words(self) -> tuple[str, ...]:
        """In one line, where there are any."""
        fewest = max(_FEWEST_ALIKE, _SHARE_ALIKE * self._texts)
        line, count = next(iter(self._lines.most_common(1)), ("", 0))
        if count < fewest:
            return ()
        short = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
        return (
            f'{count} texts have the line "{short}", which is taken for said; take it out if it is '
            "none",
        )


def _folder(place: Place) -> Recognised | None:
    there = beside(place.path, place.language)
    if not there.plain:
        return None
    rest = (partial(there.left_out, place), partial(_lost, place, there))
    rest = rest if there.teller is None else ()
    told = there.told(place.language) if there.teller is None else ()
    return _recognised(place, there.plain, told, rest, whole=False)


def _lost(place: Place, there: Beside) -> Iterator[Found]:
    """Texts without a recording, where most have one; lists of recordings are others' to take."""
    known = {*(text for _, text in there.plain), *(text for text, _ in there.passed_over)}
    files = (f for f in sorted(place.path.iterdir()) if f.is_file() and not is_hidden(f.name))
    texts = [f for f in files if f not in known and is_script(f)]
    for file in texts if len(texts) <= len(there.plain) else ():
        if not is_list(place, file):
            yield left_out(place.name_of(file), file.name, NO_AUDIO, no_recording_of(file))


def _recognised(
    place: Place,
    pairs: tuple[tuple[Path, Path], ...],
    told: tuple[str, ...] = (),
    rest: tuple[Callable[[], Iterator[Found]], ...] = (),
    *,
    whole: bool = True,
) -> Recognised:
    times, alike = _Times(), _Alike()
    parts = (partial(_rows, place, pairs, times, alike), *rest)

    def told_after() -> tuple[str, ...]:
        return (*times.in_words(), *alike.in_words())

    return Recognised("pairs", place.path, parts, told, whole, told_after)


def _rows(
    place: Place, pairs: tuple[tuple[Path, Path], ...], times: _Times, alike: _Alike
) -> Iterator[Found]:
    for recording, file in pairs:
        where, name = place.name_of(file), clip_name(place, recording)
        seconds = _seconds(recording)
        if seconds > _CUT_S and place.ear is not None and not has_times(file):
            lines = script_lines(file, seconds, times.add)
            if has_unread_times([line for _, line in lines], seconds):
                yield left_out(where, name, BAD_ROW, _UNREAD)
                continue
            yield from passages.rows_of(recording, file, lines, place.ear, place)
        elif not (text := _without_samples("\n".join(_lines(file, seconds, times)), seconds)):
            in_table = ", but for tables, which are not read; save it as .txt or .xlsx"
            is_word = file.suffix.lower() in WORD
            detail = "the text is empty" + (in_table if is_word else "")
            yield left_out(where, name, NO_TEXT, detail)
        elif has_times(file):
            detail = "has times in HTK's units, which are not read; save it as a TextGrid"
            yield left_out(where, name, BAD_ROW, detail)
        elif has_unread_times(lines_of(text), seconds):
            yield left_out(where, name, BAD_ROW, _UNREAD)
        elif seconds > _LONGEST_S:
            detail = f"lasts {seconds:.0f} s, and its text has no times; `moontune import` cuts it"
            yield left_out(where, name, TOO_LONG, detail)
        else:
            alike.add(lines := lines_of(text))
            yield SourceRow(where, joined_lines(lines), recording, name)


def _lines(file: Path, seconds: float, times: _Times) -> list[str]:
    if file.suffix.lower() in (*MARKDOWN, *WORD):
        lines = [line for _, line in script_lines(file, seconds, times.add)]
    else:
        lines = without_times(lines_of(read_text(file).text), seconds, times.add)
    return [line for line in map(tidy, lines) if line]


def _without_samples(text: str, seconds: float) -> str:
    """What is said, without the first and last sample that TIMIT has before it."""
    samples = _SAMPLES.match(text)
    if samples and abs(int(samples[1]) - 16_000 * seconds) < 800 * seconds:
        return text[samples.end() :]
    return text


def _file(place: Place) -> Recognised | None:
    recording = next((r for r, text in beside(place.path.parent).plain if text == place.path), None)
    return None if recording is None else pair(place, recording)


def pair(place: Place, recording: Path) -> Recognised:
    """The file of a place as what is said in a recording."""
    return _recognised(place, ((recording, place.path),))


def _seconds(recording: Path) -> float:
    """As its head says; 0 where that is nothing, which is told when it is read."""
    try:
        return header_duration_s(recording)
    except AudioError:
        return 0.0


def _tree(place: Place) -> Recognised | None:
    """Recordings in one folder and texts in another, as VCTK has them: by names that are
    single, in all of it or in a speaker's folder."""
    audio: dict[str, list[Path]] = defaultdict(list)
    texts: dict[str, list[Path]] = defaultdict(list)
    recordings: list[Path] = []
    for file in files_below(place.path):
        if is_audio(file):
            recordings.append(file)
        elif file.suffix.lower() in PLAIN:
            texts[file.stem].append(file)
    for file in recordings:
        stem = file.stem
        audio[stem if stem in texts else stem.removesuffix(_FIRST_OF_TWO)].append(file)
    shared = [pair for stem in texts for pair in _of_name(audio.get(stem, []), texts[stem])]
    if not shared or len(shared) < _MOST * sum(map(len, texts.values())):
        return None
    pairs = tuple(shared)
    told = ("text: the file of the recording's name in another folder",)
    return _recognised(place, pairs, told)


def _of_name(audio: list[Path], texts: list[Path]) -> list[tuple[Path, Path]]:
    """Recordings and texts of one name: one of each, or one of each in a speaker's folder, as
    L2-ARCTIC has them (`ABA/wav`, `ABA/transcript`)."""
    if len(audio) == len(texts) == 1:
        return [(audio[0], texts[0])]
    of_folder: dict[Path, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for file in audio:
        of_folder[file.parent.parent][0].append(file)
    for file in texts:
        of_folder[file.parent.parent][1].append(file)
    both = of_folder.values()
    return [(mine[0], said[0]) for mine, said in both if len(mine) == len(said) == 1]


FORMAT = Format(
    "pairs", "pairs", "a.wav and a.txt of the same name", _folder, _file, PLAIN, of_tree=_tree
)
