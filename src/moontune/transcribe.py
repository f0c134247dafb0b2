"""Audio to text with a model, and the audio it reads kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moontune.audio import SAMPLE_RATE_HZ, AudioError, read_audio
from moontune.decoding import TokenCap
from moontune.errors import UserError
from moontune.manifest import Utterance
from moontune.model import Base, encode, greedy_tokens

if TYPE_CHECKING:
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput


@dataclass(frozen=True)
class Transcript:
    text: str
    tokens: list[int]  # without the start token; ends in EOS unless truncated
    truncated: bool  # the token cap ended it


def transcripts(
    base: Base,
    encoded: MoonshineEncoderModelOutput,
    durations_s: Sequence[float],
    cap: TokenCap,
) -> list[Transcript]:
    """Greedy transcripts of encoded clips, each under its own token cap."""
    caps = [cap(d) for d in durations_s]
    eos = base.net.config.eos_token_id
    return [
        Transcript(
            base.tokenizer.decode(tokens, skip_special_tokens=True).strip(),
            tokens,
            tokens[-1:] != [eos],
        )
        for tokens in greedy_tokens(base.net, encoded, caps)
    ]


def transcribe(base: Base, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
    """Greedy transcripts of clips of float32 mono 16 kHz samples, each (samples,)."""
    import torch

    with torch.no_grad():
        encoded = encode(base.net, clips, base.device)
    durations = [len(clip) / SAMPLE_RATE_HZ for clip in clips]
    return transcripts(base, encoded, durations, cap)


def batches(utterances: Sequence[Utterance], size: int) -> Iterator[list[int]]:
    """Indices of utterances of like length together, so that little is padded."""
    order = sorted(range(len(utterances)), key=lambda i: utterances[i].duration or 0.0)
    for start in range(0, len(order), size):
        yield order[start : start + size]


class AudioStore:
    """Decoded clips, kept in memory up to a limit and decoded again beyond it."""

    def __init__(self, limit_bytes: int = 2 * 2**30) -> None:
        self._kept: dict[str, np.ndarray] = {}
        self._room = limit_bytes

    def __call__(self, u: Utterance) -> np.ndarray:
        key = str(u.audio_filepath)
        if key in self._kept:
            return self._kept[key]
        try:
            samples = read_audio(u.audio_filepath)
        except AudioError as error:
            raise UserError(
                f"{u.audio_filepath}: {error}; bring it back, or sample again"
            ) from None
        if samples.nbytes <= self._room:
            self._room -= samples.nbytes
            self._kept[key] = samples
        return samples
