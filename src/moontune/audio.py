"""Audio files or bytes to the one form the model hears: float32, mono, 16 kHz, shape (samples,)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SAMPLE_RATE_HZ = 16_000
# The convolutions (127/64, 7/3, 3/2, no padding) need this many samples for one frame.
SHORTEST_SAMPLES = 895


class AudioError(ValueError):
    """The audio cannot be used; the text says why, without the path."""


def read_audio(source: Path | bytes) -> np.ndarray:
    """Decode a file or its bytes; returns float32 mono at 16 kHz, shape (samples,).

    Channels are averaged; other rates are resampled with soxr at its high quality. Raises
    AudioError if it is missing, empty, not decodable, or holds NaN or infinite samples.
    """
    import soundfile

    with (
        decoding(),
        io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream,
    ):
        samples, rate = soundfile.read(stream, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if mono.size == 0:
        raise AudioError("holds no samples")
    if not np.isfinite(mono).all():
        raise AudioError("holds NaN or infinite samples")
    if rate != SAMPLE_RATE_HZ:
        import soxr

        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(mono, dtype=np.float32)


@contextmanager
def decoding() -> Iterator[None]:
    """Turn what the system and libsndfile raise within the block into an AudioError."""
    import soundfile

    try:
        yield
    except AudioError:
        raise
    except FileNotFoundError:
        raise AudioError("no such file") from None
    except IsADirectoryError:
        raise AudioError("is a folder, not an audio file") from None
    except OSError as error:
        raise AudioError(f"cannot be opened ({error.strerror or error})") from None
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        detail = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise AudioError(f"cannot be decoded ({detail})") from None


def write_flac(path: Path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write mono float32 samples as 16-bit FLAC, whole or not at all."""
    import soundfile

    from moontune.files import write_bytes

    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, format="FLAC", subtype="PCM_16")
    write_bytes(path, stream.getvalue())
