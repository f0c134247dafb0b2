"""What the base hears in a recording, a piece between two pauses at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moontune.config.schema import ModelConfig
from moontune.data.audio import SAMPLE_RATE_HZ, audio_blocks, header_duration_s
from moontune.errors import UserError
from moontune.importing.values import Fit, Guess, Piece
from moontune.languages.table import current
from moontune.languages.words import joined_words
from moontune.system.progress import Progress, no_progress
from moontune.transcribe.long_form import SegmentTranscript, transcribe_segments
from moontune.transcribe.segmentation import Segment, SegmentationConfig, segments

if TYPE_CHECKING:
    from moontune.transcribe.recognizer import Recognizer

PAUSE_S = 0.25  # between two pieces; words that a shorter one divides stay together
PAD_S = 0.1  # of silence around a piece; with more the base writes nothing for some words
_SHORTEST_S = 4.0  # of a piece that is cut where there is no such pause
_WINDOW_S = 300.0  # transcribed together, which bounds the memory
_GUESSED_S = 300.0  # the same of guesses, each with its sound


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

    def fits(self, recording: Path, guesses: Sequence[Guess]) -> list[tuple[Fit, ...]]:
        """How likely sentences are where they may be said; nothing from an ONNX pair, which tells
        no losses. Raises AudioError, and UserError where there is no base.
        """
        losses = self._opened_for_losses().losses
        if losses is None:
            return []
        found: dict[Guess, tuple[Fit, ...]] = {}
        for batch in _sounds(recording, guesses):
            said = [(i, guess.sentences) for i, (_, some) in enumerate(batch) for guess in some]
            clips = [sound for sound, _ in batch]
            there = losses(clips, said)
            backwards = losses([clip[::-1].copy() for clip in clips], said)
            tried = [guess for _, some in batch for guess in some]
            for guess, own, other in zip(tried, there, backwards, strict=True):
                found[guess] = tuple(map(Fit, own, other))
            self.progress(len(found), len(set(guesses)), "guesses at unheard words")
        return [found[guess] for guess in guesses]

    def _opened(self) -> Recognizer:
        if not self._recognizer:
            self.tell(f"  listening with {self.model_id}, to find the script's words")
            self._recognizer.append(_open(self.model_id))
        return self._recognizer[0]

    def _opened_for_losses(self) -> Recognizer:
        if self._opened().losses is None and len(self._recognizer) == 1:
            self._recognizer.append(_open(self.model_id, word_times=True))
        return self._recognizer[-1]


def _open(model_id: str, *, word_times: bool = False) -> Recognizer:
    from moontune.transcribe.recognizer import open_recognizer

    try:
        return open_recognizer(model_id, word_times=word_times, language=current().code)
    except UserError as error:
        raise UserError(str(error).replace("--model ", "--model-id ")) from None


def _sounds(
    recording: Path, guesses: Sequence[Guess]
) -> Iterator[list[tuple[np.ndarray, list[Guess]]]]:
    """The sound of stretches, each once, with what may be said in it; few enough together."""
    stretches: dict[tuple[int, int], list[Guess]] = {}
    for guess in dict.fromkeys(guesses):
        span = round(guess.start_s * SAMPLE_RATE_HZ), round(guess.end_s * SAMPLE_RATE_HZ)
        stretches.setdefault(span, []).append(guess)
    batch: list[tuple[np.ndarray, list[Guess]]] = []
    for span, sound in zip(
        sorted(stretches), stretches_of(audio_blocks(recording), sorted(stretches)), strict=True
    ):
        batch.append((sound, stretches[span]))
        if sum(len(clip) * len(some) for clip, some in batch) >= _GUESSED_S * SAMPLE_RATE_HZ:
            yield batch
            batch = []
    if batch:
        yield batch


def stretches_of(
    blocks: Iterator[np.ndarray], spans: Sequence[tuple[int, int]]
) -> Iterator[np.ndarray]:
    """The samples of stretches, in order of their begin, of a recording that is read once."""
    held, begin = np.zeros(0, np.float32), 0
    for first, end in spans:
        while begin + len(held) < end and (block := next(blocks, None)) is not None:
            held = np.concatenate([held, block])
            drop = min(max(first - begin, 0), len(held))
            held, begin = held[drop:], begin + drop
        yield held[max(first - begin, 0) : end - begin]


def _config(longest_s: float) -> SegmentationConfig:
    usual = SegmentationConfig()
    longest = min(usual.target_s, longest_s)
    return replace(
        usual,
        always_cut_s=PAUSE_S,
        target_s=longest,
        shortest_s=min(_SHORTEST_S, longest / 2),
        pad_s=PAD_S,
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
