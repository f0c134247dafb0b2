"""The audio file that a table means: by its path, else by its name."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from moontune.system.files import accents_written_alike, is_address
from moontune.transcribe.recordings import SUFFIXES

MOST_FILES = 2_000_000  # of a tree that is searched
_MOST_FOLDERS = 10_000  # whose names are kept
# What Label Studio calls a file that was given to it: eight signs before its own name.
_UPLOADED = re.compile(r".*/upload/(?:\d+/)?[0-9a-f]{8}-([^/]+)")
_FOLDERS = ("", "clips", "wavs", "wav", "audio", "audios", "data", "recordings", "sounds", "flac")


class NotFoundError(ValueError):
    """There is no such audio file; the text says what is there."""


class AudioFinder:
    """Finds the audio files of a source.

    `confined`: nothing outside of the source's folder is opened, as for an archive that somebody
    else packed.
    """

    def __init__(self, root: Path, *, confined: bool = False) -> None:
        self.root = root if root.is_dir() else root.parent
        self.confined = confined
        self._stems: dict[Path, dict[str, list[Path]]] = {}

    def find(self, named: str, folder: Path) -> Path:
        """The file that a table in `folder` names. Raises NotFoundError.

        A path is tried as it is, with `\\` as `/`, in the folders where corpora keep their clips,
        with the suffixes of audio, by the file's name alone, where one file has it and the path's
        folder is none that is here, and last, of a clip that was converted, as what it was
        converted to, and of one that was given to Label Studio by the name that it had.
        """
        named = _without_scheme(named.strip())
        if not named or "\0" in named:
            raise NotFoundError("no path")
        if is_address(named):
            raise NotFoundError(f"{named}: is an address; download it, and name the file")
        for path in self._choices(named, folder):
            if self._is_file(path):
                return path
        here = self._folder_is_here(named.replace("\\", "/"), folder)
        if not here and (path := self._by_name(named)) is not None:
            return path
        if (path := self._converted(named, folder)) is not None:
            return path
        if (found := _UPLOADED.fullmatch(named)) and (path := self._uploaded(found[1])) is not None:
            return path
        raise NotFoundError(f"{named}: no such file")

    def may_be(self, named: str) -> bool:
        """Whether a file of the source is called as a path ends, whatever its suffix is; without a
        look at the disk once all names are known."""
        files = (PurePosixPath(form.replace("\\", "/")) for form in _written(named.strip()))
        bare = (f.stem if f.suffix.lower() in SUFFIXES else f.name for f in files)
        return not self._stems_of_all.isdisjoint(map(_same, bare))

    def _folder_is_here(self, named: str, folder: Path) -> bool:
        """Whether the path's folder is there: what it lacks is then no file of another folder."""
        parts = PurePosixPath(named).parts
        inside = len(parts) > 1 and parts != ("/", parts[-1])
        return inside and any(
            _is_there(path.parent.is_dir) for path in self._choices(named, folder)
        )

    def _converted(self, named: str, folder: Path) -> Path | None:
        """The file that has the path's name but for the suffix, where just one has."""
        if PurePosixPath(named).suffix.lower() not in SUFFIXES:
            return None
        choices = ((path.parent, path.stem) for path in self._choices(named, folder))
        paths = (path for place, stem in choices for path in self._by_stem(place).get(stem, ()))
        found = {path.resolve(): path for path in paths if self._is_file(path)}
        return next(iter(found.values())) if len(found) == 1 else None

    def _by_stem(self, folder: Path) -> dict[str, list[Path]]:
        """The files of audio in a folder by their names without suffix; a folder is read once."""
        if folder not in self._stems:
            if len(self._stems) >= _MOST_FOLDERS:
                self._stems.clear()
            stems = self._stems[folder] = defaultdict(list)
            try:
                names = sorted(os.listdir(folder)) if self._allowed(folder) else []
            except (OSError, ValueError):  # there is none, or none can be
                names = []
            for path in (folder / name for name in names if is_audio(Path(name))):
                stems[path.stem].append(path)
        return self._stems[folder]

    def _choices(self, named: str, folder: Path) -> Iterator[Path]:
        for form in (form for name in _written(named) for form in accents_written_alike(name)):
            form = os.path.expanduser(form)
            places = [folder / sub for sub in _FOLDERS] if not os.path.isabs(form) else [Path("/")]
            for place in dict.fromkeys([*places, self.root]):
                path = Path(os.path.normpath(place / form))
                yield path
                if path.suffix.lower() not in SUFFIXES:
                    yield from (Path(f"{path}{suffix}") for suffix in SUFFIXES)

    def _is_file(self, path: Path) -> bool:
        return _is_there(lambda: self._allowed(path) and path.is_file())

    def _allowed(self, path: Path) -> bool:
        return not self.confined or path.resolve().is_relative_to(self.root.resolve())

    def _by_name(self, named: str) -> Path | None:
        """The file of that name, wherever it is. Raises NotFoundError where several have it."""
        files = [PurePosixPath(form.replace("\\", "/")) for form in _written(named)]
        found = next(filter(None, (self._names.get(_same(file.name)) for file in files)), [])
        if not found:
            bare = {file.name for file in files if file.suffix.lower() not in SUFFIXES}
            whole = {_same(name + suffix) for name in bare for suffix in SUFFIXES}
            found = [path for name in sorted(whole) for path in self._names.get(name, [])]
        if len(found) > 1:
            raise NotFoundError(f"{named}: {len(found)} files have that name")
        return found[0] if found else None

    def _uploaded(self, name: str) -> Path | None:
        """The file that was given to Label Studio, which writes `my file (1).wav` as
        `my_file_1.wav`. Raises NotFoundError where several may be."""
        if (path := self._by_name(name)) is not None:
            return path
        found = self._plain_names.get(_same(name), [])
        if len(found) > 1:
            raise NotFoundError(f"{name}: {len(found)} files may be that")
        return found[0] if found else None

    @cached_property
    def _plain_names(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in (path for files in self._names.values() for path in files):
            plain = re.sub(r"[^-\w.]", "", path.name.strip().replace(" ", "_"))
            names[_same(plain)].append(path)
        return names

    @cached_property
    def _names(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(self.root):
            if path.suffix.lower() in SUFFIXES and self._allowed(path):
                names[_same(path.name)].append(path)
        return names

    @cached_property
    def _stems_of_all(self) -> frozenset[str]:
        return frozenset(_same(f.stem) for files in self._names.values() for f in files)


def _is_there(look: Callable[[], bool]) -> bool:
    """Whether a look at the disk finds it; not under a name that no file can have, such as one of
    a thousand letters."""
    try:
        return look()
    except (OSError, ValueError):
        return False


def _without_scheme(named: str) -> str:
    """A path; of a `file://` address the one that it is of, as it is written there."""
    return re.sub(r"^file://(?:localhost(?=/))?", "", named, flags=re.IGNORECASE)


def _written(named: str) -> list[str]:
    """A path as it is, with `\\` as `/`, and with what an address writes as `%20`; none that no
    file can have."""
    forms = dict.fromkeys([named, named.replace("\\", "/"), unquote(named)])
    return [form for form in forms if "\0" not in form]


def _same(name: str) -> str:
    """What names have in common that differ in case, or in how a Mac writes an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def is_audio(path: Path) -> bool:
    """Whether a file's name is that of audio."""
    return path.suffix.lower() in SUFFIXES


def files_below(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """All files below a folder in order of name, hidden ones and those below `without` left out;
    links are not followed."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not is_hidden(f) and Path(place, f) != without)
        for name in sorted(files):
            count += 1
            if count > MOST_FILES:
                return
            if not is_hidden(name):
                yield Path(place, name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is no part of a data set: hidden, or left by macOS or Office."""
    return name.startswith((".", "~$")) or name == "__MACOSX"
