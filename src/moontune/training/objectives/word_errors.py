"""Minimum word error rate training (Prabhavalkar et al. 2018, arXiv 1712.01818).

Of a clip the model as it is writes its likeliest transcripts, by beam search. Their probabilities,
made to sum to one, say how many word errors it expects to make among them. That number falls: the
better transcripts get likelier, the worse ones less. A clip whose transcripts all err alike, such
as one with a wrong reference, gives no gradient. Errors are those of normalised words, so case and
punctuation are neither rewarded nor punished; against drift, a share of the usual loss is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from moontune.config.schema import TokenCap, TrainConfig
from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base
from moontune.models.packed.beams import Beam, beams
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import CrossKeys, PackedClips, joined, some_of
from moontune.system.distributed import ProcessGroup
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood

WIDTH = 8  # transcripts of a clip
USUAL = 0.3  # weight of the usual loss beside expected errors a word
_RATE = 0.5  # of the usual peak rate


def settings_of_stage(config: TrainConfig) -> TrainConfig:
    """Settings of the stage on word errors that follows on a training by `config`.

    Of its own way, too, that begins where the training's share led, only that share (`wise_ft`) is
    gone. It is measured before its first and after its last update.
    """
    return replace(
        config,
        max_steps=config.mwer_steps,
        lr=_RATE * config.peak_lr,
        warmup_steps=None,
        eval_every_steps=config.mwer_steps,
        early_stop_patience=0,
        ema_decay=0.95,
        token_dropout=0.0,
    )


def expected_errors(log_probabilities: torch.Tensor, errors: torch.Tensor) -> torch.Tensor:
    """Errors expected of a clip, (): its transcripts' (n,) errors weighed by their (n,) log
    probabilities, made to sum to one."""
    return (torch.softmax(log_probabilities, 0) * errors).sum()


class WordErrors:
    """Expected errors a reference word of the run's own clips, and `USUAL` of the usual loss of
    all clips."""

    def __init__(
        self, base: Base, losses: LossComputer, cap: TokenCap, own: frozenset[str]
    ) -> None:
        """`own` are the ids of clips whose errors count: not those replayed or heard backwards."""
        self._base, self._losses, self._cap, self._own = base, losses, cap, own
        self._usual = Likelihood(losses, USUAL)

    def add_gradients(self, clips: Sequence[Utterance], group: ProcessGroup) -> tuple[float, int]:
        """As `Likelihood` has it."""
        total, tokens = self._usual.add_gradients(clips, group)
        own = [u for u in clips if u.id in self._own and not u.backwards]
        words = max(1, sum(len(self._reference(u)) for u in own))
        parts = []
        for packed_clips, some, lists in self._lists(_share(own, group)):
            loss = self._expected(packed_clips, some, lists) / words
            loss.backward()
            parts.append(loss.detach())
        return total + (float(torch.stack(parts).sum()) if parts else 0.0), tokens

    def validate(self, utterances: Sequence[Utterance], group: ProcessGroup) -> float:
        """Expected errors a reference word of a split."""
        total = 0.0
        with torch.no_grad():
            for _, some, lists in self._lists(_share(utterances, group)):
                for u, found in zip(some, lists, strict=True):
                    likely = torch.tensor([beam.log_probability for beam in found])
                    total += float(expected_errors(likely, self._errors(u, found)))
        [total] = group.sums(total)
        return total / max(1, sum(len(self._reference(u)) for u in utterances))

    def _lists(
        self, utterances: Sequence[Utterance]
    ) -> Iterator[tuple[PackedClips, list[Utterance], list[list[Beam]]]]:
        """The utterances a pass at a time, what the encoder gets of them, and their beams."""
        losses, begin = self._losses, 0
        writer = packed_forward(self._base.net, losses.packed.dtype, merged=True)
        for clips in losses.packs(utterances, losses.frames // 2):
            some = list(utterances[begin : begin + len(clips.layout.lengths)])
            begin += len(some)
            with torch.no_grad():
                keys = joined([writer.cross_keys(losses.encoded(clips, writer))])
                caps = [self._cap(u.duration_or_1s) for u in some]
                lists = self._transcripts(writer, keys, caps)
            yield clips, some, lists  # outside, or the caller's gradients would be off too

    def _transcripts(
        self, writer: PackedForward, keys: CrossKeys, caps: Sequence[int]
    ) -> list[list[Beam]]:
        """What each clip's errors are expected among."""
        return beams(writer, keys, caps, WIDTH)

    def _of_clip(self, likely: torch.Tensor, errors: torch.Tensor) -> torch.Tensor:
        """What falls, (): of a clip's transcripts, their (n,) log probabilities and errors."""
        return expected_errors(likely, errors)

    def _expected(
        self, clips: PackedClips, utterances: Sequence[Utterance], lists: Sequence[list[Beam]]
    ) -> torch.Tensor:
        """The sum of the clips' expected errors, with gradients."""
        losses, packed = self._losses, self._losses.packed
        owners = [i for i, found in enumerate(lists) for _ in found]
        tokens = [beam.tokens for found in lists for beam in found]
        keys = some_of(packed.cross_keys(losses.encoded(clips)), owners)
        of_tokens = packed.token_losses(keys, tokens).split([len(ids) for ids in tokens])
        likely = -torch.stack([part.sum() for part in of_tokens])
        of_clips = zip(
            utterances, lists, likely.split([len(found) for found in lists]), strict=True
        )
        return torch.stack(
            [self._of_clip(p, self._errors(u, found).to(p)) for u, found, p in of_clips]
        ).sum()

    def _errors(self, u: Utterance, found: Sequence[Beam]) -> torch.Tensor:
        """Word errors of each of a clip's transcripts, (n,)."""
        from rapidfuzz.distance import Levenshtein

        decode, reference = self._base.tokenizer.decode, self._reference(u)
        texts = [decode(beam.tokens, skip_special_tokens=True) for beam in found]
        edits = [Levenshtein.distance(reference, normalize(text).split()) for text in texts]
        return torch.tensor(edits, dtype=torch.float32)

    def _reference(self, u: Utterance) -> list[str]:
        """The words that errors are counted against."""
        return normalize(u.label).split()


def _share(utterances: Sequence[Utterance], group: ProcessGroup) -> list[Utterance]:
    return group.shard(list(utterances), lambda u: u.duration_or_1s)
