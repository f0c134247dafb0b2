"""VoxForge (`etc/PROMPTS`, `wav/`), LibriSpeech (`*.trans.txt` beside the clips) and lists that
people write: a line for each clip, its name and what is said."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moontune.importing.audio_files import NotFoundError, is_audio, is_hidden
from moontune.importing.tables.table_rows import file_row
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.beside import PLAIN
from moontune.importing.values import (
    ANOTHER_TEXT,
    NO_AUDIO,
    DamagedSourceError,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)

_PROMPTS = ("etc/prompts-original", "etc/PROMPTS")
_LISTS = (".txt", ".text", ".lst")
# What ends a recording's name: a colon or dash, which may have spaces before it, or a space.
_NAMED = tuple(
    re.compile(p)
    for p in (r"(.+?)\s*[:|;\t]\s*(.+)", r"(.+?)\s+[-\u2013=]\s+(.+)", r"(\S+)\s+(.+)")
)
_LARGEST_LIST = 20_000_000  # bytes
_FIRST, _LOOKED_AT, _FEWEST, _MOST = 10, 200, 2, 0.8  # lines
_SHOWN = 3
_DATED = re.compile(r"(.+)-\d{8}(?:-.*)?")  # USER-YYYYMMDD-abc, a folder of VoxForge


def _voxforge(place: Place) -> Recognised | None:
    file = next((place.path / n for n in _PROMPTS if (place.path / n).is_file()), None)
    audio = [place.path / name for name in ("wav", "flac") if (place.path / name).is_dir()]
    if file is None or not audio:
        return None
    dated = _DATED.fullmatch(place.path.name)
    speaker = dated.group(1) if dated else place.path.name
    if speaker.lower() == "anonymous":  # whoever gave no name: each folder is another
        speaker = place.path.name
    told = (f"text: {place.name_of(file)}", "speaker: the folder's name")
    rows = partial(_rows, place, file, audio[0], speaker)
    return Recognised("voxforge", place.path, (rows,), told)


def _librispeech(place: Place) -> Recognised | None:
    files = sorted(Path(f) for f in glob.glob(f"{glob.escape(str(place.path))}/*.trans.txt"))
    if not files:
        return None
    told = ("text: *.trans.txt", "speaker: the first number of a clip's name")
    parts = tuple(partial(_rows, place, file, file.parent, None) for file in files)
    return Recognised("librispeech", place.path, parts, told)


def _rows(place: Place, file: Path, folder: Path, speaker: str | None) -> Iterator[Found]:
    for number, line in enumerate(lines_of(read_text(file).text), start=1):
        named, _, text = line.strip().partition(" ")
        if not named:
            continue
        where, said = f"{place.name_of(file)}:{number}", text.strip()
        who = speaker or (named.split("-")[0] if "-" in named else None)

        def make(path: Path, clip: str, where=where, said=said, who=who) -> SourceRow:
            return SourceRow(where, said, path, clip, speaker=who)

        # PROMPTS has a path, of which the last part is the clip's name.
        yield file_row(place, folder, named.rsplit("/", 1)[-1], said, where, make)


@dataclass(frozen=True)
class _List:
    """A list, the recordings that its first lines name, and how many words each has about."""

    file: Path
    names: frozenset[str]
    words: float


def _list_file(place: Place) -> Recognised | None:
    own = {file.stem.lower() for file in place.path.parent.iterdir() if is_audio(file)}
    if place.path.stem.lower() in own or _list_of(place, place.path) is None:
        return None
    return Recognised("list", place.path, (partial(_listed, place, place.path),))


def _list_folder(place: Place) -> Recognised | None:
    """Its lists, but for those of recordings that have texts of their own; of several that name the
    same recordings the one of most words."""
    there = sorted(place.path.iterdir())
    texts = {file.stem.lower() for file in there if file.suffix.lower() in PLAIN}
    own = {file.stem.lower() for file in there if is_audio(file)}
    lists = [
        found
        for file in there
        if file.suffix.lower() in _LISTS and file.stem.lower() not in own
        if file.is_file() and not is_hidden(file.name)
        if (found := _list_of(place, file)) is not None
        if 2 * len(texts & {*map(_stem, found.names)}) < len(found.names)
    ]
    taken: list[_List] = []
    over: list[tuple[_List, _List]] = []
    for one in sorted(lists, key=lambda one: -one.words):
        rival = next((other for other in taken if not one.names.isdisjoint(other.names)), None)
        if rival is None:
            taken.append(one)
        else:
            over.append((one, rival))
    if not taken:
        return None
    told = (f"text: {', '.join(place.name_of(one.file) for one in taken[:_SHOWN])}",)
    parts = [partial(_listed, place, one.file) for one in taken]
    rest = [partial(_passed_over, place, *pair) for pair in over]
    return Recognised("list", place.path, (*parts, *rest), told, whole=False)


def _stem(named: str) -> str:
    path = Path(named)
    return (path.stem if is_audio(path) else path.name).lower()


def _passed_over(place: Place, other: _List, taken: _List) -> Iterator[Found]:
    detail = f"{taken.file.name}, which has more words, says what is said in the same recordings"
    yield left_out(place.name_of(other.file), other.file.name, ANOTHER_TEXT, detail)


def _list_of(place: Place, file: Path) -> _List | None:
    """A text of which nearly all lines begin with the name of a recording, no two with the same
    one, and most go on with words."""
    try:
        if file.stat().st_size > _LARGEST_LIST:
            return None
        lines = [line for line in lines_of(read_text(file).text) if line.strip()]
    except (OSError, DamagedSourceError):
        return None
    found = None
    for some in (lines[:_FIRST], lines[:_LOOKED_AT]):  # a script is told by a few
        if (found := _nearly_all_named(place, file, some)) is None:
            return None
    return found


def is_list(place: Place, file: Path) -> bool:
    """Whether a text is a list of recordings and what is said in each."""
    return _list_of(place, file) is not None


def _nearly_all_named(place: Place, file: Path, some: list[str]) -> _List | None:
    if len(some) < _FEWEST:
        return None
    names: set[str] = set()
    words, unnamed = 0, 0
    for line in some:
        name, said = _named(line, place, file.parent)
        if name is None:
            unnamed += 1
            if unnamed > (1 - _MOST) * len(some):
                return None
        elif name in names:
            return None
        else:
            names.add(name)
            words += sum(any(map(str.isalpha, word)) for word in said.split())
    is_list = len(names) >= _FEWEST and words >= _MOST * len(names)
    return _List(file, frozenset(names), words / len(names)) if is_list else None


def _named(line: str, place: Place, folder: Path) -> tuple[str | None, str]:
    """The recording that a line begins with, and what stands behind it."""
    for pattern in _NAMED:
        if (found := pattern.match(line.strip())) is None:
            continue
        if not (set("/\\") & {*found[1]} or place.finder.may_be(found[1])):
            continue
        try:
            place.finder.find(found[1], folder)
        except NotFoundError:
            continue
        return found[1], found[2]
    return None, line.strip()


def _listed(place: Place, file: Path) -> Iterator[Found]:
    for number, line in enumerate(lines_of(read_text(file).text), start=1):
        if not line.strip():
            continue
        where = f"{place.name_of(file)}:{number}"
        named, said = _named(line, place, file.parent)
        if named is None:
            yield left_out(where, said[:60], NO_AUDIO, "begins with the name of no recording")
            continue

        def make(path: Path, clip: str, where=where, said=said) -> SourceRow:
            return SourceRow(where, said, path, clip)

        yield file_row(place, file.parent, named, said, where, make)


VOXFORGE = Format("voxforge", "VoxForge", "etc/PROMPTS and a folder wav/", _voxforge)
LIBRISPEECH = Format("librispeech", "LibriSpeech", "*.trans.txt beside the clips", _librispeech)
LIST = Format(
    "list", "list", "lines of a recording's name and what is said in it",
    _list_folder, _list_file, _LISTS,
)  # fmt: skip
