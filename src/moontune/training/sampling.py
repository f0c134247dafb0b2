"""Which utterances a training hears, in what order. No torch here until one is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moontune.config.schema import TrainConfig
from moontune.data.manifest import Utterance


def shuffled(utterances: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Utterances without end: every epoch each one once, in a new order that `seed` decides."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.randperm(len(utterances), generator=generator).tolist():
            yield utterances[index]


@dataclass
class _Share:
    """Utterances that take every 1 / `share`-th place."""

    stream: Iterator[Utterance]
    share: float
    due: float = 0.0


def mixed(
    own: Sequence[Utterance], others: Sequence[tuple[Sequence[Utterance], float]], seed: int
) -> Iterator[Utterance]:
    """The run's utterances without end, with a share of the places for each of `others`."""
    ours = shuffled(own, seed)
    shares = [
        _Share(shuffled(rows, seed + i), share)
        for i, (rows, share) in enumerate(others, start=1)
        if rows and share
    ]
    while True:
        for s in shares:
            s.due += s.share
        first = next((s for s in shares if s.due >= 1), None)
        if first is not None:
            first.due -= 1
        yield next(first.stream if first else ours)


def validation_sample(val_split: Sequence[Utterance], config: TrainConfig) -> list[Utterance]:
    """The clips to validate on: all, or as many, evenly spaced, as cost about a tenth of training.

    A clip's forward takes less than half of what training on it does, so a fifth of the clips
    between two validations will do; never fewer than 64.
    """
    between = config.validation_every * config.batch_size * config.grad_accum
    return spread(val_split, max(64, between // 5))


def spread(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """All of them, or `most`, evenly spaced."""
    count = min(most, len(utterances))
    return [utterances[i * len(utterances) // count] for i in range(count)]
