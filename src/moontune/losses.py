"""Losses of utterances in training: what does not train computed once, passes of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from moontune.evaluate import LoadAudio
from moontune.kept_speech import KeptSpeech
from moontune.manifest import Utterance
from moontune.model import Base, target_ids
from moontune.packed import Packed, end_to_end
from moontune.parallel import SOLO, Group

if TYPE_CHECKING:
    import numpy as np

# Frames that go through the model at once: on a CPU more is slower and takes more memory.
_FRAMES = {"cpu": 1_600}
_FRAMES_ELSEWHERE = 25_000


class Losses:
    """Losses of utterances under the adapter as it is, computed in `dtype`.

    What lies below the first layer that trains is computed once for each clip and kept: the
    convolutional front end, and the whole encoder if no adapter is on it.
    """

    def __init__(self, base: Base, load_audio: LoadAudio, dtype: torch.dtype) -> None:
        self._base = base
        self.packed = Packed(base.net, dtype)
        self._encoder_trains = any(p.requires_grad for p in base.net.model.encoder.parameters())
        self.kept = KeptSpeech(_frozen_part(self.packed, self._encoder_trains), load_audio)
        self._most = _FRAMES.get(torch.device(base.device).type, _FRAMES_ELSEWHERE)

    def labels(self, utterances: Sequence[Utterance]) -> list[list[int]]:
        return [target_ids(self._base.tokenizer, u.label, self.packed.eos) for u in utterances]

    def passes(
        self, utterances: Sequence[Utterance], labels: Sequence[list[int]]
    ) -> Iterator[torch.Tensor]:
        """Losses of all target tokens in nats, (tokens,), a pass of bounded size at a time."""
        waiting: list[torch.Tensor] = []
        begun = 0
        for i, u in enumerate(utterances):
            kept = self.kept(u).to(self._base.device, non_blocking=True)
            if waiting and sum(map(len, waiting)) + len(kept) > self._most:
                yield self._losses(waiting, labels[begun:i])
                waiting, begun = [], i
            waiting.append(kept)
        if waiting:
            yield self._losses(waiting, labels[begun:])

    def _losses(self, kept: Sequence[torch.Tensor], labels: Sequence[list[int]]) -> torch.Tensor:
        clips = end_to_end(kept)
        states = self.packed.encode(clips) if self._encoder_trains else clips
        return self.packed.token_losses(self.packed.remember(states), labels)

    @torch.no_grad()
    def mean(self, utterances: Sequence[Utterance], group: Group = SOLO) -> float:
        """Nats per target token over a whole split (validation during training)."""
        mine = group.mine(utterances, seconds)
        labels = self.labels(mine)
        total = sum(float(losses.cpu().double().sum()) for losses in self.passes(mine, labels))
        total, tokens = group.sums(total, sum(map(len, labels)))
        return total / tokens


def seconds(u: Utterance) -> float:
    return u.duration or 1.0


def _frozen_part(packed: Packed, encoder_trains: bool) -> Callable[[np.ndarray], torch.Tensor]:
    """What is below the first layer that trains, as a function of a clip's samples."""

    @torch.no_grad()
    def compute(samples: np.ndarray) -> torch.Tensor:
        front = packed.features(samples)
        return front if encoder_trains else packed.encode(end_to_end([front])).rows

    return compute
