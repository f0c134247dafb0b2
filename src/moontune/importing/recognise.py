"""What a source is, by what it contains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from moontune.errors import UserError
from moontune.importing.audio_files import AudioFinder, files_below, is_audio, is_hidden
from moontune.importing.formats import (
    common_voice,
    hugging_face,
    kaldi,
    label_studio,
    lhotse,
    ljspeech,
    manifest,
    pairs,
    prompts,
    table,
)
from moontune.importing.timed import cutting
from moontune.importing.timed.beside import beside
from moontune.importing.unknown import in_words, shown_of
from moontune.importing.values import DamagedSourceError, Ear, Format, Place, Recognised, broken
from moontune.system.formatting import counted, did_you_mean

# In this order: what a corpus alone has comes before what any folder may have.
FORMATS: tuple[Format, ...] = (
    hugging_face.SAVED,
    common_voice.FORMAT,
    kaldi.FORMAT,
    hugging_face.AUDIOFOLDER,
    ljspeech.FORMAT,
    prompts.VOXFORGE,
    prompts.LIBRISPEECH,
    lhotse.FORMAT,
    label_studio.FORMAT,
    manifest.FORMAT,
    hugging_face.PARQUET,
    table.FORMAT,
    *cutting.FORMATS,
    prompts.LIST,
    pairs.FORMAT,
)
ORIGIN = "origin.json"  # of a data set that was made on the way to a run
_OURS = ("run.json", ORIGIN)
_DEEPEST = 6  # folders below the source
_MOST_FOLDERS = 200_000
_KINDS_SHOWN, _FILES_SHOWN = 6, 2
_READ = "docs/data.md says what is read"


def format_named(name: str) -> Format:
    """Raises UserError for a name that no format has."""
    for one in FORMATS:
        if one.name == name.lower():
            return one
    names = [one.name for one in FORMATS]
    known = f"one of {', '.join(names)} is meant"
    raise UserError(f"--format {name}: is unknown; {did_you_mean(name, names, known)}")


def recognise(
    source: Path,
    longest_s: float,
    only: Format | None = None,
    *,
    confined: bool = False,
    ear: Ear | None = None,
    language: str | None = None,
) -> list[Recognised]:
    """What a file or folder is, and what is in its folders. Raises UserError where it is nothing.

    `longest_s` is of clips that are cut; `confined`: no file outside of it is opened; `ear` is for
    scripts without times; `language` is the code of what is spoken, where it was asked for.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; check the path")
    if not (source.is_file() or source.is_dir()):
        raise UserError(f"{source}: is a pipe or a device; give a file or a folder")
    formats = FORMATS if only is None else (only,)
    root = source if source.is_dir() else source.parent
    place = Place(source, root, AudioFinder(root, confined=confined), longest_s, ear, language)
    found = [*_in_folders(place, formats)] if source.is_dir() else _of_file(place, formats)
    if not found and source.is_dir():
        trees = (one.of_tree(place) for one in formats if one.of_tree is not None)
        found = [tree for tree in trees if tree is not None]
    if not found:
        raise UserError(_nothing(source, only))
    return found


def _in_folders(place: Place, formats: Sequence[Format]) -> Iterator[Recognised]:
    """A folder's formats, and those of the folders below that none of it has claimed."""
    level, count = [place.path], 0
    for _ in range(_DEEPEST + 1):
        below: list[Path] = []
        for folder in level:
            count += 1
            if count > _MOST_FOLDERS:
                return
            found = _of_folder(place.at(folder), formats)
            yield from found
            if not any(one.whole for one in found):
                below += _folders(folder)
        level = below


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir()
        and not (path.is_symlink() or is_hidden(path.name))
        and not any((path / name).is_file() for name in _OURS)
    )


def _of_folder(place: Place, formats: Sequence[Format]) -> list[Recognised]:
    """The first format that takes all of a folder, else all that take files of it."""
    shared: list[Recognised] = []
    problems: set[str] = set()  # each told once, not by every format that reads the same file
    for one in formats:
        if one.of_folder is None:
            continue
        try:
            found = one.of_folder(place)
        except DamagedSourceError as error:  # told when its rows are read; the others' are there
            if str(error) in problems:
                continue
            problems.add(str(error))
            found = Recognised(one.name, place.path, (partial(broken, error),), whole=False)
        if found is not None:
            if found.whole:
                return [found]
            shared.append(found)
    return shared


def _of_file(place: Place, formats: Sequence[Format]) -> list[Recognised]:
    path = place.path
    if is_audio(path):  # what is beside it says what is said in it
        mine = {path.stem.lower(), path.name.lower()}
        there = beside(path.parent, place.language)
        texts = [file for _, file in there.timed if _stem_in(file, mine)]
        texts += [file for recording, file in there.plain if recording == path]
        return [found for file in texts for found in _of_file(place.at(file), formats)]
    for one in formats:
        named = not one.suffixes or path.name.lower().endswith(one.suffixes)
        if named and one.of_file is not None and (found := one.of_file(place)) is not None:
            return [found]
    return []


def _stem_in(file: Path, stems: set[str]) -> bool:
    return any(stem in stems for stem in (file.stem.lower(), Path(file.stem).stem.lower()))


def _nothing(source: Path, only: Format | None) -> str:
    """Why nothing was recognised: what was looked for, and what is there."""
    if only is not None:
        return f"{source}: is no {only.title}, which has {only.sign}; leave out --format"
    if source.is_file():
        if is_audio(source):
            return f"{source}: no text is beside it, such as {source.stem}.srt or {source.stem}.txt"
        return f"{source}: is nothing that is known: {in_words(source) or _READ}"
    kinds = Counter(path.suffix.lower() or "no suffix" for path in files_below(source))
    there = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common(_KINDS_SHOWN)) or "no files"
    audio = sum(n for kind, n in kinds.items() if is_audio(Path(f"a{kind}")))
    if audio and audio == kinds.total():
        why = f"a text for each is missing, such as NAME.srt or NAME.txt; {_READ}"
    else:
        why = "; ".join(shown_of(files_below(source), _FILES_SHOWN)) or _READ
    return f"{source}: nothing in it is known; found {there}: {why}"


def summary_of(found: Sequence[Recognised]) -> str:
    """`Common Voice`, `3 folders of VoxForge`: what was recognised, in words."""
    titles = {one.name: one.title for one in FORMATS}
    counts = Counter(one.format for one in found)
    return " and ".join(
        titles[name] if n == 1 else f"{titles[name]} in {counted(n, 'folder')}"
        for name, n in counts.items()
    )
