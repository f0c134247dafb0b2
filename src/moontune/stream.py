"""Which utterances a training hears, in what order. No torch here until one is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moontune.config import TrainConfig
from moontune.manifest import Utterance


def shuffled(utterances: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Utterances without end: every epoch each one once, in a new order that `seed` decides."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.randperm(len(utterances), generator=generator).tolist():
            yield utterances[index]


def mixed(
    own: Sequence[Utterance], replay: Sequence[Utterance], share: float, seed: int
) -> Iterator[Utterance]:
    """The run's utterances without end, every 1 / `share`-th place taken by general speech."""
    ours = shuffled(own, seed)
    if not replay or not share:
        yield from ours
    theirs, due = shuffled(replay, seed + 1), 0.0
    while True:
        due += share
        if due >= 1:
            due -= 1
            yield next(theirs)
        else:
            yield next(ours)


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
