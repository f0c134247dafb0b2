"""Which utterances a training hears, in what order. Torch is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moontune.config.schema import TrainConfig
from moontune.data.manifest import Utterance


def shuffled(utterances: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Utterances without end: every epoch each one once, in a new order that `seed` decides.

    Raises ValueError where there is none to begin with.
    """
    import torch

    if not utterances:
        raise ValueError("no utterance to train on")

    generator = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.randperm(len(utterances), generator=generator).tolist():
            yield utterances[index]


@dataclass
class _Quota:
    """Utterances that take every 1 / `share`-th place."""

    stream: Iterator[Utterance]
    share: float
    due: float = 0.0


def mixture(
    own: Sequence[Utterance], others: Sequence[tuple[Sequence[Utterance], float]], seed: int
) -> Iterator[Utterance]:
    """The run's utterances without end, with a share of the places for each of `others`."""
    return mixed(shuffled(own, seed), others, seed)


def mixed(
    run_stream: Iterator[Utterance], others: Sequence[tuple[Sequence[Utterance], float]], seed: int
) -> Iterator[Utterance]:
    """The same of utterances that come in an order of their own."""
    quotas = [
        _Quota(shuffled(rows, seed + i), share)
        for i, (rows, share) in enumerate(others, start=1)
        if rows and share
    ]
    while True:
        for quota in quotas:
            quota.due += quota.share
        first = next((q for q in quotas if q.due >= 1), None)
        if first is not None:
            first.due -= 1
        yield next(first.stream if first else run_stream)


def validation_sample(val_split: Sequence[Utterance], config: TrainConfig) -> list[Utterance]:
    """The clips to validate on: all, or as many, evenly spaced, as cost about a tenth of training.

    A clip's forward takes less than half of what training on it does, so a fifth of the clips
    between two validations will do; never fewer than 64.
    """
    between = config.validation_every * config.batch_size * config.grad_accum
    return evenly_spaced(val_split, max(64, between // 5))


def evenly_spaced(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """All of them, or `most`, evenly spaced."""
    count = min(most, len(utterances))
    return [utterances[i * len(utterances) // count] for i in range(count)]
