"""How transcripts fit their audio under adapters that never heard them.

The base takes a voice or a manner that is new to it for a wrong transcript now and then. Two
adapters, each trained briefly on one half of the clips, know these voices and judge the other half.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from moontune.config.schema import LoraConfig, TrainConfig
from moontune.data.manifest import Utterance
from moontune.evaluation.screening.suspects import Fit
from moontune.evaluation.screening.transcript_fit import transcript_fits
from moontune.models.adapter import attach_lora
from moontune.models.base_model import Base
from moontune.models.transcriber import load_audio
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Progress, no_progress
from moontune.training.loop import TrainingSetup, train
from moontune.training.sampling import evenly_spaced, shuffled

if TYPE_CHECKING:
    import torch

_UPDATES = 40  # of 8 clips
_BRIEFLY = TrainConfig(
    max_steps=_UPDATES,
    lr=5e-4,
    eval_every_steps=_UPDATES,
    early_stop_patience=0,
    wise_ft=1.0,
    ema_decay=0.9,
    backwards_share=0.0,
)
_VALIDATED = 8  # clips: the loop wants some; the last update is the one that is used, or none


def heldout_fits(
    new_base: Callable[[], Base],
    utterances: Sequence[Utterance],
    doubted: frozenset[str],
    *,
    seed: int,
    dtype: torch.dtype,
    group: ProcessGroup = SINGLE,
    progress: Progress = no_progress,
) -> list[Fit] | None:
    """The fit of every utterance's label, in their order, under the adapter of the other half.

    `new_base` loads the base; `doubted` are the ids that no adapter is trained on. None where
    hardly any other is left to train on.
    """
    order = list(range(len(utterances)))
    random.Random(seed).shuffle(order)
    halves = [order[::2], order[1::2]]
    sure = [[utterances[i] for i in half if utterances[i].id not in doubted] for half in halves]
    if min(map(len, sure)) < _VALIDATED:
        return None
    found: dict[int, Fit] = {}
    for number, judged in enumerate(halves[::-1]):
        base, clips = new_base(), sure[number]
        setup = TrainingSetup(
            attach_lora(base, LoraConfig(), seed), base, load_audio, seed, dtype, group
        )

        def on_event(event: dict[str, Any], before: int = number * _UPDATES) -> None:
            if event["event"] == "update":
                progress(before + event["step"], 2 * _UPDATES, "updates of these trainings")

        val = evenly_spaced(clips, _VALIDATED)
        train(setup, shuffled(clips, seed), val, _BRIEFLY, on_event=on_event)
        others = [utterances[i] for i in judged]
        found |= zip(
            judged,
            transcript_fits(base, others, load_audio, dtype, group, progress),
            strict=True,
        )
        del base, setup  # before another is loaded
    return [found[i] for i in range(len(utterances))]
