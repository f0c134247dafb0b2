"""Which file beside a recording says what is said in it."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moontune.data.manifest import Dropped
from moontune.importing.audio_files import is_audio, is_hidden
from moontune.importing.text_files import MARKDOWN, WORD
from moontune.importing.timed.captions import TimedKind
from moontune.importing.timed.elan import EAF
from moontune.importing.timed.labels import LABELS
from moontune.importing.timed.nist import CTM, STM
from moontune.importing.timed.subtitles import SRT, VTT
from moontune.importing.timed.textgrid import TEXTGRID
from moontune.importing.timed.whisper_json import WHISPER
from moontune.importing.timed.whisper_tsv import WHISPER_TSV
from moontune.importing.values import ANOTHER_TEXT, NO_TEXT, Place, left_out

# Of several beside one recording the first is taken: what people made before what programs did,
# and what has finer times before what has coarser.
KINDS: tuple[TimedKind, ...] = (EAF, TEXTGRID, WHISPER, WHISPER_TSV, VTT, SRT, STM, CTM, LABELS)
_MANY = (STM, CTM)  # of several recordings, which they name
PLAIN = (".lab", ".txt", *MARKDOWN, *WORD)  # the first of several is taken
_LANGUAGE = re.compile(r"\.[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?$")


@dataclass(frozen=True)
class Beside:
    """The files of a folder that say what is said in its recordings."""

    timed: tuple[tuple[TimedKind, Path], ...]
    plain: tuple[tuple[Path, Path], ...]  # recordings, and texts of all that is said in each
    passed_over: tuple[tuple[Path, Path], ...]  # others, and those of the same recordings taken
    alone: tuple[Path, ...]  # recordings without any

    @property
    def teller(self) -> TimedKind | None:
        """The kind that tells what of the folder is left out; None: plain texts do."""
        return min((kind for kind, _ in self.timed), key=KINDS.index, default=None)

    def left_out(self, place: Place) -> Iterator[Dropped]:
        """What of the folder is not taken."""
        for other, taken in self.passed_over:
            detail = f"{taken.name} has what is said in the same recording"
            yield left_out(place.name_of(other), other.name, ANOTHER_TEXT, detail)
        for recording in self.alone if not self._many else ():
            name = place.name_of(recording)
            yield left_out(name, name, NO_TEXT, "no text is beside it")

    @property
    def _many(self) -> bool:
        """Whether a file of several recordings, which may be any, is among the timed."""
        return any(kind in _MANY for kind, _ in self.timed)


def kind_of(path: Path) -> TimedKind | None:
    """The kind of a file with timed texts; None where it is none."""
    for kind in KINDS:
        if path.suffix.lower() in kind.suffixes and kind.is_one(path):
            return kind
    return None


def is_script(path: Path) -> bool:
    """Whether a file may be the text of all that is said in a recording."""
    return path.suffix.lower() in PLAIN and kind_of(path) is None


def beside(folder: Path) -> Beside:
    """What stands beside the recordings of a folder, one file for each recording."""
    with os.scandir(folder) as entries:
        files = sorted(Path(e.path) for e in entries if e.is_file() and not is_hidden(e.name))
    audio = {stem: f for f in files if is_audio(f) for stem in (f.name.lower(), f.stem.lower())}
    of_recording: dict[Path, list[tuple[TimedKind | None, Path]]] = defaultdict(list)
    many: list[tuple[TimedKind, Path]] = []
    for file in files:
        if (recording := _recording_of(file, audio)) is not None:
            kind = kind_of(file)
            if kind is not None or file.suffix.lower() in PLAIN:
                of_recording[recording].append((kind, file))
        elif (kind := _of_many(file)) is not None:
            many.append((kind, file))
    timed, plain, over = [*many], [], []
    for recording, found in of_recording.items():
        found.sort(key=_rank)
        (kind, file), *rest = found
        over += [(other, file) for _, other in rest]
        if kind is None:
            plain.append((recording, file))
        else:
            timed.append((kind, file))
    alone = tuple(file for file in files if is_audio(file) and file not in of_recording)
    return Beside(tuple(timed), tuple(plain), tuple(over), alone)


def _rank(found: tuple[TimedKind | None, Path]) -> int:
    kind, file = found
    return KINDS.index(kind) if kind else len(KINDS) + PLAIN.index(file.suffix.lower())


def _of_many(file: Path) -> TimedKind | None:
    return next((kind for kind in _MANY if file.suffix.lower() in kind.suffixes), None)


def stems(file: Path) -> list[str]:
    """The names that the recording of a file may have: of `a.en.srt`, a.en and a."""
    stem = file.stem.lower()
    return list(dict.fromkeys([stem, _LANGUAGE.sub("", stem)]))


def _recording_of(file: Path, audio: dict[str, Path]) -> Path | None:
    if is_audio(file):
        return None
    return next((audio[stem] for stem in stems(file) if stem in audio), None)
