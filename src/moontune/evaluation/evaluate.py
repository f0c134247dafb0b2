"""Loss and transcripts of a model on a manifest: one code path for the base and the tuned model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from moontune.config.schema import Decoding, TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
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
from moontune.models.decoding import Transcript
from moontune.models.packed.greedy import Writing, Written
from moontune.models.packed.layout import some_of
from moontune.models.transcriber import LoadAudio, Transcriber, seconds_of, shared_batches
from moontune.system.distributed import SINGLE, ProcessGroup

if TYPE_CHECKING:
    import numpy as np

Step = Callable[[int, int], None]
_DIGITS = 5  # of a confidence
# Seconds of clips that are encoded together, and how many times as much is written at once; both
# bound the memory.
_TOGETHER_S = {"cpu": 40.0, "cuda": 160.0, "mps": 160.0}
_AT_ONCE = 4
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
    judging = _Judging(base, decoding, cap)
    mine = shared_batches(utterances, group, judging.together_s)
    found: list[_Judged] = []
    batches = ([(i, utterances[i]) for i in indices] for indices in mine)
    for judged in judging(batches, load_audio):
        found += judged
        if step:
            step(len(found), sum(map(len, mine)))
    found = sorted(group.gather(found), key=lambda f: f[0])
    audio = hashlib.sha256(b"".join(digest for _, _, digest in found)).hexdigest()[:16]
    return _summarize([p for _, p, _ in found], utterances, audio, (cap, decoding))


_Judged = tuple[int, Prediction, bytes]  # the clip's place, and a digest of what was heard


@dataclass(frozen=True)
class _Heard:
    """A clip whose transcript is on its way."""

    utterance: Utterance
    digest: bytes
    seconds: float
    labels: list[int]
    loss: float
    searched: Beams | None  # where a consensus was asked for


class _Judging:
    """Losses and transcripts of clips, of some more while others are still being written."""

    def __init__(self, base: Base, decoding: Decoding, cap: TokenCap) -> None:
        self._base, self._decoding, self._cap = base, decoding, cap
        self._transcriber = Transcriber(base, decoding)
        self._packed = self._transcriber.packed
        self._writing = Writing(self._packed)
        self._heard: dict[int, _Heard] = {}
        self.together_s = _TOGETHER_S[self._packed.device.type]

    def __call__(
        self, batches: Iterable[Sequence[tuple[int, Utterance]]], load_audio: LoadAudio
    ) -> Iterator[list[_Judged]]:
        most = int(_AT_ONCE * self.together_s * SAMPLE_RATE_HZ) // self._packed.times.hop
        for batch in batches:
            clips = [load_audio(u) for _, u in batch]
            room = most - sum(len(clip) // self._packed.times.hop for clip in clips)
            yield from map(self._judged, self._writing.until(max(0, room)))
            self._hear(batch, clips)
        yield from map(self._judged, self._writing.until(0))

    def _hear(self, batch: Sequence[tuple[int, Utterance]], clips: Sequence[np.ndarray]) -> None:
        """Begin to write a batch."""
        keys, durations = self._transcriber.encode(clips), seconds_of(clips)
        labels = [self._label(u.label) for _, u in batch]
        searched: list[Beams | None] = [None for _ in clips]
        if self._decoding != "greedy":
            searched[:] = self._transcriber.searched(clips, keys, self._cap)
        forced = self._packed.forced(keys, labels)
        for of_clip in zip(batch, clips, durations, labels, forced.losses, searched, strict=True):
            (i, utterance), clip, *rest = of_clip
            self._heard[i] = _Heard(utterance, hashlib.sha256(clip.tobytes()).digest(), *rest)
        caps = list(map(self._cap, durations))
        self._writing.add([i for i, _ in batch], keys, caps, forced)

    def _judged(self, written: Written) -> list[_Judged]:
        heard = [self._heard.pop(i) for i in written.clips]
        keys, durations = written.cross_keys, [one.seconds for one in heard]
        transcripts = self._transcriber.of_tokens(written.tokens, keys, durations, self._cap)
        both = zip(heard, transcripts, strict=True)
        own = [reference_in_style_of(one.utterance.label, t.text) for one, t in both]
        other = [i for i, one in enumerate(heard) if own[i] != one.utterance.label]
        loss_words = [one.loss for one in heard]
        if other:
            own_labels = [self._label(own[i]) for i in other]
            own_losses = self._packed.losses(some_of(keys, other), own_labels)
            for i, loss in zip(other, own_losses, strict=True):
                loss_words[i] = min(loss_words[i], loss)
        found = map(self._prediction, heard, transcripts, loss_words)
        return list(zip(written.clips, found, [one.digest for one in heard], strict=True))

    def _label(self, text: str) -> list[int]:
        return target_ids(self._base.tokenizer, text, self._packed.eos)

    def _prediction(self, heard: _Heard, written: Transcript, loss_words: float) -> Prediction:
        u = heard.utterance
        return Prediction(
            id=u.id,
            speaker=u.speaker,
            duration=round(heard.seconds, 3),
            reference=u.text,
            target=u.label,
            hypothesis=written.text,
            normalized_reference=normalize(u.text),
            normalized_hypothesis=normalize(written.text),
            tokens=written.tokens,
            truncated=written.truncated,
            loss=heard.loss,
            loss_words=loss_words,
            target_tokens=len(heard.labels),
            edits=word_edits(u.text, written.text),
            characters=character_edits(u.text, written.text),
            group=u.group,
            looped=cast("LoopedTranscript | None", looped_row(written)),
            **_consensus(u.text, heard.searched, self._transcriber),
        )


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
