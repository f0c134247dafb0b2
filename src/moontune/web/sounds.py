"""Sound on its way from a page and to it."""

from __future__ import annotations

import io

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    AudioError,
    audio_blocks,
    errors_as_audio_error,
    header_duration_s,
    read_audio,
)
from moontune.data.manifest import Utterance
from moontune.web.requests import HEADERS, Refused

_MOST_CHANNELS, _MOST_RATE_HZ = 8, 192_000  # a block of 10 s is 61 MB then


def read_upload(audio: bytes, most_seconds: float) -> np.ndarray:
    """The samples of a file, float32 mono 16 kHz, (samples,).

    Decoded a block at a time, since a small file can hold hours, whatever its head says. Raises
    Refused.
    """
    import soundfile

    try:
        seconds = header_duration_s(io.BytesIO(audio))
        with errors_as_audio_error():
            head = soundfile.info(io.BytesIO(audio))
    except AudioError:
        raise Refused(415, "this is no audio that can be read here") from None
    if head.channels > _MOST_CHANNELS or head.samplerate > _MOST_RATE_HZ:
        raise Refused(415, f"{head.channels} channels of {head.samplerate:,} Hz are too many")
    blocks: list[np.ndarray] = []
    for block in audio_blocks(io.BytesIO(audio)) if seconds <= most_seconds else ():
        blocks.append(block)
        seconds = sum(map(len, blocks)) / SAMPLE_RATE_HZ
        if seconds > most_seconds:
            break
    if seconds > most_seconds:
        raise Refused(413, f"{seconds:.0f} seconds; {most_seconds:.0f} at most")
    return np.concatenate(blocks)


async def sound_of(utterance: Utterance, most_seconds: float) -> Response:
    """An utterance's sound as an answer. Raises AudioError."""
    wav = await run_in_threadpool(lambda: _wav(read_audio(utterance.audio, most_seconds)))
    return Response(wav, media_type="audio/wav", headers=HEADERS)


def _wav(samples: np.ndarray) -> bytes:
    """float32 mono 16 kHz samples, (samples,), as a file of 16-bit WAV."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return stream.getvalue()
