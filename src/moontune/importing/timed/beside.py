"""Which file beside a recording says what is said in it."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.data.manifest import Dropped
from moontune.importing.audio_files import is_audio, is_hidden
from moontune.importing.text_files import MARKDOWN, WORD
from moontune.importing.timed.captions import TimedKind
from moontune.importing.timed.elan import EAF
from moontune.importing.timed.labels import LABELS
from moontune.importing.timed.nist import CTM, STM
from moontune.importing.timed.otranscribe import OTRANSCRIBE
from moontune.importing.timed.recognisers.kinds import OF_SERVICES, WHISPER
from moontune.importing.timed.recognisers.whisper_tsv import WHISPER_TSV
from moontune.importing.timed.subtitles.sbv import SBV
from moontune.importing.timed.subtitles.srt_vtt import SRT, VTT
from moontune.importing.timed.subtitles.substation import SUBSTATION
from moontune.importing.timed.subtitles.ttml import TTML
from moontune.importing.timed.textgrid import TEXTGRID
from moontune.importing.timed.timed_table import TIMED_TABLE
from moontune.importing.values import ANOTHER_TEXT, NO_AUDIO, NO_TEXT, Place, left_out
from moontune.languages.table import is_language

# Of several beside one recording the first is taken: what people made before what programs did,
# and what has finer times before what has coarser. Subtitles beside a service's JSON may be its
# text as somebody corrected it.
KINDS: tuple[TimedKind, ...] = (
    *(EAF, TEXTGRID),
    *(WHISPER, WHISPER_TSV),
    *(VTT, SRT, SUBSTATION, TTML, SBV, TIMED_TABLE),
    *OF_SERVICES,
    *(STM, CTM, LABELS, OTRANSCRIBE),
)
MANY = (STM, CTM)  # of several recordings, which they name
PLAIN = (".lab", ".txt", *MARKDOWN, *WORD)  # the first of several is taken
_LANGUAGE = re.compile(r"\.[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?$")


@dataclass(frozen=True)
class Beside:
    """The files of a folder that say what is said in its recordings."""

    timed: tuple[tuple[TimedKind, Path], ...]
    plain: tuple[tuple[Path, Path], ...]  # recordings, and texts of all that is said in each
    passed_over: tuple[tuple[Path, Path], ...]  # others, and those of the same recordings taken
    alone: tuple[Path, ...]  # recordings without any
    lost: tuple[Path, ...]  # timed texts without a recording

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
        for file in self.lost:
            yield left_out(place.name_of(file), file.name, NO_AUDIO, no_recording_of(file))

    def told(self, asked: str | None) -> tuple[str, ...]:
        """That one recording has texts in several languages, where that is so and nobody asked for
        the one that is taken, by its code."""
        for other, taken in self.passed_over:
            codes = language_of(other), language_of(taken)
            if None not in codes and len({*codes}) > 1 and codes[1] != asked:
                return (f"{taken.name} and not {other.name}, --language CODE says which is spoken",)
        return ()

    @property
    def _many(self) -> bool:
        """Whether a file of several recordings, which may be any, is among the timed."""
        return any(kind in MANY for kind, _ in self.timed)


def kind_of(path: Path) -> TimedKind | None:
    """The kind of a file with timed texts; None where it is none."""
    for kind in KINDS:
        if path.suffix.lower() in kind.suffixes and kind.is_one(path):
            return kind
    return None


def is_script(path: Path) -> bool:
    """Whether a file may be the text of all that is said in a recording."""
    return path.suffix.lower() in PLAIN and kind_of(path) is None


def beside(folder: Path, language: str | None = None) -> Beside:
    """What stands beside the recordings of a folder, one file for each recording: of `a.de.srt` and
    `a.en.srt` the one in a language that was asked for, by its code."""
    with os.scandir(folder) as entries:
        files = sorted(Path(e.path) for e in entries if e.is_file() and not is_hidden(e.name))
    audio = {stem: f for f in files if is_audio(f) for stem in (f.name.lower(), f.stem.lower())}
    recordings = [file for file in files if is_audio(file)]
    of_recording: dict[Path, list[tuple[TimedKind | None, Path]]] = defaultdict(list)
    many: list[tuple[TimedKind, Path]] = []
    lost: list[tuple[TimedKind, Path]] = []
    for file in files:
        if (recording := _recording_of(file, audio)) is not None:
            kind = kind_of(file)
            if kind is not None or file.suffix.lower() in PLAIN:
                of_recording[recording].append((kind, file))
        elif (kind := _of_many(file)) is not None:
            many.append((kind, file))
        elif recordings and not is_audio(file) and (kind := kind_of(file)) is not None:
            lost.append((kind, file))
    apart = len({kind for kind, _ in lost}) == len(lost)
    if len(recordings) == 1 and lost and apart and not (many or of_recording):  # of whatever names
        of_recording[recordings[0]] += lost
        lost = []
    timed, plain, over = [*many], [], []
    for recording, found in of_recording.items():
        found.sort(key=lambda one: _rank(one, language))
        (kind, file), *rest = found
        over += [(other, file) for _, other in rest]
        if kind is None:
            plain.append((recording, file))
        else:
            timed.append((kind, file))
    alone = tuple(file for file in recordings if file not in of_recording)
    return Beside(tuple(timed), tuple(plain), tuple(over), alone, tuple(file for _, file in lost))


def recording_beside(file: Path, named: Sequence[str] = ()) -> Path | None:
    """The recording in a timed text's folder that has its name, or one that is `named` in it; of a
    text that names none the only one there, where none of its name says what is said in it."""
    names = {name.lower() for name in (*named, *stems(file))}
    recordings = [f for f in sorted(file.parent.iterdir()) if is_audio(f) and not is_hidden(f.name)]
    found = [f for f in recordings if names & {f.stem.lower(), f.name.lower()}]
    if not found and not named and len(recordings) == 1:
        there = beside(file.parent)
        texts = (*(one for _, one in there.timed), *(one for one, _ in there.passed_over))
        return recordings[0] if file in texts else None
    return found[0] if found else None


def has_text(recording: Path) -> bool:
    """Whether a text of its own name is beside a recording."""
    there = beside(recording.parent)
    timed = any(has_its_name(file, recording) for _, file in there.timed)
    return timed or any(recording == other for other, _ in there.plain)


def has_its_name(file: Path, recording: Path) -> bool:
    """Whether a text has a recording's name."""
    return bool({recording.stem.lower(), recording.name.lower()} & {*stems(file)})


