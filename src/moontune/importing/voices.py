"""Speakers whom a program numbered in one recording, who may be others in the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from moontune.data.manifest import Utterance
from moontune.system.formatting import counted

_NUMBERED = re.compile(
    r"\[?(?:speaker|spkr?|voice|person)[ _-]?(?:\d{1,3}|[a-z])\]?|unknown", re.IGNORECASE
)
_SHOWN = 3


def without_numbered(utterances: Sequence[Utterance]) -> tuple[list[Utterance], str | None]:
    """Utterances, those of several recordings without the `SPEAKER_00` of diarisation, and a line
    that says so: taken for people they would stand in training and test under two names."""
    where: dict[str, set[str]] = {}
    for u in utterances:
        recording = dict(u.recorded).get("recording")
        if recording and u.speaker and _NUMBERED.fullmatch(u.speaker):
            where.setdefault(u.speaker, set()).add(recording)
    recordings = set().union(*where.values())
    if len(recordings) < 2:
        return list(utterances), None
    names = sorted(where)
    shown = ", ".join(names[:_SHOWN]) + (" and so on" if len(names) > _SHOWN else "")
    line = (
        f"not taken for people: {shown}, as {counted(len(recordings), 'recording')} each have "
        "numbers of their own; write names in their place to have speakers held out"
    )
    return [replace(u, speaker=None) if u.speaker in where else u for u in utterances], line
