"""Rows of manifests: all of them, or a choice whose memory and time the others hardly take."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

from moontune.data.manifest import Dropped, Utterance, each_row, keep_once, read_manifests
from moontune.data.sources.base import DataOrigin, Sample
from moontune.data.sources.numbered_speakers import numbered_once, without_numbered
from moontune.data.speakers import find_speakers as speakers_of
from moontune.data.speakers import spelt_alike

_TELL_SPEAKERS = 20_000  # rows whose folders and file names tell who speaks


def sample_manifests(
    paths: Sequence[Path], utterances: int | None, seed: int, *, find_speakers: bool = False
) -> Sample:
    """All rows of manifests, or a seeded choice of `utterances` of them in their order.

    Rows that are not chosen are not looked at, except for speakers where no chosen one names one:
    then as many as folders and file names tell them by.
    """
    if utterances is None:
        rows, bad = read_manifests(paths)
        total = len(rows)
    else:
        choice = _Choice(utterances, seed)
        rows, bad, total = choice.of(paths), choice.bad, choice.total
    numbered = None
    if len(paths) > 1:  # of one, `moontune import` saw to it
        rows, numbered = without_numbered(rows, numbered_once(rows))
    rows, alike = spelt_alike(rows)
    named = any(u.speaker is not None for u in rows)
    found = None
    if find_speakers and not named:
        few = len(rows) < min(total, _TELL_SPEAKERS)
        found = speakers_of(_Choice(_TELL_SPEAKERS, seed).of(paths) if few else rows)
    if found is not None:
        speakers = {u.where: u.speaker for u in found.utterances}
        rows = [replace(u, speaker=speakers.get(u.where)) for u in rows]
    origin = DataOrigin(
        "manifest",
        manifest=tuple(map(str, paths)),
        rows=total,
        speakers_from=found.source if found else None,
    )
    remarks = [*filter(None, (numbered, found.sentence if found else alike))]
    return Sample(rows, bad, remark="; ".join(remarks) or None, origin=origin)


class _Choice:
    """So many rows: those whose lines have the lowest seeded hashes (bottom-k sampling), so that
    one pass does, and of the rest no more than that hash is made."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, str(seed).encode()
        self._hash = 0  # of the line that was asked for last
        self._chosen: list[tuple[int, int, Hashable]] = []  # negated hash, number, key: a heap
        self.total = 0  # rows
        self.bad: list[Dropped] = []

    def of(self, paths: Sequence[Path]) -> list[Utterance]:
        """The chosen rows of manifests in their order. Raises UserError as `read_manifest` does."""
        kept: dict[Hashable, Utterance] = {}
        for u in each_row(paths, self.bad, self._wants):
            key = keep_once(kept, u, self.bad)
            if key is not None:
                heapq.heappush(self._chosen, (-self._hash, self.total, key))
            if len(self._chosen) > self._count:
                del kept[heapq.heappop(self._chosen)[2]]
        return [kept[key] for _, _, key in sorted(self._chosen, key=lambda chosen: chosen[1])]

    def _wants(self, line: bytes) -> bool:
        self.total += 1
        digest = hashlib.blake2b(line.strip(), digest_size=8, key=self._seed).digest()
        self._hash = int.from_bytes(digest)
        return len(self._chosen) < self._count or self._hash < -self._chosen[0][0]
