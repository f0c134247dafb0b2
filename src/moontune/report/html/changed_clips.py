"""The clips whose errors changed most, with their words compared and their audio."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio
from moontune.data.truecasing import normalize, style_of
from moontune.evaluation.comparison import edits_of
from moontune.evaluation.word_diff import Word, compare

Row = dict[str, Any]
_COMPRESSION = 0.5  # of soundfile's 0..1: about 35 kbit/s for speech at 16 kHz, variable rate


@dataclass(frozen=True)
class ClipAudio:
    """Audio to play, or why there is none."""

    uri: str | None
    note: str


@dataclass(frozen=True)
class ChangedClip:
    """One clip: what was said, and what each model wrote."""

    id: str
    speaker: str
    duration_s: float
    reference: str
    errors: tuple[int, int]
    before: list[Word]
    after: list[Word]
    audio: ClipAudio


@dataclass(frozen=True)
class ChangedClips:
    """The clips to show, largest change first, and of how many they are."""

    fixed: list[ChangedClip]
    broken: list[ChangedClip]
    all_fixed: int
    all_broken: int
    restored: bool  # references are shown in the restored style that was trained on


def changed_clips(
    before: list[Row], after: list[Row], audio: dict[str, Path], count: int
) -> ChangedClips:
    """At most `count` clips, of those with fewer and those with more errors; in proportion, but a
    third for either, so that a page of a good run shows what it broke."""
    new = {r["id"]: r for r in after}
    pairs = [(r, new[r["id"]]) for r in before if r["id"] in new]
    fixed = sorted((p for p in pairs if _change(p) < 0), key=lambda p: (_change(p), p[0]["id"]))
    broken = sorted((p for p in pairs if _change(p) > 0), key=lambda p: (-_change(p), p[0]["id"]))
    most, least = _shares(len(fixed), len(broken), count)
    restored = style_of(r["reference"] for r in before) != "cased"
    shown = [_shown(r, restored) for r in before]
    style = style_of(shown) == "cased"

    def clip(pair: tuple[Row, Row]) -> ChangedClip:
        return _clip(*pair, audio.get(pair[0]["id"]), _shown(pair[0], restored), style)

    return ChangedClips(
        [clip(p) for p in fixed[:most]],
        [clip(p) for p in broken[:least]],
        len(fixed),
        len(broken),
        restored and style,
    )


def _change(pair: tuple[Row, Row]) -> int:
    return edits_of(pair[1]).errors - edits_of(pair[0]).errors


def _shares(fixed: int, broken: int, count: int) -> tuple[int, int]:
    """How many of either to show."""
    if fixed + broken <= count:
        return fixed, broken
    third = math.ceil(count / 3)
    least = round(count * broken / (fixed + broken))
    least = max(least, min(broken, third), count - fixed)
    least = min(least, broken, count - min(fixed, count - third, third))
    return count - least, least


def _shown(row: Row, restored: bool) -> str:
    """The reference; in its training style where that is easier to read and has the same words."""
    target = row["target"]
    same = restored and normalize(target) == normalize(row["reference"])
    return target if same else row["reference"]


def _clip(before: Row, after: Row, path: Path | None, reference: str, style: bool) -> ChangedClip:
    one, other = compare(reference, before["hypothesis"], after["hypothesis"], style=style)
    return ChangedClip(
        id=before["id"],
        speaker="" if before["speaker"] is None else before["speaker"],
        duration_s=before["duration"],
        reference=reference,
        errors=(edits_of(before).errors, edits_of(after).errors),
        before=one,
        after=other,
        audio=clip_audio(path),
    )


def clip_audio(path: Path | None) -> ClipAudio:
    """The clip at 16 kHz mono as MP3, which every browser plays; never raises for a bad file."""
    if path is None or not Path(path).is_file():
        return ClipAudio(None, "audio not found")
    try:
        data = mp3(Path(path))
    except AudioError as error:
        return ClipAudio(None, f"audio {error}")
    return ClipAudio("data:audio/mpeg;base64," + base64.b64encode(data).decode("ascii"), "")


def mp3(path: Path) -> bytes:
    """A file's audio as MP3. Raises AudioError."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(
        stream,
        read_audio(path).clip(-1.0, 1.0),
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=_COMPRESSION,
    )
    return stream.getvalue()
