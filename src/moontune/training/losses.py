"""Losses of utterances in training: what does not train computed once, passes of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from moontune.data.manifest import Utterance
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, target_ids
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import PASS_FRAMES, PackedClips, pack, packs_of
from moontune.models.transcriber import LoadAudio
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.training.feature_cache import FeatureCache
from moontune.training.token_dropout import TokenDropout

if TYPE_CHECKING:
    import numpy as np

LEAST_FRAMES = 1_250  # a clip of 30 s goes through alone


class LossComputer:
    """Losses of utterances under the adapter as it is, computed in `dtype`.

    What lies below the first layer that trains is computed once for each clip and kept: the
    convolutional front end, and the whole encoder if no adapter is on it.
    """

    def __init__(
        self,
        base: Base,
        load_audio: LoadAudio,
        dtype: torch.dtype,
        token_dropout: TokenDropout | None = None,
    ) -> None:
        """`token_dropout` changes what the decoder is told that it has written: anew each time
        where gradients are recorded, else always alike."""
        self._base = base
        self._token_dropout = token_dropout
        self.packed = packed_forward(base.net, dtype)
        self.frames = PASS_FRAMES[self.packed.device.type]
        self._encoder_trains = any(p.requires_grad for p in base.net.model.encoder.parameters())
        self.cache = FeatureCache(self._compute, load_audio)

    def labels(self, utterances: Sequence[Utterance]) -> list[list[int]]:
        return [target_ids(self._base.tokenizer, u.label, self.packed.eos) for u in utterances]

    def passes(
        self, utterances: Sequence[Utterance], labels: Sequence[list[int]]
    ) -> Iterator[torch.Tensor]:
        """Losses of all target tokens in nats, (tokens,), a pass of bounded size at a time."""
        begin = 0
        for clips in self.packs(utterances, self.frames):
            count = len(clips.layout.lengths)
            cross_keys = self.packed.cross_keys(self.encoded(clips))
            part = labels[begin : begin + count]
            yield self.packed.token_losses(cross_keys, part, self._told(part))
            begin += count

    def packs(self, utterances: Sequence[Utterance], frames: int) -> Iterator[PackedClips]:
        """What the first part that trains gets of utterances, at most so many frames at a time."""
        features = (self.cache(u).to(self.packed.device) for u in utterances)
        yield from packs_of(features, frames)

    def encoded(self, clips: PackedClips, packed: PackedForward | None = None) -> PackedClips:
        """The encoder's states of a pack, by `packed` in place of the model that trains."""
        return (packed or self.packed).encode(clips) if self._encoder_trains else clips

    def halve(self) -> bool:
        """Let half as much go through the model at once, from now on; False: it is the least, a
        clip of half a minute."""
        if self.frames <= LEAST_FRAMES:
            return False
        self.frames //= 2
        return True

    def _told(self, labels: Sequence[list[int]]) -> list[list[int]] | None:
        if self._token_dropout is None:
            return None
        trains = torch.is_grad_enabled()
        change = self._token_dropout.drawn if trains else self._token_dropout.fixed
        return [change(ids) for ids in labels]

    @torch.no_grad()
    def _compute(self, samples: np.ndarray) -> torch.Tensor:
        """The part below the first layer that trains."""
        front = self.packed.features(samples)
        if self._encoder_trains:
            return front
        # A copy, or what is kept would hold on to the filler behind it.
        return self.packed.encode(pack([front])).rows[: len(front)].clone()

    @torch.no_grad()
    def mean(self, utterances: Sequence[Utterance], group: ProcessGroup = SINGLE) -> float:
        """Nats per target token over a whole split (validation during training): the loss that is
        trained on, wrong words and all, so that what stops training is what it is for."""
        share = group.shard(utterances, lambda u: u.duration_or_1s)
        labels = self.labels(share)
        total = sum(float(losses.cpu().double().sum()) for losses in self.passes(share, labels))
        total, tokens = group.sums(total, sum(map(len, labels)))
        return total / tokens
