"""What the base hears in a recording, a piece between two pauses at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from moontune.config.schema import ModelConfig
from moontune.data.audio import SAMPLE_RATE_HZ, audio_blocks, header_duration_s
from moontune.errors import UserError
from moontune.importing.values import Piece
from moontune.languages.table import current
from moontune.languages.words import joined_words
from moontune.system.progress import Progress, no_progress
from moontune.transcribe.long_form import SegmentTranscript, transcribe_segments
from moontune.transcribe.segmentation import Segment, SegmentationConfig, segments

if TYPE_CHECKING:
    from moontune.transcribe.recognizer import Recognizer

PAUSE_S = 0.25  # between two pieces; words that a shorter one divides stay together
_PAD_S = 0.1  # of silence around a piece; with more the base writes nothing for some words
_SHORTEST_S = 4.0  # of a piece that is cut where there is no such pause
_WINDOW_S = 300.0  # transcribed together, which bounds the memory


@dataclass
class Listener:
    """The base, which is loaded when there is something to hear."""

    model_id: str = ModelConfig.model_id
    tell: Callable[[str], object] = lambda text: None
    progress: Progress = no_progress
    _recognizer: list[Recognizer] = field(default_factory=list)

    def hear(self, recording: Path, longest_s: float) -> list[Piece]:
        """The pieces of a recording, none longer than `longest_s` where a pause allows it.

        Raises AudioError, and UserError where there is no base.
        """
        recognizer = self._opened()
        config = _config(longest_s)
        whole_s = int(header_duration_s(recording))
        pieces: list[Piece] = []
        for window in _windows(segments(audio_blocks(recording), config)):
            rows: list[list[SegmentTranscript]] = [[] for _ in window]
            for batch in transcribe_segments(window, recognizer.transcribe, recognizer.cap, config):
                for i, found in batch.items():
                    rows[i] = found
            pieces += [
                _piece(part, found, config) for part, found in zip(window, rows, strict=True)
            ]
            done_s = int(window[-1].end_s)
            self.progress(done_s, max(whole_s, done_s), "s heard")
        return pieces

    def _opened(self) -> Recognizer:
        if not self._recognizer:
            from moontune.transcribe.recognizer import open_recognizer

            self.tell(f"  listening with {self.model_id}, to find the script's words")
            try:
                self._recognizer.append(open_recognizer(self.model_id, language=current().code))
            except UserError as error:
                raise UserError(str(error).replace("--model ", "--model-id ")) from None
        return self._recognizer[0]


def _config(longest_s: float) -> SegmentationConfig:
    usual = SegmentationConfig()
    longest = min(usual.target_s, longest_s)
    return replace(
        usual,
        always_cut_s=PAUSE_S,
        target_s=longest,
        shortest_s=min(_SHORTEST_S, longest / 2),
        pad_s=_PAD_S,
    )


def _windows(parts: Iterator[Segment]) -> Iterator[Sequence[Segment]]:
    window: list[Segment] = []
    samples = 0
    for part in parts:
        window.append(part)
        samples += len(part.samples)
        if samples >= _WINDOW_S * SAMPLE_RATE_HZ:
            yield window
            window, samples = [], 0
    if window:
        yield window


def _piece(part: Segment, rows: Sequence[SegmentTranscript], config: SegmentationConfig) -> Piece:
    speech = part.speech_s(config)
    return Piece(speech[0][0], speech[-1][1], joined_words(row.text for row in rows))
