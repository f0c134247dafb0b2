"""Speakers whom a program numbered in one recording, who may be others in the next."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from moontune.data.manifest import Utterance
from moontune.importing.timed.beside import KINDS, MANY
from moontune.system.formatting import counted

# What names its speakers for one recording; tables and corpora name them for all of theirs.
OF_ONE = frozenset(kind.name for kind in KINDS if kind not in MANY)
_NUMBERED = re.compile(
    r"\[?(?:speaker|spkr?|voice|person)[ _-]?(?:\d{1,3}|[a-z])\]?|unknown", re.IGNORECASE
)
_SHOWN = 3


def without_numbered(
    utterances: Sequence[Utterance], ids: Collection[str]
) -> tuple[list[Utterance], str | None]:
    """Utterances, those of timed texts (by `ids`) without the `SPEAKER_00` that several recordings
    have, and a line that says so: taken for people they would stand in training and test under two
    names. Where others are named by name each is somebody else in each recording: a clip without
    a speaker would be dropped among these."""
    where: dict[str, set[str]] = {}
    for u in utterances:
        recording = dict(u.recorded).get("recording")
        if u.id in ids and recording and u.speaker and _NUMBERED.fullmatch(u.speaker):
            where.setdefault(u.speaker, set()).add(recording)
    shared = {name: recordings for name, recordings in where.items() if len(recordings) > 1}
    if not shared:
        return list(utterances), None
    by_name = any(u.speaker and not _is_one_of(u, where, ids) for u in utterances)
    going = shared if by_name else where  # of no use beside nobody
    names, recordings = sorted(going), set().union(*going.values())
    shown = ", ".join(names[:_SHOWN]) + (" and so on" if len(names) > _SHOWN else "")
    each = f"as {counted(len(recordings), 'recording')} each have numbers of their own"
    if by_name:
        first = f"{min(going[names[0]])}/{names[0]}"
        line = (
            f"taken for somebody else in each recording: {shown} (now {first} and the like), "
            f"{each}; write names in their place to have the same people held out"
        )
    else:
        line = (
            f"not taken for people: {shown}, {each}; write names in their place to have speakers "
            "held out"
        )
    return [_renamed(u, by_name) if _is_one_of(u, going, ids) else u for u in utterances], line


def _is_one_of(u: Utterance, names: Collection[str], ids: Collection[str]) -> bool:
    return u.id in ids and u.speaker in names


def _renamed(u: Utterance, by_name: bool) -> Utterance:
    recording = dict(u.recorded).get("recording")
    return replace(u, speaker=f"{recording}/{u.speaker}" if by_name else None)
