"""Loss and transcripts of a model on a manifest: one code path for the base and the tuned model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from moontune.config.schema import Decoding, TokenCap
from moontune.data.manifest import Utterance, manifest_hash
from moontune.data.normalizer import normalize, normalizer_name
from moontune.evaluation.degeneration import looped_row
from moontune.evaluation.error_rates import (
    CharacterEdits,
    Edits,
    character_edits,
    corpus_cer,
    corpus_wer,
    sum_edits,
    word_edits,
)
from moontune.evaluation.predictions import (
    ConsensusTranscript,
    LoopedTranscript,
    PredictionRow,
    consensus_row,
)
from moontune.evaluation.typography import reference_in_style_of
from moontune.languages.table import current
from moontune.models.base_model import Base, target_ids
from moontune.models.consensus import BEAMS, Beams
from moontune.models.packed.layout import some_of
from moontune.models.transcriber import LoadAudio, Transcriber, seconds_of, shared_batches
from moontune.system.distributed import SINGLE, ProcessGroup

if TYPE_CHECKING:
    import numpy as np

Step = Callable[[int, int], None]
_DIGITS = 5  # of a confidence
_METHODS: dict[Decoding, str] = {
    "greedy": "greedy",
    "consensus": "greedy, and consensus",
    "thorough": "greedy, and consensus at three speeds",
}


@dataclass(frozen=True)
class Prediction:
    """A model's transcript of one clip, with what every figure is computed from."""

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
    loss_words: float  # of the same words in the model's own case and punctuation, if that is less
    target_tokens: int
    edits: Edits
    characters: CharacterEdits
    group: str | None = None  # the session that the split kept whole
    looped: LoopedTranscript | None = None  # greedy, in whose place another stands
    consensus: ConsensusTranscript | None = None  # where it was asked for
    beams: list[tuple[str, float, bool]] | None = None  # that it is chosen from

    def row(self) -> PredictionRow:
        row = asdict(self)
        for name in ("group", "looped", "consensus", "beams"):
            if row[name] is None:
                del row[name]
        return cast("PredictionRow", row)


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on one manifest, with what made them comparable."""

    loss: float  # nats per target token, EOS included
    loss_words: float  # what is left of it when case and punctuation are the model's own
    wer: float | None  # also None where words are not separated
    cer: float | None
    edits: Edits
    utterances: int
    truncated: int
    target_tokens: int
    manifest: str  # hash of ids, references and targets
    audio: str  # hash of the samples that were heard
    normalizer: str
    decoding: dict[str, Any]
    predictions: list[Prediction]

    @property
    def rate(self) -> float | None:
        """The error rate that leads: CER where words are not separated and there is no WER."""
        return self.cer if self.wer is None else self.wer

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
    cap: TokenCap,
    decoding: Decoding = "greedy",
    step: Step | None = None,
    group: ProcessGroup = SINGLE,
) -> Evaluation:
    """Loss per target token and corpus error rates; `base.net` may carry an adapter.

    They are of greedy transcripts; with `consensus` the clips are decoded that way as well.

    Figures of a clip do not depend on the clips it shares a batch with: see `packed`. The
    processes of `group` share the batches, and every one of them returns the whole.
    """
    base.net.eval()
    transcriber = Transcriber(base, decoding)
    found: list[tuple[int, Prediction, bytes]] = []
    mine = shared_batches(utterances, group)
    for indices in mine:
        part = [utterances[i] for i in indices]
        clips = [load_audio(u) for u in part]
        heard = [hashlib.sha256(clip.tobytes()).digest() for clip in clips]
        predictions = _predict(base, transcriber, part, clips, cap, decoding)
        found += zip(indices, predictions, heard, strict=True)
        if step:
            step(len(found), sum(map(len, mine)))
    found = sorted(group.gather(found), key=lambda f: f[0])
    audio = hashlib.sha256(b"".join(digest for _, _, digest in found)).hexdigest()[:16]
    return _summarize([p for _, p, _ in found], utterances, audio, (cap, decoding))


def _predict(
    base: Base,
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    clips: Sequence[np.ndarray],
    cap: TokenCap,
    decoding: Decoding,
) -> list[Prediction]:
    packed = transcriber.packed
    cross_keys = transcriber.encode(clips)
    durations = seconds_of(clips)
    written = transcriber.greedy(cross_keys, durations, cap)
    searched: list[Beams | None] = [None for _ in clips]
    if decoding != "greedy":
        searched[:] = transcriber.searched(clips, cross_keys, cap)

    own = [reference_in_style_of(u.label, w.text) for u, w in zip(utterances, written, strict=True)]
    other = [i for i, u in enumerate(utterances) if own[i] != u.label]
    labels, own_labels = (
        [target_ids(base.tokenizer, text, packed.eos) for text in texts]
        for texts in ([u.label for u in utterances], [own[i] for i in other])
    )
    losses = packed.losses(cross_keys, labels)
    loss_words = list(losses)
    if other:
        own_losses = packed.losses(some_of(cross_keys, other), own_labels)
        for i, loss in zip(other, own_losses, strict=True):
            loss_words[i] = min(losses[i], loss)
    return [
        Prediction(
            id=u.id,
            speaker=u.speaker,
            duration=round(durations[i], 3),
            reference=u.text,
            target=u.label,
            hypothesis=written[i].text,
            normalized_reference=normalize(u.text),
            normalized_hypothesis=normalize(written[i].text),
            tokens=written[i].tokens,
            truncated=written[i].truncated,
            loss=losses[i],
            loss_words=loss_words[i],
            target_tokens=len(labels[i]),
            edits=word_edits(u.text, written[i].text),
            characters=character_edits(u.text, written[i].text),
            group=u.group,
            looped=cast("LoopedTranscript | None", looped_row(written[i])),
            **_consensus(u.text, searched[i], transcriber),
        )
        for i, u in enumerate(utterances)
    ]


def _consensus(reference: str, searched: Beams | None, transcriber: Transcriber) -> dict[str, Any]:
    """The consensus of a clip's beams, and the beams, as fields of its prediction; none where it
    was not asked for."""
    if searched is None:
        return {}
    transcript = transcriber.agreed(searched)
    found = consensus_row(reference, transcript.text)
    if transcript.confidences is not None:
        found["confidences"] = [round(p, _DIGITS) for p in transcript.confidences]
    if transcriber.speeds > 1:
        found["speeds"] = transcriber.speeds
    return {"consensus": found, "beams": [(t.text, p, t.truncated) for t, p in searched]}


def _summarize(
    predictions: Sequence[Prediction],
    utterances: Sequence[Utterance],
    audio: str,
    under: tuple[TokenCap, Decoding],
) -> Evaluation:
    """Corpus figures: sums over clips, never averages of ratios."""
    cap, decoding = under
    tokens = sum(p.target_tokens for p in predictions)
    edits = [p.edits for p in predictions]
    return Evaluation(
        loss=sum(p.loss for p in predictions) / tokens,
        loss_words=sum(p.loss_words for p in predictions) / tokens,
        wer=corpus_wer(edits) if current().spaced else None,
        cer=corpus_cer(p.characters for p in predictions),
        edits=sum_edits(edits),
        utterances=len(predictions),
        truncated=sum(p.truncated for p in predictions),
        target_tokens=tokens,
        manifest=manifest_hash(utterances),
        audio=audio,
        normalizer=normalizer_name(),
        decoding={
            "method": _METHODS[decoding],
            "endless": f"consensus of {BEAMS} beams",
            "tokens_per_second": cap.per_second,
            "token_margin": cap.margin,
        },
        predictions=list(predictions),
    )
