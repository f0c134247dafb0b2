"""Audio to text with a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from moontune.config.schema import Decoding, TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, SHORTEST_SAMPLES, AudioError, read_audio
from moontune.data.manifest import Utterance
from moontune.data.sound.speeds import SPEEDS, at_other_speeds
from moontune.errors import UserError
from moontune.languages.words import written_words
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, target_ids
from moontune.models.confidence.agreement import evidence
from moontune.models.confidence.calibration import Calibration, default_confidence
from moontune.models.consensus import BEAMS, Beams, agreed
from moontune.models.decoding import (
    BATCH_S,
    TimedWord,
    Transcript,
    endless,
    length_batches,
    whole_characters,
)
from moontune.models.key_terms.weighing import KeyTerms, KeyTermWriter, Tokenized
from moontune.models.language_model import LanguageModel
from moontune.models.packed.alignment import token_starts
from moontune.models.packed.beams import beams
from moontune.models.packed.greedy import greedy
from moontune.models.packed.layout import CrossKeys, joined, packs_of, some_of
from moontune.system.distributed import ProcessGroup

Written = TypeVar("Written")  # what is made of a clip: its transcript, or its beams
LoadAudio = Callable[[Utterance], np.ndarray]  # samples of an utterance, float32 16 kHz
_TEXTS = 64  # whose losses are computed together, which bounds the memory
_BEAM_CLIPS = 16  # whose beams are searched at once, which bounds the memory
# Frames that go through the encoder at once, which bounds it too.
_FRAMES = {"cpu": 2_000, "cuda": 50_000, "mps": 50_000}


class Transcriber:
    """A base, with the adapter on it as it is now, ready to encode and to decode, in float32.

    With `mends_loops` a greedy transcript that loops, or that the token cap ended, gives way to the
    consensus of the clip's beams, if that comes to an end; `greedy` keeps it. Without, transcripts
    are those of `generate`, token by token. Words of a consensus carry confidences, by
    `calibration`; a `language_model` has a say in it. `key_terms` are written where they sound like
    what is there and are likely.
    """

    def __init__(
        self,
        base: Base,
        decoding: Decoding = "greedy",
        *,
        mends_loops: bool = True,
        calibration: Calibration | None = None,
        key_terms: KeyTerms | None = None,
        language_model: LanguageModel | None = None,
    ) -> None:
        self._base, self._decoding, self._mends_loops = base, decoding, mends_loops
        self._calibration = calibration or Calibration()
        self._language_model = language_model
        self.packed = packed_forward(base.net, merged=True)
        self._key_terms = key_terms and KeyTermWriter(key_terms, self._label)

    @torch.no_grad()
    def encode(self, clips: Sequence[np.ndarray]) -> CrossKeys:
        """Keys and values of clips, each (samples,) float32 mono at 16 kHz."""
        packed, most = self.packed, _FRAMES[self.packed.device.type]
        fronts = packs_of(map(packed.features, clips), most)
        return joined([packed.cross_keys(packed.encode(front)) for front in fronts])

    def greedy(
        self, cross_keys: CrossKeys, durations_s: Sequence[float], cap: TokenCap
    ) -> list[Transcript]:
        """Greedy transcripts of encoded clips, each under its own token cap."""
        tokens = greedy(self.packed, cross_keys, [cap(seconds) for seconds in durations_s])
        return self.of_tokens(tokens, cross_keys, durations_s, cap)

    def of_tokens(
        self,
        tokens: Sequence[list[int]],
        cross_keys: CrossKeys,
        durations_s: Sequence[float],
        cap: TokenCap,
    ) -> list[Transcript]:
        """Greedy transcripts of encoded clips, of which these tokens are written."""
        found = list(map(self._transcript, tokens))
        return self._mended(found, cross_keys, durations_s, cap) if self._mends_loops else found

    def _mended(
        self,
        transcripts: Sequence[Transcript],
        cross_keys: CrossKeys,
        durations_s: Sequence[float],
        cap: TokenCap,
    ) -> list[Transcript]:
        """Greedy transcripts of encoded clips, those mended that come to no end."""
        found = list(transcripts)
        again = [i for i, t in enumerate(found) if endless(t)]
        if again:
            keys, seconds = some_of(cross_keys, again), [durations_s[i] for i in again]
            for i, mended in zip(again, self.consensus(keys, seconds, cap), strict=True):
                if not endless(mended):
                    found[i] = replace(mended, greedy=found[i], confidences=None)
        return found

    def mended_clips(
        self, transcripts: Sequence[Transcript], clips: Sequence[np.ndarray], cap: TokenCap
    ) -> list[Transcript]:
        """The same of clips whose greedy transcripts another runtime wrote."""
        return self._mended(transcripts, self.encode(clips), seconds_of(clips), cap)

    def consensus(
        self, cross_keys: CrossKeys, durations_s: Sequence[float], cap: TokenCap
    ) -> list[Transcript]:
        """Transcripts that a clip's beams agree with most: two to three times greedy's time."""
        return [self.agreed(written) for written in self.search(cross_keys, durations_s, cap)]

    def search(
        self,
        cross_keys: CrossKeys,
        durations_s: Sequence[float],
        cap: TokenCap,
        others: Sequence[CrossKeys] = (),
    ) -> list[Beams]:
        """The beams of encoded clips, that a consensus is chosen from; `others`: the same clips
        `at_other_speeds`."""
        found: list[Beams] = []
        for first in range(0, len(durations_s), _BEAM_CLIPS):
            some = range(first, min(first + _BEAM_CLIPS, len(durations_s)))
            caps = [cap(durations_s[i]) for i in some]
            hearings = (
                beams(self.packed, some_of(keys, some), caps, BEAMS)
                for keys in (cross_keys, *others)
            )
            for of_clip in zip(*hearings, strict=True):
                likeliest = sorted(itertools.chain(*of_clip), key=lambda b: -b.log_probability)
                found.append([(self._transcript(b.tokens), b.log_probability) for b in likeliest])
        return found

    @property
    def speeds(self) -> int:
        """That each clip is heard at for its consensus."""
        return 1 + len(SPEEDS) if self._decoding == "thorough" else 1

    def at_other_speeds(self, clips: Sequence[np.ndarray]) -> list[CrossKeys]:
        """Keys and values of clips as they sound at each other speed."""
        heard = (at_other_speeds(clip, SHORTEST_SAMPLES) for clip in clips)
        return [self.encode(same) for same in zip(*heard, strict=True)]

    def agreed(self, written: Beams) -> Transcript:
        """The consensus of a clip's beams."""
        if not written:  # nothing is likely: the weights are no numbers, which others say
            return Transcript("", [self.packed.start], truncated=True, confidences=())
        chosen = agreed(written, self._language_model)
        sure = map(default_confidence, evidence(chosen.text, written))
        return replace(chosen, confidences=tuple(map(self._calibration, sure)))

    def _transcript(self, tokens: list[int]) -> Transcript:
        text = whole_characters(self._base.tokenizer.decode(tokens, skip_special_tokens=True))
        return Transcript(text, tokens, tokens[-1:] != [self.packed.eos])

    def decode(
        self, clips: Sequence[np.ndarray], cross_keys: CrossKeys, cap: TokenCap
    ) -> list[Transcript]:
        """Transcripts of clips that are encoded already, by the transcriber's own decoding."""
        if self._decoding == "greedy":
            found = self.greedy(cross_keys, seconds_of(clips), cap)
        else:
            found = list(map(self.agreed, self.searched(clips, cross_keys, cap)))
        return self.with_key_terms(cross_keys, found)

    def searched(
        self, clips: Sequence[np.ndarray], cross_keys: CrossKeys, cap: TokenCap
    ) -> list[Beams]:
        """The beams of clips that are encoded already, at other speeds too if it is thorough."""
        others = self.at_other_speeds(clips) if self.speeds > 1 else ()
        return self.search(cross_keys, seconds_of(clips), cap, others)

    def with_key_terms(
        self, cross_keys: CrossKeys, transcripts: Sequence[Transcript]
    ) -> list[Transcript]:
        """Transcripts of encoded clips with the key terms that were said, where there is a list."""
        if self._key_terms is None:
            return list(transcripts)
        return self._key_terms(transcripts, partial(self._losses_of, cross_keys))

    def tries_key_terms(self, transcript: Transcript) -> bool:
        """Whether anything in it is like a term of the list."""
        return self._key_terms is not None and bool(self._key_terms.candidates(transcript))

    def by_bonus(
        self,
        cross_keys: CrossKeys,
        transcripts: Sequence[Transcript],
        bonuses: Sequence[float],
    ) -> list[list[Transcript]]:
        """Transcripts of encoded clips with the list's terms, by each bonus in place of its own."""
        assert self._key_terms is not None
        return self._key_terms.by_bonus(transcripts, partial(self._losses_of, cross_keys), bonuses)

    def _label(self, text: str) -> list[int]:
        return target_ids(self._base.tokenizer, text, self.packed.eos)

    @torch.no_grad()
    def _losses_of(self, cross_keys: CrossKeys, texts: Sequence[Tokenized]) -> list[float]:
        found: list[float] = []
        for first in range(0, len(texts), _TEXTS):
            some = texts[first : first + _TEXTS]
            keys = some_of(cross_keys, [text.clip for text in some])
            found += self.packed.losses(keys, [text.ids for text in some])
        return found

    def __call__(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        return self.decode(clips, self.encode(clips), cap)

    def search_clips(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Beams]:
        """The beams of clips, as often as the transcriber's own decoding hears them."""
        return self.searched(clips, self.encode(clips), cap)

    def timed(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        """As calling it, and when each word begins: a second pass of the decoder."""
        cross_keys, lengths = self.encode(clips), [len(clip) for clip in clips]
        transcripts = self.decode(clips, cross_keys, cap)
        starts = token_starts(self.packed, cross_keys, [t.tokens for t in transcripts])
        return [
            replace(transcript, words=self._words(transcript, begun, length))
            for transcript, begun, length in zip(transcripts, starts, lengths, strict=True)
        ]

    @torch.no_grad()
    def losses(
        self, clips: Sequence[np.ndarray], said: Sequence[tuple[int, Sequence[str]]]
    ) -> list[list[np.ndarray]]:
        """Nats of each token of sentences that may be said, one after another, in the clip of a
        place: by sentence, (tokens,) each. What the end costs is left out.
        """
        eos = self.packed.eos
        tokens = [[target_ids(self._base.tokenizer, s, eos)[:-1] for s in some] for _, some in said]
        labels = [[*itertools.chain(*some), eos] for some in tokens]
        keys = some_of(self.encode(clips), [place for place, _ in said])
        found = self.packed.token_losses(keys, labels).cpu().split([len(ids) for ids in labels])
        return [
            [part.numpy() for part in loss[:-1].split([len(ids) for ids in some])]
            for loss, some in zip(found, tokens, strict=True)
        ]

    def _words(
        self, transcript: Transcript, starts: np.ndarray, length: int
    ) -> tuple[TimedWord, ...] | None:
        """Words and their times, each until the next begins; None where tokens make other words
        than the text has."""
        tokens = transcript.tokens
        firsts: list[int] = []
        for i in range(len(tokens)):
            written = self._base.tokenizer.decode(tokens[: i + 1], skip_special_tokens=True)
            firsts += [i] * (len(written_words(written)) - len(firsts))
        texts = written_words(transcript.text)
        if len(firsts) != len(texts):
            return None
        ended = length if transcript.truncated else int(starts[-1])  # where EOS begins
        edges = [*(int(starts[i]) for i in firsts), max(ended, int(starts[-1]))]
        seconds = [min(edge, length) / SAMPLE_RATE_HZ for edge in edges]
        sure = transcript.confidences or [None] * len(texts)
        return tuple(map(TimedWord, texts, seconds, seconds[1:], sure))


def transcripts_of(
    transcribe: Callable[[Sequence[np.ndarray], TokenCap], list[Written]],
    utterances: Sequence[Utterance],
    cap: TokenCap,
    group: ProcessGroup,
    step: Callable[[int, int], object],
    *,
    keep: Callable[[Sequence[Utterance], Sequence[Written]], object] = lambda *_: None,
) -> list[Written]:
    """Transcripts of utterances, or their beams, in their order; the processes of `group` share the
    work.

    `step` is told how many of this process's are done, `keep` gets some as soon as they are.
    """
    batches = shared_batches(utterances, group)
    total = sum(map(len, batches))
    found: list[tuple[int, Written]] = []
    for indices in batches:
        part = [utterances[i] for i in indices]
        transcripts = transcribe([load_audio(u) for u in part], cap)
        found += zip(indices, transcripts, strict=True)
        keep(part, transcripts)
        step(len(found), total)
    return [one for _, one in sorted(group.gather(found), key=lambda pair: pair[0])]


def transcripts_by_bonus(
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    known: Sequence[Transcript] | None,
    bonuses: Sequence[float],
    *,
    cap: TokenCap,
    group: ProcessGroup,
    step: Callable[[int, int], object],
) -> list[list[Transcript]]:
    """Greedy transcripts of utterances (`known`: what they are), then those by each bonus of the
    transcriber's key terms; each clip is heard once, and its losses are computed once."""
    batches = shared_batches(utterances, group)
    total, found = sum(map(len, batches)), []
    for indices in batches:
        clips = [load_audio(utterances[i]) for i in indices]
        keys, seconds = transcriber.encode(clips), seconds_of(clips)
        plain = [known[i] for i in indices] if known else transcriber.greedy(keys, seconds, cap)
        written = transcriber.by_bonus(keys, plain, bonuses)
        found += zip(indices, zip(plain, *written, strict=True), strict=True)
        step(len(found), total)
    ordered = [of_clip for _, of_clip in sorted(group.gather(found), key=lambda pair: pair[0])]
    return [[of_clip[i] for of_clip in ordered] for i in range(1 + len(bonuses))]


def shared_batches(
    utterances: Sequence[Utterance], group: ProcessGroup, most_s: float = BATCH_S
) -> list[list[int]]:
    """This process's batches of at most so many seconds. Whole ones, so that every figure is that
    of one process to float32 rounding.

    Few clips are few batches, and may leave a process without work; it is seconds then.
    """
    return group.shard(
        list(length_batches([u.duration_or_1s for u in utterances], most_s)),
        lambda indices: sum(utterances[i].duration_or_1s for i in indices),
    )


def seconds_of(clips: Sequence[np.ndarray]) -> list[float]:
    """Of clips as models take them, (samples,) each."""
    return [len(clip) / SAMPLE_RATE_HZ for clip in clips]


def load_audio(u: Utterance) -> np.ndarray:
    """Samples of an utterance that was usable before, as it is heard. Raises UserError."""
    try:
        samples = read_audio(u.audio)
    except AudioError as error:
        raise UserError(f"{u.audio_filepath}: {error}; bring it back, or sample again") from None
    return samples[::-1].copy() if u.backwards else samples
