"""The run's own clips heard backwards, with what the base writes for them: often nothing.

No word can be learnt from them. They hold the model to what the base does where nothing can be
understood, and need no other speech.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from moontune.config.schema import TokenCap, TrainConfig
from moontune.data.manifest import Utterance
from moontune.data.truecasing import style_of
from moontune.models.base_model import Base
from moontune.models.decoding import Transcript
from moontune.models.transcriber import Transcriber, transcripts_of
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Progress, no_progress
from moontune.training.sampling import evenly_spaced

_MOST = 300  # clips; transcribing them takes a small part of a training's time


def choose(own: Sequence[Utterance], config: TrainConfig) -> list[Utterance]:
    """Clips to reverse: as many as the training has places for."""
    places = config.updates * config.batch_size * config.grad_accum
    return evenly_spaced(own, min(math.ceil(places * config.backwards_share), _MOST))


def base_transcripts_reversed(
    base: Base,
    clips: Sequence[Utterance],
    cap: TokenCap,
    group: ProcessGroup = SINGLE,
    progress: Progress = no_progress,
    *,
    keep: Callable[[Sequence[Utterance], Sequence[str | None]], object] = lambda *_: None,
) -> dict[str, str | None]:
    """The base's transcripts of reversed clips, by id; None where it comes to no end.

    `keep` gets some as soon as they are written.
    """
    turned = [replace(u, backwards=True) for u in clips]

    def step(done: int, total: int) -> None:
        progress(done, total, "clips heard backwards by the base")

    def kept(some: Sequence[Utterance], transcripts: Sequence[Transcript]) -> None:
        keep(some, list(map(_text, transcripts)))

    transcriber = Transcriber(base, mends_loops=False)
    found = transcripts_of(transcriber, turned, cap, group, step, keep=kept)
    return {u.id: _text(t) for u, t in zip(clips, found, strict=True)}


def _text(transcript: Transcript) -> str | None:
    return None if transcript.truncated else transcript.text


def as_training_clips(
    own: Sequence[Utterance], transcripts: dict[str, str | None]
) -> list[Utterance]:
    """The clips that can be trained on, with their texts in the letters that the labels have."""
    labels = [u.label for u in own]
    in_style = str
    if style_of(labels) == "upper":
        in_style = str.upper
    elif not any(c.isupper() for label in labels for c in label):
        in_style = str.lower
    texts = {name: in_style(text) for name, text in transcripts.items() if text is not None}
    return [
        replace(u, backwards=True, text=texts[u.id], target=texts[u.id])
        for u in own
        if u.id in texts
    ]
