"""The run's own clips heard backwards, with what the base writes for them: often nothing.

No word can be learnt from them. They hold the model to what the base does where nothing can be
understood, and need no other speech.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from moontune.config.schema import TokenCap, TrainConfig
from moontune.data.manifest import Utterance
from moontune.data.sources.base import Progress, no_progress
from moontune.data.truecasing import style_of
from moontune.models.base_model import Base
from moontune.models.transcriber import Transcriber, load_audio, shared_batches
from moontune.system.distributed import SOLO, Group
from moontune.training.sampling import spread

_MOST = 300  # clips; transcribing them takes a small part of a training's time


def chosen(own: Sequence[Utterance], config: TrainConfig) -> list[Utterance]:
    """As many of the clips as the training has places for."""
    places = config.updates * config.batch_size * config.grad_accum
    return spread(own, min(math.ceil(places * config.backwards_share), _MOST))


def written_backwards(
    base: Base,
    clips: Sequence[Utterance],
    cap: TokenCap,
    group: Group = SOLO,
    progress: Progress = no_progress,
) -> dict[str, str | None]:
    """What the base writes for clips heard backwards, by id; None where it comes to no end."""
    clips = [u.with_(backwards=True) for u in clips]
    transcribe, found = Transcriber(base), []
    mine = shared_batches(clips, group)
    for indices in mine:
        part = [clips[i] for i in indices]
        said = transcribe([load_audio(u) for u in part], cap)
        found += [(u.id, None if t.truncated else t.text) for u, t in zip(part, said, strict=True)]
        progress(len(found), sum(map(len, mine)), "clips heard backwards by the base")
    return dict(group.gather(found))


def backwards(own: Sequence[Utterance], written: dict[str, str | None]) -> list[Utterance]:
    """The clips that can be trained on, with their texts in the letters that the labels have."""
    labels = [u.label for u in own]
    in_style = str
    if style_of(labels) == "upper":
        in_style = str.upper
    elif not any(c.isupper() for label in labels for c in label):
        in_style = str.lower
    texts = {name: in_style(text) for name, text in written.items() if text is not None}
    return [
        u.with_(backwards=True, text=texts[u.id], target=texts[u.id]) for u in own if u.id in texts
    ]
