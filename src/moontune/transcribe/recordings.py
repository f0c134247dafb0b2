"""The recordings a command line names, and the names of their transcripts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.errors import UserError
from moontune.system.files import is_address, real_path, user_path
from moontune.system.formatting import agreeing

SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".caf", ".w64"),
    *(".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".webm", ".mka", ".mkv", ".amr", ".wma"),
    *(".wave", ".bwf", ".rf64", ".aifc", ".au", ".snd", ".voc", ".sph", ".mp2", ".mpga", ".m4r"),
    *(".m4v", ".3g2", ".qt", ".wmv", ".asf"),
)
_NOT_READ = (
    *(".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".vob", ".flv", ".ac3", ".wv", ".ape", ".tta"),
    *(".spx", ".gsm", ".ra", ".rm", ".dss", ".ds2"),
)


@dataclass(frozen=True)
class Recording:
    shown: str  # as the user would name it
    path: Path | None  # None: standard input
    stem: str  # of its transcripts' files, below the output folder; may hold folders


def find_recordings(named: Sequence[str]) -> list[Recording]:
    """Files as named, and every audio file below folders, in order of name; each once.

    Raises UserError where nothing is named, or an address, or a folder holds no audio.
    """
    if not named:
        raise UserError("names no recording; give files, folders, or - for standard input")
    # By the file itself, None for standard input: the name to show, the path below what was named.
    files: dict[Path | None, tuple[str, Path]] = {}
    for name in named:
        if name == "-":
            files.setdefault(None, ("-", Path("stdin")))
            continue
        if is_address(name):
            raise UserError(f"{name}: is an address; download the recording, and give the file")
        path = user_path(name)
        if not path.is_dir():  # a file that is missing is told when it is read
            files.setdefault(real_path(path), (name, Path(path.name)))
            continue
        for file in _audio_below(path):
            files.setdefault(real_path(file), (str(file), file.relative_to(path)))
    stems = _stems([(full, below) for full, (_, below) in files.items()])
    return [
        Recording(shown, None if full is None else user_path(shown), stem)
        for (full, (shown, _)), stem in zip(files.items(), stems, strict=True)
    ]


def passed_over(named: Sequence[str]) -> str | None:
    """A line on the sound and video files below folders that are of no kind that is read; None
    where there are none."""
    folders = [path for name in named if name != "-" and (path := user_path(name)).is_dir()]
    files = [file for folder in folders for file in _below(folder, _NOT_READ)]
    return f"passed over: {_unread(files)}" if files else None


def _unread(files: Sequence[Path]) -> str:
    are = agreeing(len(files), "1 file that is", f"{len(files):,} files that are")
    return f"{are} not read, as {files[0]}; convert such: ffmpeg -i FILE out.wav"


def _audio_below(folder: Path) -> list[Path]:
    """Raises UserError where there is none."""
    if files := _below(folder, SUFFIXES):
        return files
    if unread := _below(folder, _NOT_READ):
        raise UserError(f"{folder}: holds no audio but {_unread(unread)}")
    raise UserError(f"{folder}: holds no audio ({', '.join(SUFFIXES)}); name another folder")


def _below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _stems(files: Sequence[tuple[Path | None, Path]]) -> list[str]:
    """A name for each, no two alike: its own, else with its folders, else with its suffix too."""
    full = [path for path, _ in files if path is not None]
    common = Path(os.path.commonpath([path.parent for path in full])) if full else Path()
    choices = []
    for path, below in files:
        longer = below if path is None else path.relative_to(common)
        choices.append([str(below.with_suffix("")), str(longer.with_suffix("")), str(longer)])
    chosen = [0] * len(files)
    for level in range(1, 3):
        names = Counter(c[at].casefold() for c, at in zip(choices, chosen, strict=True))
        chosen = [
            level if names[c[at].casefold()] > 1 else at
            for c, at in zip(choices, chosen, strict=True)
        ]
    stems = [c[at] for c, at in zip(choices, chosen, strict=True)]
    alike = [name for name, n in Counter(s.casefold() for s in stems).items() if n > 1]
    if alike:
        raise UserError(f"two recordings would both be named {alike[0]}; transcribe them apart")
    return stems
