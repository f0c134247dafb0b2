"""VoxForge (`etc/PROMPTS`, `wav/`), LibriSpeech (`*.trans.txt` beside the clips) and lists that
people write: a line for each clip, its name and what is said."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.importing.audio_files import NotFoundError, is_audio, is_hidden
from moontune.importing.tables.table_rows import file_row
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.values import (
    NO_AUDIO,
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


def _list_file(place: Place) -> Recognised | None:
    if not _is_list(place, place.path):
        return None
    return Recognised("list", place.path, (partial(_listed, place, place.path),))


def _list_folder(place: Place) -> Recognised | None:
    files = sorted(f for f in place.path.iterdir() if f.suffix.lower() in _LISTS and f.is_file())
    own = {f.stem.lower() for f in place.path.iterdir() if is_audio(f)} if files else set()
    files = [f for f in files if not is_hidden(f.name) and f.stem.lower() not in own]
    files = [file for file in files if _is_list(place, file)]
    if not files:
        return None
    told = (f"text: {', '.join(place.name_of(file) for file in files[:_SHOWN])}",)
    parts = tuple(partial(_listed, place, file) for file in files)
    return Recognised("list", place.path, parts, told, whole=False)


def _is_list(place: Place, file: Path) -> bool:
    """Whether nearly all lines of a text begin with the name of a recording, and no two with the
    same one."""
    if file.stat().st_size > _LARGEST_LIST:
        return False
    lines = [line for line in lines_of(read_text(file).text) if line.strip()]
    for some in (lines[:_FIRST], lines[:_LOOKED_AT]):  # a script is told by a few
        if not _nearly_all_named(place, file.parent, some):
            return False
    return True


def _nearly_all_named(place: Place, folder: Path, some: list[str]) -> bool:
    named = [name for line in some if (name := _named(line, place, folder)[0]) is not None]
    return len(named) == len({*named}) and len(named) >= max(_FEWEST, _MOST * len(some))


def _named(line: str, place: Place, folder: Path) -> tuple[str | None, str]:
    """The recording that a line begins with, and what stands behind it."""
    for pattern in _NAMED:
        if (found := pattern.match(line.strip())) is None:
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
