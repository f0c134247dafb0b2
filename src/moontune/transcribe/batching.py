"""Many recordings transcribed together.

Recordings are read, cut and transcribed a window of some minutes at a time, whose segments go into
batches of like length, whatever recording they are of. So memory does not grow with a recording.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, audio_blocks
from moontune.errors import ACCEPTED, USER_MISTAKE
from moontune.system.formatting import counted
from moontune.transcribe.long_form import SegmentTranscript, transcribe_segments
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import Segment, SegmentationConfig, segments
from moontune.transcribe.writers import Writer

if TYPE_CHECKING:
    from moontune.transcribe.recognizer import Recognizer

# Seconds of speech transcribed together: a longer window batches better, and is longer waited for
# and lost when interrupted. So the first is short, and each is twice as long as the one before.
_WINDOW_S = {"cpu": 160.0, "cuda": 1280.0, "mps": 320.0}
_FIRST_WINDOW_S = 20.0


@dataclass
class Summary:
    """Counts of what became of the recordings, for the last line on the screen."""

    device: str = "cpu"
    recordings: int = 0
    skipped: int = 0
    failed: int = 0
    silent: int = 0  # in which no words were heard
    segments: int = 0
    truncated: int = 0
    again: int = 0
    audio_s: float = 0.0
    seconds: float = 0.0  # from the first sound to the last word; loading the model not counted
    written: list[Path] = field(default_factory=list)
    drafts: str = ""  # what there is to correct

    @property
    def code(self) -> int:
        return USER_MISTAKE if self.failed else ACCEPTED

    def sentence(self) -> str:
        """The last line, with the real-time factor where anything was heard."""
        parts = []
        if self.audio_s:
            parts = [
                f"{_clock(self.audio_s)} of sound in {_clock(self.seconds)} on {self.device}: RTF "
                f"{self.seconds / self.audio_s:.3f} (seconds of computing a second of sound)",
                counted(self.segments, "piece"),
            ]
        for count, what in (
            (self.again, "heard again in halves, because the text looped"),
            (self.truncated, "cut by the token cap"),
        ):
            parts += [f"{count} {what}"] if count else []
        for count, what in (
            (self.silent, "in which no words were heard"),
            (self.skipped, "skipped, transcribed before"),
            (self.failed, "failed"),
        ):
            parts += [f"{counted(count, 'recording')} {what}"] if count else []
        return "; ".join(parts)


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


@dataclass
class _Waiting:
    """A segment that was not given to the writer yet."""

    segment: Segment
    transcripts: list[SegmentTranscript] | None = None  # None: not transcribed yet


@dataclass
class _Unfinished:
    """A recording between its first block and its whole transcript."""

    recording: Recording
    read: bool = False  # to its end
    waiting: deque[_Waiting] = field(default_factory=deque)
    transcripts: list[SegmentTranscript] = field(default_factory=list)  # the writer has them


class BatchTranscriber:
    """Recordings to a writer: segments are transcribed in any order, and written in theirs."""

    def __init__(
        self,
        recognizer: Recognizer,
        config: SegmentationConfig,
        writer: Writer,
        summary: Summary,
        ui: Any,
    ) -> None:
        self._recognizer, self._config, self._writer = recognizer, config, writer
        self._summary, self._ui = summary, ui
        self._unfinished: list[_Unfinished] = []
        self._lengths_s: dict[Recording, float] = {}
        self._finished_s = 0.0
        self._most_s = 0.0 if recognizer.one_by_one else _WINDOW_S[summary.device]
        self._window_s = min(_FIRST_WINDOW_S, self._most_s)

    def work(
        self,
        lengths_s: dict[Recording, float],
        stdin: BinaryIO,
        complain: Callable[[str], None],
    ) -> None:
        """Transcribe recordings, in order. What breaks off in the middle is told by `complain`.

        Raises KeyboardInterrupt with what an interruption leaves.
        """
        begun = time.perf_counter()
        self._lengths_s = lengths_s
        self._progress()
        try:
            for recording in lengths_s:
                self._read(recording, stdin, complain)
            self._transcribe_waiting()
        except KeyboardInterrupt:
            self._write()
            raise KeyboardInterrupt(self._interruption()) from None
        finally:
            self._summary.seconds = time.perf_counter() - begun
            self._ui.close()

    def _read(self, recording: Recording, stdin: BinaryIO, complain: Callable[[str], None]) -> None:
        """Cut a recording, and transcribe whenever a window is full."""
        unfinished = _Unfinished(recording)
        self._unfinished.append(unfinished)
        broken: list[AudioError] = []
        for segment in segments(self._blocks(recording, stdin, broken), self._config):
            unfinished.waiting.append(_Waiting(segment))
            if self._waiting_s() >= self._window_s:
                self._transcribe_waiting()
                self._window_s = min(2 * self._window_s, self._most_s)
        if broken:  # the transcript up to there is written
            self._transcribe_waiting()
            self._summary.failed += 1
            kept = self._break_off(unfinished)
            complain(f"{recording.shown}: {broken[0]}{'; ' if kept else ''}{kept}")
        else:
            unfinished.read = True

    def _blocks(
        self, recording: Recording, stdin: BinaryIO, broken: list[AudioError]
    ) -> Iterator[Any]:
        """A recording's blocks as far as they can be read; `broken` gets why there are no more."""
        try:
            for block in audio_blocks(recording.path or stdin):
                self._summary.audio_s += len(block) / SAMPLE_RATE_HZ
                yield block
        except AudioError as error:
            broken.append(error)

    def _waiting_s(self) -> float:
        spans = (w.segment for unfinished in self._unfinished for w in unfinished.waiting)
        return sum(segment.end_s - segment.start_s for segment in spans)

    def _transcribe_waiting(self) -> None:
        waiting = [w for unfinished in self._unfinished for w in unfinished.waiting]
        parts = [w.segment for w in waiting]
        transcribe, cap = self._recognizer.transcribe, self._recognizer.cap
        try:
            for batch in transcribe_segments(parts, transcribe, cap, self._config):
                for i, transcripts in batch.items():
                    waiting[i].transcripts = transcripts
        except Exception:  # out of memory, say: transcripts that are there are not lost
            self._write()
            raise
        self._write()

    def _write(self) -> None:
        """Give the writer each recording's transcripts up to the first that is missing."""
        for unfinished in list(self._unfinished):
            waiting = unfinished.waiting
            while waiting and (transcripts := waiting[0].transcripts) is not None:
                waiting.popleft()
                self._add(unfinished, transcripts)
            if unfinished.read and not waiting:
                self._finish(unfinished)
        self._progress()

    def _add(self, unfinished: _Unfinished, new: list[SegmentTranscript]) -> None:
        unfinished.transcripts += new
        self._summary.segments += len(new)
        self._summary.truncated += sum(t.truncated for t in new)
        self._summary.again += sum(t.again for t in new)
        self._writer.add(unfinished.recording, new)

    def _finish(self, unfinished: _Unfinished) -> None:
        self._unfinished.remove(unfinished)
        recording, transcripts = unfinished.recording, unfinished.transcripts
        self._finished_s += self._lengths_s[recording]
        self._summary.recordings += 1
        self._summary.silent += not any(t.text.strip() for t in transcripts)
        self._summary.written += self._writer.finish(recording, transcripts, whole=True)

    def _break_off(self, unfinished: _Unfinished) -> str:
        """Write the transcript up to here; says how long it is, and where."""
        self._unfinished.remove(unfinished)
        transcripts = unfinished.transcripts
        if not transcripts:
            return ""
        if not self._writer.keeps_parts:
            return "nothing is kept"
        files = self._writer.finish(unfinished.recording, transcripts, whole=False)
        where = f"kept in {', '.join(map(str, files))}" if files else "printed"
        return f"the first {_clock(transcripts[-1].segment.end_s)} is {where}"

    def _interruption(self) -> str:
        """The rest of the message after an interruption: what is written, and how to go on."""
        parts = [
            f"; {self._summary.recordings} of {len(self._lengths_s)} recordings are done",
            *(
                f"of {unfinished.recording.shown} {kept}"
                for unfinished in list(self._unfinished)
                if (kept := self._break_off(unfinished))
            ),
        ]
        if self._summary.written:
            parts.append("go on with --skip-existing")
        return "; ".join(parts)

    def _progress(self) -> None:
        partial_s = sum(u.transcripts[-1].segment.end_s for u in self._unfinished if u.transcripts)
        written_s = self._finished_s + partial_s
        all_s = max(sum(self._lengths_s.values()), written_s)
        if all_s:
            self._ui.progress(int(written_s), int(all_s), "s of sound")
