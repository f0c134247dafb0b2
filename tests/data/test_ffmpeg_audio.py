"""What phones and browsers record is read like other audio; what is broken costs its row."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from moontune.data.audio import AudioError, AudioPart, audio_blocks, header_duration_s, read_audio

KINDS = {
    "m4a": ("ipod", "aac", 44_100),
    "mp4": ("mp4", "aac", 16_000),
    "aac": ("adts", "aac", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "amr": ("amr", "amrnb", 8_000),
}
# As libopencore_amrnb makes it, which FFmpeg's packages for newer Pythons lack.
AMR = Path(__file__).with_name("tone.amr")


def encoded(kind: str, channels: int = 1) -> bytes:
    """Two seconds of 440 Hz; of two channels the second is silent."""
    if kind == "amr":
        return AMR.read_bytes()
    container, codec, rate = KINDS[kind]
    layout = "mono" if channels == 1 else "stereo"
    stream = io.BytesIO()
    tone = (9_000 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.int16)
    samples = np.stack([tone, np.zeros_like(tone)][:channels], axis=1).reshape(1, -1)
    with av.open(stream, "w", format=container) as file:
        track = file.add_stream(codec, rate=rate)
        track.layout = layout  # type: ignore[attr-defined]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in [*track.encode(frame), *track.encode(None)]:  # type: ignore[attr-defined]
            file.mux(packet)
    return stream.getvalue()


def pitch_hz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * 16_000 / len(samples)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_decoded_whole_in_blocks_and_in_part(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"clip.{kind}"
    file.write_bytes(encoded(kind))
    samples = read_audio(file)
    assert samples.dtype == np.float32
    assert len(samples) / 16_000 == pytest.approx(2.0, abs=0.15)
    assert pitch_hz(samples) == pytest.approx(440, abs=2)
    assert np.array_equal(samples, read_audio(encoded(kind)))
    assert np.allclose(np.concatenate(list(audio_blocks(file))), samples, atol=1e-3)
    assert header_duration_s(file) == pytest.approx(2.0, abs=0.15) or kind == "webm"
    part = read_audio(AudioPart(file, 1.0, 0.5))
    assert len(part) == 8_000
    assert pitch_hz(part) == pytest.approx(440, abs=3)


def test_pauses_that_a_phone_does_not_send_are_silence() -> None:
    """In AMR a frame of a pause says how it hisses, or nothing at all (types 8 and 15)."""
    whole = AMR.read_bytes()
    head, frames, size = whole[:6], whole[6:], 13  # of a frame at 4.75 kbit/s
    middle = len(frames) // size // 2 * size
    pause = (b"\x44" + bytes(5) + 7 * b"\x7c") * 10  # 80 frames of 20 ms
    data = head + frames[:middle] + pause + frames[middle:]
    samples, tone = read_audio(data), read_audio(whole)
    assert len(samples) == len(tone) + 80 * 320
    assert header_duration_s(io.BytesIO(data)) == pytest.approx(len(samples) / 16_000)
    start = middle // size * 320
    assert np.abs(samples[start + 1_000 : start + 24_000]).max() < 0.001
    assert pitch_hz(samples[start + 80 * 320 + 1_600 :]) == pytest.approx(440, abs=3)
    wide = read_audio(b"#!AMR-WB\n" + (b"\x4c" + bytes(5) + 7 * b"\x7c") * 10)
    assert len(wide) == 80 * 320
    assert not wide.any()


def test_channels_are_averaged_or_one_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "call.m4a"
    file.write_bytes(encoded("m4a", channels=2))
    left, right = (read_audio(AudioPart(file, channel=k)) for k in (0, 1))
    middle = slice(8_000, 24_000)
    assert np.abs(left[middle]).max() > 0.2
    assert np.abs(right[middle]).max() < 0.02
    assert np.abs(read_audio(file)[middle] - left[middle] / 2).max() < 0.02


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00",
        b"\x1aE\xdf\xa3" + bytes(50),
        b"#!AMR\n",
        b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.aac\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_is_broken_or_names_other_files_is_no_audio(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.m4a").write_bytes(content)
    with pytest.raises(AudioError):
        read_audio(tmp_path / "x.m4a")


@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes_give_samples_or_an_audio_error(kind: str) -> None:
    whole, rng = encoded(kind), random.Random(kind)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            samples = read_audio(bytes(data[: rng.randint(20, len(data))]), 60.0)
        except AudioError:
            continue
        assert np.isfinite(samples).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_gives_samples_or_one_line(kind: str) -> None:
    """Near its end FFmpeg may name no codec for the track at all."""
    whole = encoded(kind)
    for percent in range(1, 100):
        samples = np.zeros(1)
        with suppress(AudioError):  # and nothing else
            samples = read_audio(whole[: len(whole) * percent // 100])
        assert np.isfinite(samples).all()
