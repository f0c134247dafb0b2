"""A data set made of sources: `manifest.jsonl`, audio, `import.json`, and what was left out."""

from __future__ import annotations

import importlib.metadata
import itertools
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from moontune.data.manifest import Dropped, Utterance, write_manifest
from moontune.data.sources.numbered_speakers import is_part, without_numbered
from moontune.data.speakers import spelt_alike
from moontune.errors import UserError
from moontune.importing.audio_files import AudioFinder, is_audio
from moontune.importing.clips import Names, Numbered, Placed, copied, linked, to_copy, whole
from moontune.importing.formats import pairs
from moontune.importing.named_clips import NamedClips
from moontune.importing.recognise import format_named, recognise, summary_of
from moontune.importing.text_files import old_encodings
from moontune.importing.timed.beside import KINDS, MANY, is_script, kind_of
from moontune.importing.timed.cutting import is_given_for, of_recording
from moontune.importing.unpacking import is_archive, unpack
from moontune.importing.values import (
    BAD_ROW,
    TWICE,
    DamagedSourceError,
    Ear,
    Place,
    Recognised,
    SourceRow,
    left_out,
)
from moontune.languages.letters import guessed, looks_like, unlike
from moontune.languages.table import ENGLISH, current
from moontune.models.locate import run_flags
from moontune.system.files import read_json, remove_folder, write_json, write_jsonl
from moontune.system.formatting import agreeing, counted
from moontune.system.progress import Progress, no_progress

MANIFEST, RECORD, LEFT_OUT, AUDIO = "manifest.jsonl", "import.json", "left_out.jsonl", "audio"
_LONGEST_TEXT = 20_000  # characters, as in a manifest
_UNPACKED = ".unpacked"
_HOW_TO_TELL = "a guess: `moontune import --encoding NAME` says another"
# What names its speakers for one recording; tables and corpora name them for all of theirs.
_OF_ONE = frozenset(kind.name for kind in KINDS if kind not in MANY)


@dataclass(frozen=True)
class Request:
    """What is to be imported, and how."""

    sources: tuple[Path, ...]
    link: bool = False  # to the user's files, where there are any
    format: str | None = None
    keep_going: bool = False  # past what is damaged
    longest_s: float = 15.0  # of a clip cut out of a longer recording
    model_id: str | None = None  # the base that was asked for
    language: str | None = None  # a code, where one was asked for
    encoding: str | None = None  # of text that is no Unicode; None: it is guessed


@dataclass(frozen=True)
class ImportedSource:
    """A source, what it was taken for, and what became of its rows."""

    source: str  # as it was named
    path: str  # the whole of it
    recognised: str  # in words
    formats: tuple[str, ...]
    taken_for: tuple[str, ...]
    taken: int
    left_out: dict[str, int]  # by reason
    damaged: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """`clips: Common Voice; 40 clips, 2 left out (no audio 1, no text 1)`."""
        text = f"{self.source}: {self.recognised}; {counted(self.taken, 'clip')}"
        if total := sum(self.left_out.values()):
            text += f", {total:,} left out ({by_reason(self.left_out)})"
        return text

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ImportedSource:
        lists = {name: tuple(row[name]) for name in ("formats", "taken_for", "damaged")}
        return cls(**{**row, **lists})


