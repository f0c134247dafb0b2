"""The base's transcripts of a run's utterances, and how their texts fit, each computed once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
from moontune.data.manifest import Utterance
from moontune.evaluation.screening.suspects import Fit
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.run_folder.files import BASE_WORDS, REVERSED
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.device import training_dtype
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import json_line, write_json
from moontune.system.progress import Ui

if TYPE_CHECKING:
    import torch

    from moontune.models.base_model import Base
    from moontune.models.decoding import Transcript
    from moontune.models.transcriber import Transcriber


_LEFT = ".base-transcripts-"  # how names of files begin that an interruption leaves


def dtype_of(base: Base, config: RunConfig) -> torch.dtype:
    """The type that training computes in."""
    import torch

    return getattr(torch, training_dtype(base.device, config.train.dtype))


@dataclass
class BaseCache:
    """Transcripts, forwards and backwards, and fits under the base, the same in every fold.

    With a `folder` they are written there as they come, so that what was interrupted does not begin
    anew; each process has a file of its own, and reads all. Of a group's the main process alone
    writes what it did itself.
    """

    transcripts: dict[Path | AudioPart, str] = field(default_factory=dict)
    backwards: dict[Path | AudioPart, str | None] = field(default_factory=dict)  # None: no end
    fits: dict[tuple[Path | AudioPart, str], Fit] = field(default_factory=dict)  # audio and text
    folder: Path | None = None
    _is_open: bool = False
    _file: Path | None = None  # this process's own

    def begin(self, key: str, group: ProcessGroup) -> None:
        """Take up what earlier processes left, of the same base and the same rules (`key`)."""
        if self._is_open:
            return
        self._is_open = True
        for row in group.on_main(lambda: list(self._left(key))):
            with suppress(TypeError, KeyError, ValueError):  # as of a damaged disk
                self._take(row)
        if self.folder is not None and group.is_main:
            self._file = self.folder / f"{_LEFT}{os.getpid()}.jsonl"
            # An earlier process of this number may have left a line without its end.
            self._write([{}, {"key": key}])

    def was_left(self) -> bool:
        """Whether there is something to take up."""
        return not self._is_open and bool(self._files())

    def keep_transcripts(self, utterances: Sequence[Utterance], texts: Sequence[str]) -> None:
        pairs = list(zip((u.audio for u in utterances), texts, strict=True))
        self.transcripts.update(pairs)
        self._write({"audio": _row_of(audio), "text": text} for audio, text in pairs)

    def keep_backwards(self, utterances: Sequence[Utterance], texts: Sequence[str | None]) -> None:
        pairs = list(zip((u.audio for u in utterances), texts, strict=True))
        self.backwards.update(pairs)
        self._write({"audio": _row_of(audio), "backwards": text} for audio, text in pairs)

    def known_fit(self, u: Utterance) -> Fit | None:
        return self.fits.get((u.audio, u.text))

    def keep_fits(self, utterances: Sequence[Utterance], fits: Sequence[Fit]) -> None:
        pairs = list(zip(utterances, fits, strict=True))
        self.fits.update(((u.audio, u.text), fit) for u, fit in pairs)
        self._write(
            {"audio": _row_of(u.audio), "text": u.text, "fit": [fit.own, fit.others]}
            for u, fit in pairs
        )

    def discard(self) -> None:
        """Take away what was written: it is in the run's own files now."""
        self._file = None
        for file in self._files():
            with suppress(OSError):
                file.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_LEFT}*.jsonl")) if self.folder else []

    def _left(self, key: str) -> Iterator[dict[str, Any]]:
        """What whole lines say; those of another key are left out."""
        for file in self._files():
            alike = False
            with suppress(OSError):
                for line in file.read_bytes().split(b"\n")[:-1]:
                    with suppress(ValueError, TypeError):  # as of a damaged disk
                        row = json.loads(line)
                        if "key" in row:
                            alike = row["key"] == key
                        elif alike and row:
                            yield row

    def _take(self, row: Mapping[str, Any]) -> None:
        audio = _audio_of(row["audio"])
        if "fit" in row:
            own, others = row["fit"]
            self.fits[audio, row["text"]] = Fit(own, tuple(others))
        elif "backwards" in row:
            self.backwards[audio] = row["backwards"]
        else:
            self.transcripts[audio] = row["text"]

    def _write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        if self._file is None:
            return
        with suppress(OSError), open(self._file, "ab") as file:  # it is to save time, no more
            file.writelines(json_line(row) + b"\n" for row in rows)


def _row_of(audio: Path | AudioPart) -> list[Any]:
    if isinstance(audio, Path):
        return [str(audio)]
    return [str(audio.path), audio.offset, audio.seconds, audio.channel]


def _audio_of(row: list[Any]) -> Path | AudioPart:
    path, *part = row
    return AudioPart(Path(path), *part) if part else Path(path)


