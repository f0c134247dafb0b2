"""What models hear in the clips, in the background, remembered for the next start."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from moontune.config.schema import Decoding
from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio
from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.languages.words import joined_words
from moontune.models.decoding import length_batches
from moontune.review.clips import Clip
from moontune.review.order import suspicion
from moontune.system.files import json_line, user_path
from moontune.transcribe.long_form import transcribe_long
from moontune.transcribe.recognizer import Recognizer
from moontune.web.model_sources import ModelSource

_TOGETHER = 64  # clips that are read at once
_ONE_BY_ONE = 4
_ON_CPU = 16  # so that nobody waits long for a clip that is looked at
_LONG_S = 30.0  # what is longer is cut at pauses
LONGEST_S = 600.0
_PATIENCE_S = 30.0  # a hub that is asked for a model may take longer


@dataclass(frozen=True)
class Heard:
    """What a model wrote for a clip."""

    name: str  # of the model: "base", "tuned", "model"
    text: str


@dataclass(frozen=True)
class Progress:
    """How far listening is."""

    done: int  # clips that all models heard
    clips: int
    error: str = ""  # why it ended


class EndedError(Exception):
    """A listener was told to end, and broke off."""


class Listener(Protocol):
    """A model that listens."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str:
        """What its transcripts are remembered under."""
        ...

    @property
    def together(self) -> int:
        """Clips to be given at once."""
        ...

    def __call__(self, clips: Sequence[np.ndarray]) -> list[str]:
        """Transcripts of clips of float32 mono 16 kHz, each (samples,). Raises UserError, and
        EndedError once it was told to end."""
        ...

    def end(self) -> None:
        """Break off as soon as may be."""
        ...


class ModelListener:
    """A model that is loaded once there is something to hear."""

    def __init__(self, source: ModelSource, device: str, decoding: Decoding) -> None:
        self.name, self._source, self._device = source.name, source, device
        self._decoding: Decoding = decoding
        self._model: Recognizer | None = None
        self._ending = False
        named = (source.what, source.revision, source.model_id, decoding, _stamp(source.what))
        self.key = hashlib.sha256(repr(named).encode()).hexdigest()[:16]

    @property
    def together(self) -> int:
        model = self._loaded()
        if model.one_by_one:
            return _ONE_BY_ONE
        return _ON_CPU if model.device == "cpu" else _TOGETHER

    def _loaded(self) -> Recognizer:
        if self._model is None:
            self._model = self._source.load(self._device, self._decoding)
        return self._model

    def __call__(self, clips: Sequence[np.ndarray]) -> list[str]:
        model, texts = self._loaded(), [""] * len(clips)
        lengths = [len(clip) / SAMPLE_RATE_HZ for clip in clips]
        for indices in length_batches(lengths):
            if self._ending:
                raise EndedError
            short = [i for i in indices if lengths[i] <= _LONG_S]
            if short:
                found = model([clips[i] for i in short])
                for i, transcript in zip(short, found, strict=True):
                    texts[i] = transcript.text
            for i in set(indices) - set(short):
                rows = transcribe_long(clips[i], model.transcribe, model.cap)
                texts[i] = joined_words(row.text for row in rows if row.text)
        return texts

    def end(self) -> None:
        self._ending = True


def _stamp(what: str) -> int:
    """When the files of a model's folder last changed; 0 of what is none."""
    folder = user_path(what)
    files = [*folder.glob("*.*"), *folder.glob("*/*.safetensors")] if folder.is_dir() else []
    return max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)