@dataclass(frozen=True)
class Imported:
    """A data set that was made."""

    sources: tuple[ImportedSource, ...]
    utterances: int
    seconds: float
    speakers: int
    linked: bool
    left_out: dict[str, int] = field(default_factory=dict)
    moontune: str = ""
    model_id: str | None = None
    language: str = ENGLISH.code  # asked for, else by the letters of the texts

    def lines(self, folder: Path) -> list[str]:
        """What is in the data set's folder, what was left out, and what to do with it, in words."""
        spoken = f", of {counted(self.speakers, 'named speaker')}" if self.speakers else ""
        minutes = f"{self.seconds / 60:.1f} min" if self.seconds >= 60 else f"{self.seconds:.1f} s"
        lines = [f"written: {folder}, {counted(self.utterances, 'clip')}, {minutes}{spoken}"]
        if self.left_out:
            total = sum(self.left_out.values())
            lines.append(
                f"left out: {counted(total, 'row')} ({by_reason(self.left_out)}), each with its "
                f"reason in {folder / LEFT_OUT}"
            )
        damaged = [text for source in self.sources for text in source.damaged]
        lines += [f"not read to its end: {text}" for text in damaged]
        flags = run_flags(self.model_id, self.language)
        words = ["moontune", "run", "--manifest", str(folder / MANIFEST), *flags]
        return [*lines, f"next: {shlex.join(words)} --run-name my-voice"]

    @classmethod
    def read(cls, folder: Path) -> Imported:
        """Of a data set's folder. Raises UserError."""
        row = read_json(folder / RECORD, "import it again")
        sources = tuple(ImportedSource.from_json(source) for source in row["sources"])
        return cls(**{**row, "sources": sources})


def by_reason(counts: dict[str, int]) -> str:
    """`no audio 3, no text 1`, the most first."""
    return ", ".join(f"{name} {n:,}" for name, n in Counter(counts).most_common())


def make_data_set(
    request: Request,
    folder: Path,
    tell: Callable[[str], object] = lambda text: None,
    progress: Progress = no_progress,
    ear: Ear | None = None,
) -> Imported:
    """Fill an empty folder. `tell` is given a line for each source and for what it was taken for.
    `ear` is for scripts without times; without it recordings with such are left out.

    Raises UserError where a source is nothing, is damaged and there is no `keep_going`, or has no
    row that can be used.
    """
    made = _Made(request, folder, tell, progress, ear)
    for source, script in _with_scripts(request.sources):
        made.add(source, script)
    return made.finish()


def _with_scripts(sources: Sequence[Path]) -> Iterator[tuple[Path, Path | None]]:
    """Sources; a recording and the text that is given after it, and is of no other, are one."""
    rest = list(sources)
    while rest:
        source = rest.pop(0)
        named = bool(rest) and source.is_file() and is_audio(source) and rest[0].is_file()
        alone = len(sources) == 2
        mine = named and (is_script(rest[0]) or is_given_for(rest[0], source, alone=alone))
        script = rest[0] if mine else None
        rest = rest[1:] if script else rest
        yield source, script


def _remarks(encodings: Mapping[Path, str]) -> list[str]:
    """How text files are encoded that are not in UTF-8, each encoding with a file of it."""
    counts = Counter(encodings.values())
    first: dict[str, str] = {}
    for path, remark in encodings.items():
        first.setdefault(remark, path.name)
    return [
        f"{remark} in {first[remark]}" + (f" and {n - 1} more" if n > 1 else "")
        for remark, n in counts.items()
    ]


