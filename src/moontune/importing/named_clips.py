"""Clips of the user's files that are named more than once: with the same text, or with others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from moontune.importing.values import SourceRow
from moontune.system.files import real_path
from moontune.system.formatting import agreeing


class NamedClips:
    """What was named, and where."""

    def __init__(self) -> None:
        self._where: dict[tuple[object, ...], str] = {}  # of a file, a stretch of it and a text

    def before(self, row: SourceRow, text: str) -> str | None:
        """Where the row's clip was named with this text before; else it is by this row."""
        if not isinstance(row.audio, Path):
            return None
        key = (real_path(row.audio), row.offset_s, row.duration_s, row.channel, text)
        if (known := self._where.get(key)) is None:
            self._where[key] = row.where
        return known

    def in_words(self, taken: Iterable[str | None]) -> str | None:
        """A line on the clips of which several texts are taken, by the places of rows that are;
        None where there are none."""
        counts = Counter(hash(key[:-1]) for key in self._where)
        again = {number for number, count in counts.items() if count > 1}
        if not again:
            return None
        there, wheres = {*taken}, defaultdict(list)
        for key, where in self._where.items():
            if hash(key[:-1]) in again and where in there:
                wheres[key[:-1]].append(where)
        several = [found for found in wheres.values() if len(found) > 1]
        if not several:
            return None
        clips = agreeing(len(several), "1 clip has", f"{len(several):,} clips have")
        first, second, *_ = several[0]
        return (
            f"{clips} several texts, as {first} and {second} say, and all are taken; of versions "
            "of one text keep one"
        )
