"""Many recordings at once: their pieces come in, their transcripts go out.

Recordings are read, cut and heard a window of some minutes at a time, whose pieces are transcribed
in batches of like length, whatever recording they are of. So memory does not grow with a recording.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, audio_blocks
from moontune.errors import ACCEPTED, USER_MISTAKE
from moontune.system.formatting import counted
from moontune.transcribe.long_form import Said, Transcribe, transcribe_pieces
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import Cutting, Piece, pieces
from moontune.transcribe.writers import Output

# Seconds of speech heard together: longer ones batch better, and are longer waited for and lost
# when interrupted.
_WINDOW_S = {"cpu": 160.0, "cuda": 1280.0, "mps": 320.0}


@dataclass
class Tally:
    """What was done."""

    device: str = "cpu"
    recordings: int = 0
    skipped: int = 0
    failed: int = 0
    silent: int = 0
    pieces: int = 0
    truncated: int = 0
    again: int = 0
    audio_s: float = 0.0
    seconds: float = 0.0  # from the first sound to the last word; loading the model not counted
    written: list[Path] = field(default_factory=list)

    @property
    def code(self) -> int:
        return USER_MISTAKE if self.failed else ACCEPTED

    def sentence(self) -> str:
        """The last line, with the real-time factor."""
        rate = self.seconds / self.audio_s if self.audio_s else 0.0
        parts = [
            f"{_clock(self.audio_s)} of sound in {_clock(self.seconds)} on {self.device}: "
            f"RTF {rate:.3f} (seconds of computing a second of sound)",
            counted(self.pieces, "piece"),
        ]
        for count, what in (
            (self.again, "heard again in halves, because the text looped"),
            (self.truncated, "cut by the token cap"),
        ):
            parts += [f"{count} {what}"] if count else []
        for count, what in (
            (self.silent, "without speech"),
            (self.skipped, "skipped, transcribed before"),
            (self.failed, "failed"),
        ):
            parts += [f"{counted(count, 'recording')} {what}"] if count else []
        return "; ".join(parts)


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


class Desk:
    """Pieces come in, file after file; transcripts go out in the same order."""

    def __init__(  # noqa: PLR0917
        self,
        transcribe: Transcribe,
        cap: TokenCap,
        cutting: Cutting,
        output: Output,
        tally: Tally,
        ui: Any,
        lengths: dict[Recording, float],
    ) -> None:
        self._transcribe, self._cap, self._cutting = transcribe, cap, cutting
        self._output, self._tally, self._ui, self._lengths = output, tally, ui, lengths
        self._waiting: list[tuple[Recording, Piece | None]] = []  # None: the recording ends
        self._waiting_s = 0.0
        self._said: dict[Recording, list[Said]] = {}  # of recordings that have not ended
        self._ended_s = 0.0

    def work(self, stdin: BinaryIO, complain: Callable[[str], None]) -> None:
        begun = time.perf_counter()
        try:
            for recording in self._lengths:
                self._said[recording] = []
                try:
                    for piece in pieces(self._blocks(recording, stdin), self._cutting):
                        self._wait_for(recording, piece)
                except AudioError as error:  # what was read before is kept
                    self._hear()
                    self._tally.failed += 1
                    kept = self._break_off(recording)
                    complain(f"{recording.shown}: {error}{'; kept: ' if kept else ''}{kept}")
                else:
                    self._wait_for(recording, None)
            self._hear()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._kept()) from None
        finally:
            self._tally.seconds = time.perf_counter() - begun
            self._ui.close()

    def _blocks(self, recording: Recording, stdin: BinaryIO) -> Iterator[Any]:
        for block in audio_blocks(recording.path or stdin):
            self._tally.audio_s += len(block) / SAMPLE_RATE_HZ
            yield block

    def _wait_for(self, recording: Recording, piece: Piece | None) -> None:
        self._waiting.append((recording, piece))
        self._waiting_s += 0 if piece is None else piece.end_s - piece.start_s
        if self._waiting_s >= _WINDOW_S[self._tally.device]:
            self._hear()

    def _hear(self) -> None:
        """Transcribe what waits; in order, give out what is done, also when interrupted."""
        waiting, self._waiting, self._waiting_s = self._waiting, [], 0.0
        places = [i for i, (_, piece) in enumerate(waiting) if piece is not None]
        found = [piece for _, piece in waiting if piece is not None]
        heard: dict[int, list[Said]] = {}
        try:
            for done in transcribe_pieces(found, self._transcribe, self._cap, self._cutting):
                heard |= {places[i]: said for i, said in done.items()}
        finally:
            broken: set[Recording] = set()  # what is said after a piece that was not heard, waits
            for place, (recording, piece) in enumerate(waiting):
                if piece is not None and place not in heard:
                    broken.add(recording)
                elif recording in broken:
                    continue
                elif piece is None:
                    self._end(recording)
                else:
                    self._add(recording, heard[place])
            self._progress()

    def _add(self, recording: Recording, new: list[Said]) -> None:
        self._said[recording] += new
        self._tally.pieces += len(new)
        self._tally.truncated += sum(s.truncated for s in new)
        self._tally.again += sum(s.again for s in new)
        self._output.add(recording, new)

    def _end(self, recording: Recording) -> None:
        said = self._said.pop(recording)
        self._ended_s += self._lengths[recording]
        self._tally.recordings += 1
        self._tally.silent += not said
        self._tally.written += self._output.finish(recording, said, whole=True)

    def _break_off(self, recording: Recording) -> str:
        """Keep what there is of a recording; where."""
        said = self._said.pop(recording)
        if not said:
            return ""
        files = self._output.finish(recording, said, whole=False)
        return f"the first {_clock(said[-1].piece.end_s)} {', '.join(map(str, files))}".strip()

    def _kept(self) -> str:
        """What an interruption leaves, for the message."""
        parts = [f"; {self._tally.recordings} of {len(self._lengths)} recordings are done"]
        for recording in list(self._said):
            if kept := self._break_off(recording):
                parts.append(f"of {recording.shown} {kept}")
        if self._tally.written:
            parts.append("go on with --skip-existing")
        return "; ".join(parts)

    def _progress(self) -> None:
        done_s = self._ended_s + sum(s[-1].piece.end_s for s in self._said.values() if s)
        wanted_s = max(sum(self._lengths.values()), done_s)
        self._ui.progress(int(done_s), int(wanted_s), "s of sound")