class _Made:
    """A data set while it is made."""

    def __init__(
        self,
        request: Request,
        folder: Path,
        tell: Callable[[str], object],
        progress: Progress,
        ear: Ear | None,
    ) -> None:
        # Absolute, so that the manifest's paths can be written from its own place.
        self._request, self._folder, self._tell = request, folder.resolve(), tell
        self._progress, self._ear = progress, ear
        self._names = Names()
        self._number = 0
        self._taken: list[Utterance] = []
        self._left: list[Dropped] = []
        self._sources: list[ImportedSource] = []
        self._only = None if request.format is None else format_named(request.format)
        self._of_one: set[str] = set()  # ids of clips whose speakers are named for one recording
        self._named_clips = NamedClips()
        self._mixed: list[str] = []  # recordings of the source at hand with a person a channel

    def add(self, source: Path, script: Path | None = None) -> None:
        """The rows of one source, or of a recording and its script. Raises UserError."""
        with old_encodings(self._request.encoding) as encodings:
            self._add(source, script, encodings)

    def _add(self, source: Path, script: Path | None, encodings: Mapping[Path, str]) -> None:
        damaged: list[str] = []
        archive = is_archive(source)
        place = self._unpacked(source, damaged) if archive else source
        try:
            found = self._recognised(place, script, confined=archive)
        except DamagedSourceError as error:
            self._bear(error, damaged)
            found = []
        taken_for = tuple(dict.fromkeys(text for one in found for text in one.taken_for))
        recognised = summary_of(found) or "damaged"
        self._tell(f"{source}: taken for {recognised}")
        if taken_for:
            self._tell(f"  {', '.join(taken_for)}")
        self._mixed = []
        placed = self._placed(source, found, damaged, link=self._request.link and not archive)
        after = [text for one in found for text in one.told_after()]
        after += _remarks({f: told for f, told in encodings.items() if told not in taken_for})
        if encodings and self._request.encoding is None:
            after.append(_HOW_TO_TELL)
        if self._mixed:
            after.append(
                f"two people are mixed in {counted(len(self._mixed), 'stereo recording')}, e.g. "
                f"{self._mixed[0]}: a column `channel` (left or right) picks one"
            )
        if after := tuple(dict.fromkeys(after)):
            self._tell(f"  {', '.join(after)}")
            taken_for += after
        placed.sort(key=lambda one: one[0])
        taken = [one for _, one in placed if isinstance(one, Utterance)]
        left = [one for _, one in placed if isinstance(one, Dropped)]
        if archive:
            remove_folder(place)
        self._taken += taken
        self._left += left
        formats = tuple(dict.fromkeys(one.format for one in found))
        reasons = dict(Counter(one.reason for one in left).most_common())
        self._sources.append(
            ImportedSource(
                str(source),
                str(source.absolute()),
                recognised,
                formats,
                taken_for,
                len(taken),
                reasons,
                tuple(damaged),
            )
        )

    def _recognised(self, place: Path, script: Path | None, *, confined: bool) -> list[Recognised]:
        longest_s, spoken = self._request.longest_s, self._request.language
        if script is None:
            return recognise(
                place, longest_s, self._only, confined=confined, ear=self._ear, language=spoken
            )
        finder = AudioFinder(place.parent)
        at = Place(script, script.parent, finder, longest_s, self._ear, spoken)
        kind = kind_of(script)
        return [pairs.pair(at, place) if kind is None else of_recording(kind, at, place)]

    def _unpacked(self, archive: Path, damaged: list[str]) -> Path:
        folder = self._folder / f"{_UNPACKED}-{len(self._sources)}"  # its clips are no other's
        folder.mkdir()
        try:
            unpack(archive, folder)
        except DamagedSourceError as error:
            self._bear(error, damaged)
        return folder

    def _bear(self, error: DamagedSourceError, damaged: list[str]) -> None:
        """Raises the error, unless the import shall go on past it."""
        if not self._request.keep_going:
            remedy = "moontune import --keep-going takes what can be read"
            raise UserError(f"{error}; {remedy}") from None
        damaged.append(str(error))
        self._tell(f"damaged: {error}")

    def _placed(
        self, source: Path, found: Sequence[Recognised], damaged: list[str], *, link: bool
    ) -> list[Placed]:
        """Utterances, and what is left out, each with its number."""
        placed: list[Placed] = []
        files: list[Numbered] = []
        for one in self._rows(source, found, damaged):
            if not isinstance(one, Numbered):
                placed.append(one)
            elif isinstance(one.row.audio, bytes):  # not kept in memory
                placed.append(whole(one, self._folder / AUDIO, self._mixed.append))
            else:
                files.append(one)
        copies = to_copy(files) if link else files
        if link and copies:
            whose = ", ".join(sorted({Path(str(one.row.audio)).name for one in copies})[:3])
            self._tell(f"  copied, as it cannot be read from its middle: {whose}")
        held = {one.number for one in copies}
        links = linked(one for one in files if one.number not in held)
        made = itertools.chain(links, copied(copies, self._folder / AUDIO, self._mixed.append))
        for done, one in enumerate(made, start=1):
            placed.append(one)
            self._progress(done, len(files), "clips")
        return placed

    def _rows(
        self, source: Path, found: Sequence[Recognised], damaged: list[str]
    ) -> Iterator[Numbered | Placed]:
        """Rows with their clips' names, each once, and what the source itself leaves out."""
        for taken_as, part in ((one, part) for one in found for part in one.parts):
            of_one = taken_as.of_one or taken_as.format in _OF_ONE
            rows = part()
            while True:
                try:
                    row = next(rows, None)
                except DamagedSourceError as error:
                    self._bear(error, damaged)
                    break
                if row is None:
                    break
                self._number += 1
                checked = self._checked(self._named(source, row))
                if isinstance(checked, Numbered) and (of_one or is_part(checked.row.speaker)):
                    self._of_one.add(checked.name)
                yield checked

    def _named(self, source: Path, row: SourceRow | Dropped) -> SourceRow | Dropped:
        """With its source's name before the place, where there are several sources."""
        if len(self._request.sources) == 1 or source.is_file():
            return row
        return replace(row, where=f"{source.name}/{row.where}")

    def _checked(self, row: SourceRow | Dropped) -> Numbered | Placed:
        number = self._number
        if isinstance(row, Dropped):
            return number, row
        text = " ".join(row.text.split())
        if len(text) > _LONGEST_TEXT:
            detail = f"text has {len(text)} characters, at most {_LONGEST_TEXT}"
            return number, left_out(row.where, row.name, BAD_ROW, detail)
        if (known := self._named_clips.before(row, text)) is not None:
            return number, left_out(row.where, row.name, TWICE, f"as {known}")
        return Numbered(number, replace(row, text=text), self._names.new(row.name))

    def finish(self) -> Imported:
        """Write the manifest, what was left out, and last the record. Raises UserError."""
        if not self._taken:
            raise UserError(self._nothing())
        self._taken, numbered = without_numbered(self._taken, self._of_one)
        self._taken, alike = spelt_alike(self._taken)
        several = self._named_clips.in_words(u.where for u in self._taken)
        for line in filter(None, (numbered, alike, several)):
            self._tell(line)
            *rest, last = self._sources  # kept in the record, for a run that imports on its way
            self._sources = [*rest, replace(last, taken_for=(*last.taken_for, line))]
        write_manifest(self._folder / MANIFEST, self._taken, keep_where=True)
        write_jsonl(self._folder / LEFT_OUT, [asdict(one) for one in self._left])
        reasons = dict(Counter(one.reason for one in self._left).most_common())
        made = Imported(
            tuple(self._sources),
            len(self._taken),
            round(sum(u.duration or 0.0 for u in self._taken), 3),
            len({u.speaker for u in self._taken if u.speaker}),
            self._request.link,
            reasons,
            importlib.metadata.version("moontune"),
            self._request.model_id,
            self._request.language or self._language(),
        )
        write_json(self._folder / RECORD, asdict(made))
        return made

    def _language(self) -> str:
        """Code of the language that the texts look like, which is told where it is a guess."""
        texts = [u.text for u in self._taken]
        found = looks_like(texts)
        if found is None or found == current():
            for line in filter(None, [unlike(texts)]):
                self._tell(line)
            return current().code
        self._tell(guessed("the texts", found))
        return found.code

    def _nothing(self) -> str:
        source = self._sources[0]
        if not self._left and source.damaged:
            return f"{source.damaged[0]}; nothing could be read before that"
        if not self._left:
            return f"{source.source}: {source.recognised}, and it has no rows; give another"
        reasons = Counter(one.reason for one in self._left)
        usual = reasons.most_common(1)[0][0]
        first = next(one for one in self._left if one.reason == usual)
        none = agreeing(
            len(self._left), "the 1 row is not", f"none of the {len(self._left):,} rows is"
        )
        counts = f" ({by_reason(reasons)})" if len(reasons) > 1 else ""
        return (
            f"{source.source}: {source.recognised}, and {none} usable{counts}: {first.where}: "
            f"{first.reason}: {first.detail}; mend that and import it again"
        )
