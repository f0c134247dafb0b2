"""A file that is no audio, or none that is read, is told by what it is, with what helps."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from builders import noise

from moontune.data.audio import AudioError, audio_blocks, header_duration_s, read_audio


def sound(kind: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, noise(1, 1.0), 16_000, format=kind)
    return stream.getvalue()


def tone(kind: str, codec: str, rate: int = 16_000) -> bytes:
    stream = io.BytesIO()
    samples = (9_000 * np.sin(np.arange(2 * rate) / 6)).astype(np.int16).reshape(1, -1)
    with av.open(stream, "w", format=kind) as file:
        track = file.add_stream(codec, rate=rate)
        track.layout = "mono"  # type: ignore[attr-defined]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*track.encode(frame), *track.encode(None)]:  # type: ignore[attr-defined]
            file.mux(packet)
    return stream.getvalue()


def silent_video() -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as file:
        track = file.add_stream("mpeg4", rate=5)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"  # type: ignore[attr-defined]
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        for packet in [*track.encode(picture), *track.encode(None)]:  # type: ignore[attr-defined]
            file.mux(packet)
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.wav", sound("WAV"))
    return stream.getvalue()


def odd_wav() -> bytes:
    data = bytearray(sound("WAV"))
    data[20:22] = (0x161).to_bytes(2, "little")  # Windows Media, in a WAV
    return bytes(data)


M4A = tone("ipod", "aac")
WEBM = tone("webm", "libopus", 48_000)


@pytest.mark.parametrize(
    ("content", "what", "helps"),
    [
        (b"", "it is empty, 0 bytes", "record or copy it again"),
        (bytes(5000), "begins with zeros alone", "copy it again"),
        (b"hello there\n", "it is text, not audio", "check the path"),
        ("zwölf Boote, die nächste Flut é".encode("latin-1"), "it is text", "check the path"),
        ("hello".encode("utf-16"), "it is text", "check the path"),
        (("é" * 4000).encode()[1:], "it is text", "check the path"),
        (b"\n<!DOCTYPE html><html>404</html>", "it is a web page", "download it again"),
        (b'{"error": "gone"}', "it is text", "check the path"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        (zipped(), "it is a zip archive", "unpack it"),
        (b"%PDF-1.4\n" + bytes(90), "it is a PDF", "check the path"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "it is a picture", "check the path"),
        (b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(90), "an AVI video", "ffmpeg -i FILE out.wav"),
        (b"wvpk" + bytes(90), "WavPack", "ffmpeg -i FILE out.wav"),
        (b"MThd" + bytes(90), "a MIDI file", "record what is said"),
        (silent_video(), "a video without a sound track", "give the file with the sound"),
        (M4A.replace(b"mp4a\x00\x00", b"drms\x00\x00", 1), "protected against copying", "record"),
        (b"\x00\x00\x00\x1cftypM4P " + bytes(60), "protected against copying", "record"),
        (M4A[: len(M4A) // 2], "an m4a or mp4 that is damaged, cut off", "ffmpeg -i FILE out.wav"),
        (odd_wav(), "a wav that is damaged, cut off or encoded", "ffmpeg -i FILE out.wav"),
        (sound("FLAC")[:9000], "damaged or cut off", "copy or record it again"),
        (WEBM[: len(WEBM) // 2], "is cut off", "% of what its header tells"),
        (np.random.default_rng(1).bytes(5000), "no kind of audio that is known", "ffmpeg -i FILE"),
    ],
)  # fmt: skip
def test_what_cannot_be_decoded_says_what_it_is_and_what_helps(
    content: bytes, what: str, helps: str, tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp3"
    file.write_bytes(content)
    said = []
    for read in (read_audio, lambda f: list(audio_blocks(f)), lambda f: read_audio(f.read_bytes())):
        with pytest.raises(AudioError) as refused:
            read(file)
        said.append(str(refused.value))
    assert what in said[0]
    assert helps in said[0]
    assert said[0] == said[1] == said[2]
    assert "\n" not in said[0]
    assert str(tmp_path) not in said[0]
    assert "soundfile" not in said[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.mp3", sound("WAV")), ("a.wav", sound("MP3")), ("b.wav", M4A), ("c.txt", WEBM)],
)
def test_a_wrong_ending_is_no_fault(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert len(read_audio(tmp_path / name)) >= 16_000
    assert header_duration_s(tmp_path / name) >= 0


def test_a_recording_whose_head_knows_no_length_is_whole() -> None:
    """As a browser writes it while somebody speaks."""
    live = bytearray(WEBM)
    at = live.index(b"\x44\x89\x88")  # Duration, a float of eight bytes
    live[at : at + 2] = b"\xec\x89"  # Void
    assert len(read_audio(bytes(live))) >= 31_000
