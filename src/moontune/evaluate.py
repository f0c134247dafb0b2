"""Loss and transcripts of a model on a manifest: one code path for the base and the tuned model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from moontune.audio import SAMPLE_RATE_HZ
from moontune.manifest import Utterance, manifest_hash
from moontune.model import (
    Base,
    encode,
    pad_labels,
    target_ids,
    token_losses,
)
from moontune.scoring import Edits, corpus_wer, word_edits
from moontune.text import normalize, normalizer_name
from moontune.transcribe import transcript

if TYPE_CHECKING:
    import numpy as np

LoadAudio = Callable[[Utterance], "np.ndarray"]
Step = Callable[[int, int], None]


@dataclass(frozen=True)
class Prediction:
    """What the model wrote for one clip, and what every figure is computed from."""

    id: str
    speaker: str | None
    duration: float  # seconds
    reference: str
    target: str  # the reference in training style, which the loss is measured on
    hypothesis: str
    normalized_reference: str
    normalized_hypothesis: str
    tokens: list[int]  # greedy, EOS included where it came
    truncated: bool  # the token cap ended it
    loss: float  # summed over target tokens, nats
    target_tokens: int
    edits: Edits

    def row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on one manifest, with what made them comparable."""

    loss: float  # nats per target token, EOS included
    wer: float | None
    edits: Edits
    utterances: int
    truncated: int
    target_tokens: int
    manifest: str  # hash of ids, references and targets
    normalizer: str
    decoding: dict[str, Any]
    predictions: list[Prediction]

    def summary(self) -> dict[str, Any]:
        row = asdict(self)
        del row["predictions"]
        return row


@torch.no_grad()
def evaluate(
    base: Base,
    utterances: Sequence[Utterance],
    load_audio: LoadAudio,
    *,
    tokens_per_second: float,
    step: Step | None = None,
) -> Evaluation:
    """Loss per target token and corpus WER, clip by clip; `base.net` may carry an adapter."""
    base.net.eval()
    predictions: list[Prediction] = []
    for index, u in enumerate(utterances):
        predictions.append(_predict(base, u, load_audio(u), tokens_per_second))
        if step:
            step(index + 1, len(utterances))
    return summarize(predictions, utterances, tokens_per_second)


def _predict(base: Base, u: Utterance, samples: np.ndarray, tokens_per_second: float) -> Prediction:
    net = base.net
    eos = int(net.config.eos_token_id)  # type: ignore[arg-type]
    encoded = encode(net, [samples], base.device)
    labels = pad_labels([target_ids(base.tokenizer, u.label, eos)], base.device)
    loss = float(token_losses(net, encoded, labels)[0])
    duration = len(samples) / SAMPLE_RATE_HZ
    written = transcript(base, encoded, duration, tokens_per_second)
    return Prediction(
        id=u.id,
        speaker=u.speaker,
        duration=round(duration, 3),
        reference=u.text,
        target=u.label,
        hypothesis=written.text,
        normalized_reference=normalize(u.text),
        normalized_hypothesis=normalize(written.text),
        tokens=written.tokens,
        truncated=written.truncated,
        loss=loss,
        target_tokens=labels.shape[1],
        edits=word_edits(u.text, written.text),
    )


def summarize(
    predictions: Sequence[Prediction], utterances: Sequence[Utterance], tokens_per_second: float
) -> Evaluation:
    """Corpus figures: sums over clips, never averages of ratios."""
    tokens = sum(p.target_tokens for p in predictions)
    edits = [p.edits for p in predictions]
    return Evaluation(
        loss=sum(p.loss for p in predictions) / tokens,
        wer=corpus_wer(edits),
        edits=Edits(
            sum(e.substitutions for e in edits),
            sum(e.deletions for e in edits),
            sum(e.insertions for e in edits),
            sum(e.words for e in edits),
        ),
        utterances=len(predictions),
        truncated=sum(p.truncated for p in predictions),
        target_tokens=tokens,
        manifest=manifest_hash(utterances),
        normalizer=normalizer_name(),
        decoding={"method": "greedy", "tokens_per_second": tokens_per_second, "batch_size": 1},
        predictions=list(predictions),
    )


@torch.no_grad()
def mean_loss(
    base: Base, utterances: Sequence[Utterance], load_audio: LoadAudio, step: Step | None = None
) -> float:
    """Nats per target token over a whole split (validation during training)."""
    base.net.eval()
    eos = int(base.net.config.eos_token_id)  # type: ignore[arg-type]
    total, tokens = 0.0, 0
    for index, u in enumerate(utterances):
        encoded = encode(base.net, [load_audio(u)], base.device)
        labels = pad_labels([target_ids(base.tokenizer, u.label, eos)], base.device)
        total += float(token_losses(base.net, encoded, labels)[0])
        tokens += labels.shape[1]
        if step:
            step(index + 1, len(utterances))
    return total / tokens
