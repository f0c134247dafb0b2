"""What a split by recording keeps on one side: sessions, parts of one file, and texts.

A session is a day, or what a field of the rows calls one (`SESSION_FIELDS`). Clips of one are kept
together, where the field names five, and parts of one file; both where five groups remain
and none holds more than half of the audio: with fewer, test and validation would rest on one or
two. Of several fields the one with the fewest groups is taken. Then texts: the same, or the same
but for one word of eight or more, where ten are said and none in more than a tenth of the clips
(commands are said again and again), and where as many groups remain.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.data.rows.sessions import SESSION_FIELDS
from moontune.system.formatting import counted

_FEWEST_GROUPS, _LARGEST_SHARE = 5, 0.5
_SENTENCES, _MOST = 10, 0.1
_FEWEST_WORDS = 8


@dataclass(frozen=True)
class KeptTogether:
    """What stayed on one side of a split by recording, and what could not."""

    groups: int
    session_field: str | None = None
    sessions: int = 0  # that this field names
    files: int = 0  # with several clips
    texts: int = 0  # said in several clips, or nearly so
    apart: tuple[str, ...] = ()  # what would have left too few groups: a field, "file", "text"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any] | None) -> KeptTogether | None:
        """None of splits by speaker, and of older ones."""
        return None if row is None else cls(**{**row, "apart": tuple(row["apart"])})

    @property
    def has_sessions(self) -> bool:
        """Whether its groups are sessions or files, and not texts or clips alone."""
        return bool(self.sessions or self.files)

    @property
    def sentence(self) -> str:
        """The same in words; empty where every clip is by itself."""
        kinds = []
        if self.session_field is not None:
            kinds.append(f"clips of one {self.session_field} ({self.sessions})")
        if self.files:
            kinds.append(f"of one file ({self.files})")
        if self.texts:
            kinds.append(f"of one text or nearly ({self.texts})")
        text = ""
        if kinds:
            text = f"kept on one side: {', '.join(kinds)}; {counted(self.groups, 'group')}"
        if self.apart:
            text += "; n" if text else "N"
            text += f"ot kept on one side, as it leaves fewer than {_FEWEST_GROUPS} groups or "
            text += f"one with over half of the audio: clips of one {', of one '.join(self.apart)}"
        return text[:1].lower() + text[1:]


def recording_groups(
    utterances: Sequence[Utterance],
) -> tuple[dict[str, list[Utterance]], KeptTogether]:
    """Utterances that are never divided, by the id of the first of them."""
    files = _links(u.audio_filepath for u in utterances)
    named = {
        name: _links(dict(u.recorded).get(name) for u in utterances) for name in SESSION_FIELDS
    }
    fields = [
        name
        for name, links in named.items()
        if len(links) > 1 and any(len(link) > 1 for link in links)
    ]
    usable = [
        (len(parts), SESSION_FIELDS.index(name), name)
        for name in fields
        if len(named[name]) >= _FEWEST_GROUPS
        and _fair(parts := _parts(utterances, [*files, *named[name]]), utterances)
    ]
    apart: list[str] = []
    field = min(usable)[2] if usable else None
    sessions = named[field] if field is not None else []
    if field is None:
        apart += fields[:1]
        if not _fair(_parts(utterances, files), utterances):
            files = []
            apart.append("file")
    together = [*files, *sessions]
    texts = _text_links(utterances)
    if (
        texts
        and (files or sessions)
        and not _fair(_parts(utterances, [*together, *texts]), utterances)
    ):
        texts = []
        apart.append("text")
    parts = _parts(utterances, [*together, *texts])
    kept = KeptTogether(
        groups=len(parts),
        session_field=field,
        sessions=len(sessions),
        files=len([link for link in files if len(link) > 1]),
        texts=len(texts),
        apart=tuple(apart),
    )
    return {part[0].id: part for part in parts}, kept


def _links(keys: Iterable[object]) -> list[list[int]]:
    """Places of clips that have the same key; those of no key are in none."""
    found: dict[object, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        if key is not None:
            found[key].append(place)
    return list(found.values())


def _connected(count: int, links: Iterable[Sequence[int]]) -> list[list[int]]:
    """The places 0 to `count` in as many parts as these links leave, in order of their first."""
    leader = list(range(count))

    def first(place: int) -> int:
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    for link in links:
        for place in link[1:]:
            one, other = sorted((first(link[0]), first(place)))
            leader[other] = one
    parts: dict[int, list[int]] = defaultdict(list)
    for place in range(count):
        parts[first(place)].append(place)
    return list(parts.values())


def _parts(
    utterances: Sequence[Utterance], links: Iterable[Sequence[int]]
) -> list[list[Utterance]]:
    """Utterances in as many parts as these links leave, in order of the first of each."""
    return [[utterances[i] for i in part] for part in _connected(len(utterances), links)]


def _fair(parts: Sequence[Sequence[Utterance]], utterances: Sequence[Utterance]) -> bool:
    """Whether enough parts remain and none is too large; also where all are single clips."""
    if len(parts) == len(utterances):
        return True
    seconds = [math.fsum(u.duration_or_1s for u in part) for part in parts]
    return len(parts) >= _FEWEST_GROUPS and max(seconds) <= _LARGEST_SHARE * math.fsum(seconds)


def _text_links(utterances: Sequence[Utterance]) -> list[list[int]]:
    """Places of clips in which the same is said, or nearly; none where few sentences are said again
    and again."""
    texts = [normalize(u.text) for u in utterances]
    same = _links(text or None for text in texts)
    distinct = len(same) + texts.count("")
    most = _MOST * len(utterances)
    if distinct < _SENTENCES or max(map(len, same), default=0) > most:
        return []
    near = near_texts([texts[link[0]] for link in same])
    merged = [[place for i in link for place in same[i]] for link in near]
    if max(map(len, merged), default=0) > most:  # a frame with one word to fill in
        merged = same
    return [link for link in merged if len(link) > 1]


def near_texts(texts: Sequence[str]) -> list[list[int]]:
    """Places of different texts that are alike: the same words in the same order once one word is
    left out of either or of both, eight at least in each. Every place is in one list."""
    keys: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for place, text in enumerate(texts):
        words = text.split()
        if len(words) >= _FEWEST_WORDS:
            keys.append(_without_one(words))
            places.append(np.full(len(words) + 1, place))
    links: list[tuple[int, int]] = []
    if keys:
        key, owner = np.concatenate(keys), np.concatenate(places)
        order = np.argsort(key, kind="stable")
        key, owner = key[order], owner[order]
        same = np.flatnonzero(key[1:] == key[:-1])
        links = [(int(owner[i]), int(owner[i + 1])) for i in same]
    return _connected(len(texts), links)


def _without_one(words: Sequence[str]) -> np.ndarray:
    """Hashes of the words with each of them left out, and of all: (words + 1,) uint64."""
    digests = b"".join(hashlib.blake2b(w.encode(), digest_size=8).digest() for w in words)
    word = np.frombuffer(digests, "<u8")
    base = np.cumprod(np.full(len(words) + 1, 0x9E3779B97F4A7C15, np.uint64), dtype=np.uint64)
    before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(word * base[1:], dtype=np.uint64)])
    moved = word * base[:-1]  # as each stands once one before it is gone
    after = moved.sum(dtype=np.uint64) - np.cumsum(moved, dtype=np.uint64)
    return np.append(before[:-1] + after, before[-1])
