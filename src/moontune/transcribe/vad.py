"""Voice activity, when somebody speaks: silero-vad's model through onnxruntime.

Its package is not imported, which would load torch and leave it with one thread: the model is read
from the folder the package is installed in.
"""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from moontune.errors import UserError
from moontune.models.onnx import open_session

FRAME = 512  # samples of 16 kHz, 32 ms: what one probability is about
_CONTEXT = 64  # samples before a frame that the model sees too
_BLOCK = 512  # frames a call, which bounds the memory
_MODEL = "silero_vad/data/silero_vad_16k_sequence.onnx"  # many frames a call, since 6.2.3


class SpeechDetector:
    """The probability of speech in each frame of a stream of float32 mono 16 kHz samples.

    Call it with blocks of any length, then `end`: frames come as they fill, and are the same
    however the stream is divided. It keeps state between calls; take a new one for each recording.
    Raises UserError if silero-vad is missing or too old.
    """

    def __init__(self) -> None:
        self._session = _session()
        self._state = [np.zeros((1, 1, 128), np.float32)] * 2
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Probabilities, (frames,), of the frames that `samples`, (samples,), complete."""
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // FRAME * FRAME
        self._rest = waiting[whole:]
        frames = waiting[:whole].reshape(-1, FRAME)
        probabilities = [
            self._probabilities(frames[i : i + _BLOCK]) for i in range(0, len(frames), _BLOCK)
        ]
        return np.concatenate(probabilities) if probabilities else np.zeros(0, np.float32)

    def end(self) -> np.ndarray:
        """The probability of the last, incomplete frame, (1,), or (0,) where there is none."""
        return self(np.zeros(-len(self._rest) % FRAME, np.float32))

    def _probabilities(self, frames: np.ndarray) -> np.ndarray:
        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:]
        state = dict(zip("hc", self._state, strict=True))
        seen = np.concatenate([before, frames], axis=1)
        voice, *self._state = self._session.run(
            ["speech_probs", "hn", "cn"], {"input": seen} | state
        )
        return np.asarray(voice)


@functools.cache  # the session keeps no state, so one does for all
def _session() -> Any:
    try:
        package = importlib.metadata.distribution("silero-vad")
    except ImportError:
        raise UserError(
            "cutting at pauses needs silero-vad; install it with: pip install silero-vad"
        ) from None
    model = Path(str(package.locate_file(_MODEL)))
    if not model.is_file():
        raise UserError(
            f"silero-vad {package.version} lacks {Path(_MODEL).name}; install 6.2.3 or newer"
        )
    return open_session(model, threads=1)