class BaseTranscripts:
    """The base's transcripts of utterances; the base is loaded once one of them is not known."""

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        ui: Ui,
        group: ProcessGroup = SINGLE,
        cache: BaseCache | None = None,
    ) -> None:
        """`cache` gets what is new."""
        self._run, self._config, self._ui, self._group = run, config, ui, group
        self._cache = cache or BaseCache(folder=run.path)
        self._is_own = cache is None
        self._by_id: dict[str, str] = {}
        self._backwards_by_id: dict[str, str | None] = {}
        self._base: Base | None = None
        self._transcriber: Transcriber | None = None
        self.base_facts: dict[str, Any] = {}  # of the base and its device, once it is loaded

    def __call__(self, utterances: Sequence[Utterance]) -> dict[str, str]:
        """Transcripts by the utterances' ids."""
        if self._group.on_main(self._cache.was_left):
            self._begin()
        cache = self._cache.transcripts
        new = [u for u in utterances if u.audio not in cache]
        if new:
            self._transcribe(new)
        texts = {u.id: cache[u.audio] for u in utterances}
        self._by_id = texts | self._by_id  # the run's own first, then general speech
        return texts

    def backwards(self, utterances: Sequence[Utterance]) -> None:
        """Have the base hear these backwards, for the training to come."""
        from moontune.training.reversed_clips import base_transcripts_reversed

        if self._group.on_main(self._cache.was_left):
            self._begin()
        cache = self._cache.backwards
        new = [u for u in utterances if u.audio not in cache]
        if new:
            self._begin()
            cap, step = self._config.eval.token_cap, self._ui.progress
            keep = self._cache.keep_backwards
            found = base_transcripts_reversed(self.base(), new, cap, self._group, step, keep=keep)
            cache.update((u.audio, found[u.id]) for u in new)
        self._backwards_by_id |= {u.id: cache[u.audio] for u in utterances}

    def fits(self, utterances: Sequence[Utterance]) -> list[Fit]:
        """Fits of texts to their audio, in the base's own way of writing and so alike for every
        split. `utterances` are to be all that the run has: they are tried with each other."""
        from moontune.evaluation.screening.transcript_fit import transcript_fits
        from moontune.evaluation.typography import reference_in_style_of
        from moontune.models.transcriber import load_audio

        cache, written = self._cache.fits, self(utterances)
        if any((u.audio, u.text) not in cache for u in utterances):
            plain = [
                replace(u, target=reference_in_style_of(u.text, written[u.id])) for u in utterances
            ]
            # in one order, whatever the split: which clips are tried together depends on it
            plain.sort(key=lambda u: (str(u.audio), u.text))
            self._begin()
            fits = transcript_fits(
                self.base(),
                plain,
                load_audio,
                self.dtype,
                self._group,
                self._ui.progress,
                store=self._cache,
            )
            cache.update({(u.audio, u.text): fit for u, fit in zip(plain, fits, strict=True)})
        return [cache[u.audio, u.text] for u in utterances]

    @property
    def dtype(self) -> torch.dtype:
        """The type that texts are held against audio in, and that training computes in."""
        return dtype_of(self.base(), self._config)

    def _transcribe(self, utterances: Sequence[Utterance]) -> None:
        from moontune.models.transcriber import Transcriber, transcripts_of

        if self._transcriber is None:
            self._transcriber = Transcriber(self.base())

        def step(done: int, total: int) -> None:
            self._ui.progress(done, total, "clips transcribed by the base")

        def keep(some: Sequence[Utterance], transcripts: Sequence[Transcript]) -> None:
            self._cache.keep_transcripts(some, [t.text for t in transcripts])

        self._begin()
        cap = self._config.eval.token_cap
        found = transcripts_of(self._transcriber, utterances, cap, self._group, step, keep=keep)
        for u, transcript in zip(utterances, found, strict=True):
            self._cache.transcripts[u.audio] = transcript.text

    def _begin(self) -> None:
        """Take up what was left by an interruption, if it is of this base, these clips and these
        settings."""
        of_clips = self._group.on_main(self._clips_hash)
        sections = (self._config.eval.token_cap, self._config.language, self.dtype)
        key = repr((version("moontune"), self.base().origin.sha256, of_clips, *sections))
        self._cache.begin(hashlib.sha256(key.encode()).hexdigest()[:16], self._group)

    def _clips_hash(self) -> str:
        """Of the manifest that the cache is of."""
        whose = RunDir(self._cache.folder or self._run.path)
        return hashlib.sha256(whose.file("manifests/clean.jsonl").read_bytes()).hexdigest()

    def base(self) -> Base:
        """The base of the run, loaded."""
        if self._base is None:
            self._base, self.base_facts = load_base_for(self._run, self._config, self._group)
        return self._base

    def write(self) -> None:
        """Write base_transcripts.json and reversed_transcripts.json, where any were asked for."""
        if self._by_id:
            write_json(self._run / BASE_WORDS, self._by_id)
            cap = asdict(self._config.eval.token_cap)
            row = {"token_cap": cap, "transcripts": self._backwards_by_id}
            write_json(self._run / REVERSED, row)
        if self._is_own:
            self._cache.discard()
