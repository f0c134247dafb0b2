"""The clips whose errors changed most, with their words compared and their audio."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, AudioPart, read_audio
from moontune.data.normalizer import normalize
from moontune.data.truecasing import style_of
from moontune.evaluation.comparison import edits_of
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.word_diff import Word, diff_transcripts, to_read

_COMPRESSION = 0.5  # of soundfile's 0..1: about 35 kbit/s for speech at 16 kHz, variable rate


Clip = Path | AudioPart  # of the recordings


@dataclass(frozen=True)
class ClipAudio:
    """Audio to play as a `data:` URI, or the reason that there is none."""

    uri: str | None
    note: str


@dataclass(frozen=True)
class ChangedClip:
    """One clip: its reference, and what each model wrote, word by word."""

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
    before: list[PredictionRow],
    after: list[PredictionRow],
    audio: Mapping[str, Clip],
    count: int,
) -> ChangedClips:
    """At most `count` clips, of those with fewer and those with more errors; in proportion, but a
    third for either, so that a page of a good run shows what it broke."""
    rows = {row["id"]: row for row in after}
    pairs = [(row, rows[row["id"]]) for row in before if row["id"] in rows]
    fixed = sorted((p for p in pairs if _change(p) < 0), key=lambda p: (_change(p), p[0]["id"]))
    broken = sorted((p for p in pairs if _change(p) > 0), key=lambda p: (-_change(p), p[0]["id"]))
    fixed_count, broken_count = _shares(len(fixed), len(broken), count)
    restored, cased = _style(before)

    def clip(pair: tuple[PredictionRow, PredictionRow]) -> ChangedClip:
        return _clip(pair, audio.get(pair[0]["id"]), _reference(pair[0], restored), cased)

    return ChangedClips(
        [clip(pair) for pair in fixed[:fixed_count]],
        [clip(pair) for pair in broken[:broken_count]],
        len(fixed),
        len(broken),
        restored and cased,
    )


def named_clips(
    before: list[PredictionRow],
    after: list[PredictionRow],
    audio: Mapping[str, Clip],
    ids: Sequence[str],
) -> list[ChangedClip]:
    """The clips of these ids, whether they changed or not."""
    one, other = ({row["id"]: row for row in rows} for rows in (before, after))
    restored, cased = _style(before)
    return [
        _clip((one[i], other[i]), audio.get(i), _reference(one[i], restored), cased) for i in ids
    ]


def _style(rows: Sequence[PredictionRow]) -> tuple[bool, bool]:
    """Whether references are shown in the restored style, and whether they have case then."""
    restored = style_of(row["reference"] for row in rows) != "cased"
    return restored, style_of(_reference(row, restored) for row in rows) == "cased"


def _change(pair: tuple[PredictionRow, PredictionRow]) -> int:
    return edits_of(pair[1]).errors - edits_of(pair[0]).errors


def _shares(fixed: int, broken: int, count: int) -> tuple[int, int]:
    """Numbers of either to show, at most `count` together."""
    if fixed + broken <= count:
        return fixed, broken
    third = math.ceil(count / 3)
    share = round(count * broken / (fixed + broken))
    share = max(share, min(broken, third), count - fixed)
    share = min(share, broken, count - min(fixed, count - third, third))
    return count - share, share


def _reference(row: PredictionRow, restored: bool) -> str:
    """The reference; in its training style where that is easier to read and has the same words."""
    target = row["target"]
    same = restored and normalize(target) == normalize(row["reference"])
    return target if same else row["reference"]


def _clip(
    pair: tuple[PredictionRow, PredictionRow],
    path: Clip | None,
    reference: str,
    style: bool,
) -> ChangedClip:
    before, after = pair
    one, other = diff_transcripts(reference, before["hypothesis"], after["hypothesis"], style=style)
    return ChangedClip(
        id=before["id"],
        speaker="" if before["speaker"] is None else before["speaker"],
        duration_s=before["duration"],
        reference=reference,
        errors=(edits_of(before).errors, edits_of(after).errors),
        before=to_read(one),
        after=to_read(other),
        audio=clip_audio(path),
    )


def clip_audio(clip: Clip | None) -> ClipAudio:
    """The clip at 16 kHz mono as MP3, which every browser plays; never raises for a bad file."""
    path = clip.path if isinstance(clip, AudioPart) else clip
    if clip is None or path is None or not path.is_file():
        return ClipAudio(None, "audio not found")
    try:
        data = mp3(clip)
    except AudioError as error:
        return ClipAudio(None, f"audio {error}")
    return ClipAudio("data:audio/mpeg;base64," + base64.b64encode(data).decode("ascii"), "")


def mp3(clip: Clip) -> bytes:
    """A clip's audio as MP3. Raises AudioError."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(
        stream,
        read_audio(clip).clip(-1.0, 1.0),
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=_COMPRESSION,
    )
    return stream.getvalue()
