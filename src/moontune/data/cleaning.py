"""Which utterances can be used, and for each that cannot, why."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np

from moontune.config.schema import CleanConfig
from moontune.data.annotations import without_annotations
from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    SHORTEST_SAMPLES,
    AudioError,
    TooLongError,
    read_audio,
)
from moontune.data.manifest import Dropped, Utterance
from moontune.data.normalizer import normalize
from moontune.data.rows.empty_texts import empty_spellings, in_words
from moontune.data.sound.bandwidth import is_narrow
from moontune.data.sound.stereo import TwoChannels
from moontune.system.progress import Progress, no_progress

_T = TypeVar("_T")
_AHEAD = 64  # clips that are read before they are asked for


@dataclass(frozen=True)
class Cleaned:
    utterances: list[Utterance]  # durations are those of the decoded audio
    dropped: list[Dropped]
    audio_sha256: dict[str, str]  # utterance id -> hash of its samples
    annotations: dict[str, int]  # kinds of what is not speech, in how many texts they were
    two_people: list[Utterance] = field(default_factory=list)  # kept, one on each channel
    narrow: int = 0  # kept, with nothing above 4 kHz


class _Look(NamedTuple):
    """An utterance with its true duration, and the hash of its samples or why it has none."""

    utterance: Utterance
    digest: str | None
    reason: str
    detail: str
    two_people: bool = False
    narrow: bool = False


def clean(
    utterances: Sequence[Utterance],
    config: CleanConfig,
    *,
    keep_silence: bool = False,
    need_speaker: bool = False,
    progress: Progress = no_progress,
) -> Cleaned:
    """Read every clip and drop what cannot be trained on or scored, with the reason by row.

    `need_speaker` drops clips whose speaker is not known, so that no split can share one.
    """
    kept: list[Utterance] = []
    dropped: list[Dropped] = []
    hashes: dict[str, str] = {}
    two_people: list[Utterance] = []
    narrow: set[str] = set()

    spoken, annotations = _spoken(utterances, config)
    empty = empty_spellings(u.text for u in utterances)

    def look(u: Utterance, written: str) -> _Look:
        if need_speaker and u.speaker is None:
            detail = "the split by speakers cannot place it; name its speaker"
            return _Look(u, None, "no speaker", detail)
        if written.strip() in empty:
            return _Look(u, None, "empty text", in_words(written))
        if u.text != written and not u.text:
            return _Look(u, None, "no speech in the text", f"nothing is said in {written[:40]!r}")
        return _check(u, config, keep_silence)

    asked = zip(spoken, utterances, strict=True)
    with (
        ThreadPoolExecutor(max_workers=2) as pool,
        closing(_in_order(pool.submit(look, u, written.text) for u, written in asked)) as found,
    ):
        for done, seen in enumerate(found, start=1):
            u = seen.utterance
            if seen.digest is None:
                where = u.where or str(u.audio_filepath)
                dropped.append(Dropped(where, u.id, seen.reason, seen.detail))
            else:
                kept.append(u)
                hashes[u.id] = seen.digest
                two_people += [u] if seen.two_people else []
                narrow |= {u.id} if seen.narrow else set()
            progress(done, len(utterances), "clips read")
    against = [] if keep_silence else _contradicted(kept, hashes)
    gone = {d.id for d in against}
    return Cleaned(
        [u for u in kept if u.id not in gone],
        dropped + against,
        {name: digest for name, digest in hashes.items() if name not in gone},
        annotations,
        [u for u in two_people if u.id not in gone],
        len(narrow - gone),
    )


def _in_order(asked: Iterable[Future[_T]]) -> Generator[_T]:
    """What was asked for, in order; a few are asked for ahead, so that no more than these wait."""
    waiting: deque[Future[_T]] = deque()
    try:
        for future in asked:
            waiting.append(future)
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _contradicted(utterances: Sequence[Utterance], digests: dict[str, str]) -> list[Dropped]:
    """Utterances whose very samples have another text elsewhere. Of several manifests the last is
    taken at its word, as the corrected one; where rows of one contradict each other, no one knows
    which is right."""
    files = {file: i for i, file in enumerate(dict.fromkeys(map(_file, utterances)))}
    alike: dict[str, list[Utterance]] = {}
    for u in utterances:
        alike.setdefault(digests[u.id], []).append(u)
    found = []
    for same in alike.values():
        if len(same) == 1:
            continue
        words = {u.id: normalize(u.text) for u in same}
        last = max(files[_file(u)] for u in same)
        believed = {words[u.id] for u in same if files[_file(u)] == last}
        for u in same:
            if len(set(words.values())) == 1 or believed == {words[u.id]}:
                continue
            other = next(o for o in reversed(same) if words[o.id] != words[u.id])
            detail = f"the same recording has another text in {other.where or other.audio_filepath}"
            where = u.where or str(u.audio_filepath)
            found.append(Dropped(where, u.id, "another text", detail))
    return found


def _file(u: Utterance) -> str:
    """The manifest that its row is in."""
    return (u.where or "").rpartition(":")[0]


def _spoken(
    utterances: Sequence[Utterance], config: CleanConfig
) -> tuple[list[Utterance], dict[str, int]]:
    """The utterances with what is said in their texts, and what was taken out, by kind."""
    if config.keep_annotations:
        return list(utterances), {}
    texts, counts = without_annotations([u.text for u in utterances])
    pairs = zip(utterances, texts, strict=True)
    spoken = [u if u.text == text else replace(u, text=text) for u, text in pairs]
    return spoken, dict(counts.most_common())


def _check(u: Utterance, config: CleanConfig, keep_silence: bool) -> _Look:
    channels = TwoChannels()
    most = config.max_chars_per_s * config.max_duration_s
    if len(u.text) > most:  # before a book is normalised
        detail = f"{len(u.text)} characters, at most {most:g} in the longest clip"
        return _Look(u, None, "too much text for the audio", detail)
    if not any(c.isalnum() for c in normalize(u.text)):
        return _Look(
            u, None, "empty text", f"no word is left of {u.text[:40]!r} after normalisation"
        )
    try:
        samples = read_audio(u.audio, config.max_duration_s, channels.hear)
    except TooLongError as error:
        return _Look(u, None, "too long", str(error))
    except AudioError as error:
        return _Look(u, None, "unreadable", f"{u.audio_filepath}: {error}")
    seconds = len(samples) / SAMPLE_RATE_HZ
    if u.offset is None:
        u = replace(u, duration=round(seconds, 3))
    elif u.duration is None or seconds < u.duration:  # else what is read again would be less
        u = replace(u, duration=seconds)
    if len(samples) < SHORTEST_SAMPLES or seconds < config.min_duration_s:
        return _Look(u, None, "too short", f"{seconds:.3f} s, at least {config.min_duration_s:g} s")
    rate = len(u.text) / seconds
    if rate > config.max_chars_per_s:
        detail = f"{rate:.0f} characters a second, at most {config.max_chars_per_s:g}"
        return _Look(u, None, "too much text for the audio", detail)
    if not keep_silence and float(np.abs(samples).max()) < 1e-3:
        return _Look(u, None, "silent", "no sample above -60 dB")
    digest = hashlib.sha256(samples.tobytes()).hexdigest()[:16]
    two_people = u.channel is None and channels.two_people
    return _Look(u, digest, "", "", two_people, is_narrow(samples, SAMPLE_RATE_HZ))
