"""What is wrong with a take, from its samples alone, while it can still be said again.

The limits were held against speech of actors in two games. Of 702 clips 4.4 % get a warning (2.1 %
are clipped, 1.9 % fast, 0.4 % cut off), of 500 others 0.2 %. 20 dB louder all are too loud; cut
within, 70 to 75 in 100 are told to be (`python -m benchmarks.statistics.take_warnings`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ

_FRAME = SAMPLE_RATE_HZ // 100  # samples of 10 ms
_EDGE_FRAMES = 5
_SILENCE_DB = -100.0
_AT_LIMIT = 0.99  # of full scale; a browser's resampling rounds the tops a little
_MOST_CLIPPED = 0.001
_QUIETEST_SPEECH_DB = -38.0
_LEAST_OVER_NOISE_DB = 15.0
_LOUD_BELOW_DB = 40.0  # below the loudest frame, what the level of speech is taken of
_SPEECH_BELOW_DB = 20.0  # below the level of speech, what is still taken for speech,
_SPEECH_OVER_NOISE_DB = 6.0  # but only above the quietest tenth by this
_MOST_LETTERS_A_SECOND = 20.0
_FEWEST_LETTERS = 15  # a shorter text says too little about its length
_SHORTEST_S = 0.3


@dataclass(frozen=True)
class TakeQuality:
    """Measurements of a take; levels are RMS of 10 ms against full scale."""

    seconds: float
    clipped_share: float  # of the samples, 0 to 1, at the limit
    speech_db: float  # of the loudest tenth of what is not silent
    noise_db: float  # of the quietest tenth
    begins_in_speech: bool
    ends_in_speech: bool
    speech_s: float  # from the first to the last frame of speech

    def warnings(self, text: str) -> list[str]:
        """What should be done otherwise, a sentence or two each; none of a good take of `text`."""
        if self.seconds < _SHORTEST_S or self.speech_db <= _SILENCE_DB:
            return ["Nothing was heard. Look whether the microphone is on."]
        return [*self._level(), *self._length(text)]

    def _level(self) -> list[str]:
        found = []
        if self.clipped_share > _MOST_CLIPPED:
            found.append(
                f"Too loud: {100 * self.clipped_share:.1f} % of the samples are at the limit. "
                "Move away from the microphone, or turn it down."
            )
        if self.speech_db < _QUIETEST_SPEECH_DB:
            found.append("Too quiet. Come closer to the microphone, or turn it up.")
        over = self.speech_db - self.noise_db
        if over < _LEAST_OVER_NOISE_DB:
            found.append(
                f"Noisy: the speech is only {over:.0f} dB louder than what is heard beside it. "
                "Look for a quieter place, or come closer."
            )
        return found

    def _length(self, text: str) -> list[str]:
        found = []
        if self.begins_in_speech:
            found.append("The beginning may be cut off. Wait a moment before you speak.")
        if self.ends_in_speech:
            found.append("The end may be cut off. Wait a moment before you stop.")
        letters = sum(c.isalnum() for c in text)
        shortest_s = letters / _MOST_LETTERS_A_SECOND
        if letters >= _FEWEST_LETTERS and self.speech_s < shortest_s:
            found.append(
                f"Too short for the sentence: {self.speech_s:.1f} seconds of speech. "
                "Was all of it said?"
            )
        return found


def take_quality(samples: np.ndarray) -> TakeQuality:
    """Of float32 mono 16 kHz samples, (samples,)."""
    levels = _levels_db(samples)
    if not len(levels):
        return TakeQuality(0.0, 0.0, _SILENCE_DB, _SILENCE_DB, False, False, 0.0)
    loud = levels[levels > levels.max() - _LOUD_BELOW_DB]  # however long the silence beside it
    speech_db = float(np.percentile(loud, 90)) if len(loud) else _SILENCE_DB
    noise_db = float(np.percentile(levels, 10))
    floor_db = max(speech_db - _SPEECH_BELOW_DB, noise_db + _SPEECH_OVER_NOISE_DB, _SILENCE_DB)
    where = np.flatnonzero(levels > floor_db)
    # The second quietest: the click of a key is shorter than the rest.
    begins, ends = (
        float(np.sort(edge)[:2][-1]) > floor_db
        for edge in (levels[:_EDGE_FRAMES], levels[-_EDGE_FRAMES:])
    )
    return TakeQuality(
        seconds=len(samples) / SAMPLE_RATE_HZ,
        clipped_share=float(np.mean(np.abs(samples) >= _AT_LIMIT)),
        speech_db=speech_db,
        noise_db=noise_db,
        begins_in_speech=begins,
        ends_in_speech=ends,
        speech_s=(where[-1] - where[0] + 1) / 100 if len(where) else 0.0,
    )


def _levels_db(samples: np.ndarray) -> np.ndarray:
    """RMS of each whole 10 ms against full scale, (frames,), none below _SILENCE_DB."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    return 10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DB / 10)))
