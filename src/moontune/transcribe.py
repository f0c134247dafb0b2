"""Audio to text with a model, and the audio it reads kept in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moontune.audio import SAMPLE_RATE_HZ, read_audio
from moontune.manifest import Utterance
from moontune.model import Base, encode, greedy_tokens, token_cap

if TYPE_CHECKING:
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput


@dataclass(frozen=True)
class Transcript:
    text: str
    tokens: list[int]  # without the start token; ends in EOS unless truncated
    truncated: bool  # the token cap ended it


def transcript(
    base: Base, encoded: MoonshineEncoderModelOutput, duration_s: float, tokens_per_second: float
) -> Transcript:
    """Greedy transcript of one encoded clip."""
    tokens = greedy_tokens(base.net, encoded, token_cap(duration_s, tokens_per_second))
    text = base.tokenizer.decode(tokens, skip_special_tokens=True).strip()
    return Transcript(text, tokens, tokens[-1:] != [base.net.config.eos_token_id])


def transcribe(base: Base, samples: np.ndarray, tokens_per_second: float) -> Transcript:
    """Greedy transcript of one clip of float32 mono 16 kHz samples, (samples,)."""
    import torch

    with torch.no_grad():
        encoded = encode(base.net, [samples], base.device)
    return transcript(base, encoded, len(samples) / SAMPLE_RATE_HZ, tokens_per_second)


class AudioStore:
    """Decoded clips, kept in memory up to a limit and decoded again beyond it."""

    def __init__(self, limit_bytes: int = 2 * 2**30) -> None:
        self._kept: dict[str, np.ndarray] = {}
        self._room = limit_bytes

    def __call__(self, u: Utterance) -> np.ndarray:
        key = str(u.audio_filepath)
        if key in self._kept:
            return self._kept[key]
        samples = read_audio(u.audio_filepath)
        if samples.nbytes <= self._room:
            self._room -= samples.nbytes
            self._kept[key] = samples
        return samples
