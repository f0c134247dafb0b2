"""Speakers whom a program numbered in one recording, or told by their part in a call, who may be
others in the next."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from moontune.data.manifest import Utterance
from moontune.system.formatting import counted

# Who has another voice in each call or interview, whatever says so.
_PARTS = (
    r"(?:agent|operator|customer|caller|callee|client|patient|interviewee|respondent|guest)"
    r"(?:[ _-]?\d{1,2})?"
)
_PART = re.compile(_PARTS, re.IGNORECASE)
_NUMBERED = re.compile(
    r"\[?(?:speaker|spkr?|voice|person)[ _-]?(?:\d{1,3}(?:-(?:\d{1,3}|[a-z]))?|[a-z])\]?"
    rf"|[a-z]|unknown|{_PARTS}",
    re.IGNORECASE,
)
_RECORDING = "recording"  # of SESSION_FIELDS: what `moontune import` writes
_SHOWN = 3


def without_numbered(
    utterances: Sequence[Utterance], ids: Collection[str]
) -> tuple[list[Utterance], str | None]:
    """Utterances, those of `ids` without the `SPEAKER_00` that several recordings have, and a line
    that says so: taken for people they would stand in training and test under two names. Where
    others are named by name each is somebody else in each recording: a clip without a speaker would
    be dropped among these."""
    where: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        if u.id in ids and u.speaker and is_numbered(u):
            where[u.speaker].add(_recording_of(u))
    shared = {name: recordings for name, recordings in where.items() if len(recordings) > 1}
    if not shared:
        return list(utterances), None
    by_name = any(u.speaker and not _is_one_of(u, where, ids) for u in utterances)
    going = shared if by_name else where  # of no use beside nobody
    names, recordings = sorted(going), set().union(*going.values())
    shown = ", ".join(names[:_SHOWN]) + (" and so on" if len(names) > _SHOWN else "")
    each = f"as {counted(len(recordings), 'recording')} each have such of their own"
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


def numbered_once(utterances: Sequence[Utterance]) -> set[str]:
    """Ids of the clips, of several manifests' rows, whose speaker is numbered for one recording: a
    manifest that has one of several numbers all of its speakers for a whole corpus."""
    of_manifest: dict[tuple[str, str], set[str]] = defaultdict(set)
    numbered = [u for u in utterances if u.speaker and u.where and is_numbered(u)]
    for u in numbered:
        of_manifest[_manifest_of(u), u.speaker or ""].add(_recording_of(u))
    several = [key for key, found in of_manifest.items() if len(found) > 1]
    corpora, people = {manifest for manifest, _ in several}, {name for _, name in several}
    return {u.id for u in numbered if u.speaker not in people and _manifest_of(u) not in corpora}


def is_numbered(u: Utterance) -> bool:
    """Whether its speaker may be one of a recording's, by a number, a letter or a part."""
    return bool(u.speaker and _recording_of(u) and _NUMBERED.fullmatch(u.speaker))


def is_part(name: str | None) -> bool:
    """Whether a name says no more than who somebody is in a call or an interview."""
    return bool(name and _PART.fullmatch(name.strip()))


def _recording_of(u: Utterance) -> str:
    """The recording that it is a stretch of; none of a clip that is a file."""
    own = "" if u.offset is None else u.audio_filepath.stem
    return dict(u.recorded).get(_RECORDING, own)


def _manifest_of(u: Utterance) -> str:
    return (u.where or "").rpartition(":")[0]


def _is_one_of(u: Utterance, names: Collection[str], ids: Collection[str]) -> bool:
    return u.id in ids and u.speaker in names


def _renamed(u: Utterance, by_name: bool) -> Utterance:
    return replace(u, speaker=f"{_recording_of(u)}/{u.speaker}" if by_name else None)
