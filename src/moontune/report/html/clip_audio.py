"""A clip as something a page can carry: MP3 in a `data:` URI. No torch here."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio

_COMPRESSION = 0.5  # of soundfile's 0..1: about 35 kbit/s for speech at 16 kHz, variable rate


@dataclass(frozen=True)
class ClipAudio:
    """Audio to play, or why there is none."""

    uri: str | None
    note: str


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