def no_recording_of(file: Path, named: str | None = None) -> str:
    """What is wrong with a timed text without a recording."""
    return f"no recording {named or file.stem} is beside it, such as {named or file.stem}.wav"


def _rank(found: tuple[TimedKind | None, Path], language: str | None) -> tuple[bool, int]:
    kind, file = found
    other = language is not None and language_of(file) not in (None, language)
    return other, KINDS.index(kind) if kind else len(KINDS) + PLAIN.index(file.suffix.lower())


def language_of(file: Path) -> str | None:
    """The code of a language in a text's name, as in `a.de.srt`; None where there is none."""
    found = _LANGUAGE.search(file.stem)
    code = found[0][1:3].lower() if found else None
    return code if is_language(code) else None


def _of_many(file: Path) -> TimedKind | None:
    return next((kind for kind in MANY if file.suffix.lower() in kind.suffixes), None)


def stems(file: Path) -> list[str]:
    """The names that the recording of a file may have: of `a.en.srt`, a.en and a."""
    stem = file.stem.lower()
    return list(dict.fromkeys([stem, _LANGUAGE.sub("", stem)]))


def _recording_of(file: Path, audio: dict[str, Path]) -> Path | None:
    if is_audio(file):
        return None
    return next((audio[stem] for stem in stems(file) if stem in audio), None)
