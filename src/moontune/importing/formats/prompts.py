"""VoxForge (`etc/PROMPTS`, `wav/`) and LibriSpeech (`*.trans.txt` beside the clips): a line for
each clip, its name and what is said."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.importing.tables.table_rows import file_row
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.values import Format, Found, Place, Recognised, SourceRow

_PROMPTS = ("etc/prompts-original", "etc/PROMPTS")
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


VOXFORGE = Format("voxforge", "VoxForge", "etc/PROMPTS and a folder wav/", _voxforge)
LIBRISPEECH = Format("librispeech", "LibriSpeech", "*.trans.txt beside the clips", _librispeech)
