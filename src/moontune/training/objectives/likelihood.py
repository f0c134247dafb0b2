"""The usual objective: the mean loss of all target tokens of an update."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from moontune.data.manifest import Utterance
from moontune.system.distributed import ProcessGroup
from moontune.training.losses import LossComputer


class Likelihood:
    """Cross-entropy of the labels, nats a token; `weight` scales what is added."""

    def __init__(self, losses: LossComputer, weight: float = 1.0) -> None:
        self._losses, self._weight = losses, weight

    def add_gradients(self, clips: Sequence[Utterance], group: ProcessGroup) -> tuple[float, int]:
        """Add the gradients of this process's share of an update's clips.

        Returns its part of the update's loss, and the target tokens of the whole update.
        """
        labels = self._losses.labels(clips)
        tokens = sum(map(len, labels))
        pairs = list(zip(clips, labels, strict=True))
        share = group.shard(pairs, lambda pair: pair[0].duration_or_1s)
        parts = []
        for of_tokens in self._losses.passes([u for u, _ in share], [ids for _, ids in share]):
            loss = self._weight * of_tokens.sum() / tokens
            loss.backward()
            parts.append(loss.detach())
        return float(torch.stack(parts).sum()) if parts else 0.0, tokens

    def validate(self, utterances: Sequence[Utterance], group: ProcessGroup) -> float:
        """Nats per target token of a split."""
        return self._losses.mean(utterances, group)
