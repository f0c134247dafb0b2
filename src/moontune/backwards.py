"""The run's own clips heard backwards, with what the base writes for them: nothing, or nonsense.

Nobody can learn words from them. They hold the model to writing nothing where it hears none, and
need no other speech.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from moontune.config import RunConfig
from moontune.manifest import Utterance
from moontune.model import Base
from moontune.parallel import Group
from moontune.stream import spread
from moontune.transcribe import Transcriber, load_audio, shared_batches

_MOST = 300  # clips; transcribing them takes a small part of a training's time


def written_backwards(
    base: Base, own: Sequence[Utterance], config: RunConfig, group: Group
) -> dict[str, str]:
    """What the base writes for some of the clips, heard backwards, by id.

    As many as are wanted in training. A clip that it does not come to an end with is left out.
    """
    train = config.train
    places = train.updates * train.batch_size * train.grad_accum
    some = spread(own, min(math.ceil(places * train.backwards_share), _MOST))
    clips = [u.with_(backwards=True) for u in some]
    lower = config.labels.label_style == "lower"
    transcribe, found = Transcriber(base), []
    for indices in shared_batches(clips, group):
        part = [clips[i] for i in indices]
        said = transcribe([load_audio(u) for u in part], config.eval.token_cap)
        for u, t in zip(part, said, strict=True):
            if not t.truncated:
                found.append((u.id, t.text.lower() if lower else t.text))
    return dict(group.gather(found))


def backwards(own: Sequence[Utterance], written: dict[str, str]) -> list[Utterance]:
    """Those clips, to train on."""
    return [
        u.with_(backwards=True, text=written[u.id], target=written[u.id])
        for u in own
        if u.id in written
    ]