class Remembered:
    """Transcripts of an earlier start, by model and sound; new ones are added to the file."""

    def __init__(self, file: Path, mode: int) -> None:
        """Raises UserError where it cannot be written."""
        self._texts: dict[tuple[str, str], str] = {}
        try:
            with suppress(FileNotFoundError), open(file, "rb") as stream:
                for line in stream:
                    self._read(line)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._file: IO[bytes] = os.fdopen(os.open(file, flags, mode), "ab")
            if self._file.tell():
                self._file.write(b"\n")  # behind what a kill left of a line
        except OSError as error:
            raise UserError(
                f"{file}: cannot be written ({error.strerror}); give --output another folder"
            ) from None

    def _read(self, line: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            row = json.loads(line)
            self._texts[str(row["model"]), str(row["sound"])] = str(row["text"])

    def get(self, model: str, sound: str) -> str | None:
        return self._texts.get((model, sound))

    def add(self, model: str, sound: str, text: str) -> None:
        self._texts[model, sound] = text
        row = {"model": model, "sound": sound, "text": text}
        with suppress(OSError):  # a full disk: it is heard again then
            self._file.write(json_line(row) + b"\n")

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


class Listening:
    """Lets models hear clips one after the other: first those that are wanted, then all in the
    manifest's order, by each model."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        clips: Callable[[], Sequence[Clip]],
        remembered: Remembered,
        known: Mapping[str, str] | None = None,
    ) -> None:
        """`clips` are those that there are now; `known` what the first model wrote, by utterance
        id."""
        self._listeners, self._clips = list(listeners), clips
        self._remembered, self._known = remembered, dict(known or {})
        self._heard: list[dict[str, str]] = [{} for _ in listeners]  # by clip
        self._sounds: dict[str, str] = {}  # by clip
        self.suspicion: dict[str, float] = {}  # by clip, once a model heard it
        self.faults: dict[str, str] = {}  # why a clip cannot be heard
        self._wanted: list[str] = []
        self._error = ""
        self._ending = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin, unless that was done."""
        if self._thread.ident is None:
            self._thread.start()

    def end(self) -> None:
        """End after the batch that is being heard just now, which is waited for: a process that
        ends while a library computes is aborted."""
        with self._news:
            self._ending = True
            self._news.notify()
        for listener in self._listeners:
            listener.end()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)
        self._remembered.flush()

    def want(self, key: str) -> None:
        """Let this clip be heard before others."""
        with self._news:
            self._wanted.append(key)
            self._news.notify()

    def heard(self, key: str) -> list[Heard]:
        """What was heard so far, by model."""
        return [
            Heard(listener.name, texts[key])
            for listener, texts in zip(self._listeners, self._heard, strict=True)
            if key in texts
        ]

    def progress(self) -> Progress:
        keys = [clip.key for clip in self._clips()]
        done = sum(self._is_done(key) for key in keys)
        return Progress(done, len(keys), self._error)

    def _is_done(self, key: str) -> bool:
        return key in self.faults or all(key in texts for texts in self._heard)

    def _work(self) -> None:
        try:
            self._recall()
            while not self._ending:
                if not self._listen():
                    with self._news:
                        if not self._wanted and not self._ending:
                            self._news.wait()
        except EndedError:
            pass
        except UserError as error:  # on the page: a whole model is --model-id here
            self._error = str(error).replace("--model ", "--model-id ")
        except Exception as error:  # no memory, say: the page goes on without
            self._error = f"the models stopped listening ({error!r:.200})"

    def _recall(self) -> None:
        """What is known from an earlier start, or from a run."""
        for clip in self._clips():
            for which in range(len(self._listeners)):
                self._recall_one(clip, which)

    def _recall_one(self, clip: Clip, which: int) -> None:
        text = self._known.get(clip.utterance.id) if which == 0 and "." not in clip.key else None
        if text is None:
            text = self._remembered.get(self._listeners[which].key, self._sound(clip))
        if text is not None:
            self._note(clip, which, text)

    def _sound(self, clip: Clip) -> str:
        if clip.key not in self._sounds:
            self._sounds[clip.key] = sound_key(clip.utterance)
        return self._sounds[clip.key]

    def _note(self, clip: Clip, which: int, text: str) -> None:
        self._heard[which][clip.key] = text
        found = suspicion(clip.text, [h.text for h in self.heard(clip.key)])
        if found is not None:
            self.suspicion[clip.key] = found

    def _listen(self) -> bool:
        """Let a model hear some clips; False where all were heard by all."""
        clips = [clip for clip in self._clips() if not self._is_done(clip.key)]
        with self._news:
            left = {clip.key for clip in clips}
            self._wanted = [key for key in self._wanted if key in left]
            wanted = set(self._wanted)
        first = [clip for clip in clips if clip.key in wanted]
        for part in (first, clips):
            for which, listener in enumerate(self._listeners):
                some = [clip for clip in part if clip.key not in self._heard[which]]
                if some:
                    self._hear(some[: listener.together], which)
                    return True
        return False

    def _hear(self, clips: Sequence[Clip], which: int) -> None:
        listener, there, samples = self._listeners[which], [], []
        for clip in clips:
            try:
                samples.append(read_audio(clip.utterance.audio, LONGEST_S))
                there.append(clip)
            except AudioError as error:
                self.faults[clip.key] = str(error)
        for clip, text in zip(there, listener(samples), strict=True):
            self._note(clip, which, text)
            self._remembered.add(listener.key, self._sound(clip), text)
        self._remembered.flush()


def sound_key(u: Utterance) -> str:
    """A name for a clip's sound, another one once the file was changed."""
    stamp = (0, 0)
    with suppress(OSError):
        stat = u.audio_filepath.stat()
        stamp = (stat.st_size, stat.st_mtime_ns)
    stretch = (u.offset, None if u.offset is None else u.duration, u.channel)
    named = (str(u.audio_filepath), stamp, stretch)
    return hashlib.sha256(repr(named).encode()).hexdigest()[:20]
