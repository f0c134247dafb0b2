from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio, write_flac


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype("float32")


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    samples = read_audio(tmp_path / "a.wav")
    assert samples.dtype == np.float32
    assert samples.shape == (SAMPLE_RATE_HZ // 2,)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == pytest.approx(440 * 0.5, abs=1)  # still 440 Hz


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = tone(16_000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left / 2], axis=1), 16_000, "FLOAT")
    assert read_audio(tmp_path / "a.wav") == pytest.approx(left / 4, abs=1e-6)


def test_bytes_are_read_like_a_file(tmp_path: Path) -> None:
    write_flac(tmp_path / "a.flac", tone(16_000))
    assert np.array_equal(
        read_audio((tmp_path / "a.flac").read_bytes()), read_audio(tmp_path / "a.flac")
    )


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, "float32"), 16_000)
    bad = tone(16_000)
    bad[10] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, 16_000, "FLOAT")
    for name, why in {
        "missing.wav": "no such file",
        "text.wav": "cannot be decoded",
        "empty.wav": "cannot be decoded",
        "none.wav": "holds no samples",
        "nan.wav": "NaN",
        "": "is a folder",
    }.items():
        with pytest.raises(AudioError, match=why):
            read_audio(tmp_path / name)
