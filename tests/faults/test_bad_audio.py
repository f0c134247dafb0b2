"""What broken audio costs: its own row, a line, and little memory."""

from __future__ import annotations

import io
import os
import random
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builders import noise

from moontune.config.schema import CleanConfig
from moontune.data.audio import (
    AudioError,
    AudioPart,
    TooLongError,
    audio_blocks,
    header_duration_s,
    read_audio,
    write_flac,
)
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance

CLIP = noise(3, 0.5)
FORMATS = [
    ("WAV", "PCM_16", 1, 16_000),
    ("WAV", "FLOAT", 2, 16_000),
    ("WAV", "PCM_24", 1, 44_100),
    ("WAV", "IMA_ADPCM", 1, 16_000),
    ("FLAC", "PCM_16", 1, 16_000),
    ("FLAC", "PCM_24", 2, 48_000),
    ("OGG", "VORBIS", 1, 16_000),
    ("OGG", "OPUS", 1, 16_000),
    ("MP3", "MPEG_LAYER_III", 1, 16_000),
    ("MP3", "MPEG_LAYER_III", 2, 44_100),
    ("AIFF", "PCM_16", 1, 16_000),
]
MUTATIONS = 800
MEBIBYTE = 2**20


def encoded(kind: str, subtype: str, channels: int, rate: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([CLIP] * channels, 1), rate, format=kind, subtype=subtype)
    return stream.getvalue()


def wav(**fields: int) -> bytes:
    """A sound 16-bit WAV whose header lies in the fields given."""
    data = bytearray(encoded("WAV", "PCM_16", 1, 16_000))
    places = {"channels": (22, 2), "rate": (24, 4), "data_bytes": (data.index(b"data") + 4, 4)}
    for name, value in fields.items():
        at, width = places[name]
        data[at : at + width] = value.to_bytes(width, "little")
    return bytes(data)


def mp3(share: float, *, tag: int = 0, counted: bool = True, quiet_first: bool = True) -> bytes:
    """So much of an mp3 whose bit rate changes, behind an ID3 tag of so many bytes; the first frame
    has how much sound there is, or is left out."""
    stream = io.BytesIO()
    sound = np.concatenate([0 * CLIP, CLIP] if quiet_first else [CLIP, 0 * CLIP])
    soundfile.write(stream, sound, 16_000, format="MP3", bitrate_mode="VARIABLE")
    data = stream.getvalue()
    if not counted:
        data = data[data.index(data[:2], data.index(b"Xing")) :]
    size = bytes((tag >> shift) & 0x7F for shift in (21, 14, 7, 0))
    before = b"ID3\x04\x00\x00" + size + bytes(tag) if tag else b""
    return before + data[: int(share * len(data))]


def flac_claiming(frames: int) -> bytes:
    """STREAMINFO's total of samples is 36 bits, of which its 14th byte has the first four."""
    data = bytearray(encoded("FLAC", "PCM_16", 1, 16_000))
    data[21] = data[21] & 0xF0 | frames >> 32
    data[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


@contextmanager
def bounded(mebibytes: int, seconds: int = 60) -> Iterator[None]:
    """Fails if more memory than this is taken at once, or if the block never ends."""

    def stop(*_: object) -> None:
        raise RuntimeError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * MEBIBYTE
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, numbers made extreme, pieces cut out, put in and cut off; most in the head."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        head = max(5, min(len(out), rng.choice([64, 200, len(out)])))
        at, kind = rng.randrange(head), rng.random()
        if kind < 0.4:
            out[at : at + 1] = rng.randbytes(1)
        elif kind < 0.65:
            extremes = ["ffffffff", "ffffff7f", "00000080", "00000000", "00286bee", "0000c07f"]
            out[at : at + 4] = bytes.fromhex(rng.choice(extremes))
        elif kind < 0.75:
            del out[rng.randrange(len(out) + 1) :]
        elif kind < 0.85:
            del out[at : at + rng.randrange(1, 64)]
        else:
            out[at:at] = rng.randbytes(rng.randrange(1, 64))
    return bytes(out)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form[0]}-{form[1]}-{form[3]}")
def test_mutated_files_give_samples_or_an_audio_error(form, tmp_path) -> None:
    data, rng = encoded(*form), random.Random(str(form))
    file = tmp_path / "m.bin"
    heard_some = False
    said: set[str] = set()
    with bounded(64):
        for number in range(MUTATIONS // len(FORMATS)):
            broken = mutated(data, rng)
            file.write_bytes(broken)
            try:
                heard = read_audio(broken if number % 2 else file)
                heard_some = True
                assert heard.dtype == np.float32
                assert heard.ndim == 1
                assert heard.size
                assert np.isfinite(heard).all()
            except AudioError as error:
                said.add(str(error))
            try:
                assert header_duration_s(file) >= 0
                assert all(np.isfinite(block).all() for block in audio_blocks(file))
            except AudioError:
                pass
    assert said
    assert all(line and "\n" not in line for line in said)
    assert heard_some or form[0] == "OGG"  # whose every page has a checksum


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (wav(rate=4_000_000_000), "cannot be decoded|rate"),
        (wav(rate=2_000_000_000), "rate"),
        (wav(rate=1), "rate"),
        (wav(channels=65_535), "cannot be decoded"),
        (wav(channels=0), "cannot be decoded"),
        (wav(data_bytes=40_000), "cut off"),
        (encoded(*FORMATS[0])[:8_000], "cut off"),
        (encoded(*FORMATS[4])[:8_000], "cannot be decoded"),
        (mp3(0.6), "cut off: [56]. %"),
        (mp3(0.6, tag=9_000), "cut off: [56]. %"),
        (b"", "0 bytes"),
        (b"RIFF", "cannot be decoded"),
        (b"version https://git-lfs.github.com/spec/v1\n", "cannot be decoded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headers_that_lie_and_files_that_end_early_are_refused(data, why) -> None:
    with bounded(16), pytest.raises(AudioError, match=why):
        read_audio(data)


@pytest.mark.parametrize("given", [{}, {"tag": 9_000}, {"counted": False}], ids=str)
def test_a_whole_mp3_is_not_said_to_be_cut_off(given) -> None:
    """Without a count its length is guessed by the first frames, here at twice what it is."""
    heard = read_audio(mp3(1.0, **given))
    assert abs(len(heard) - 2 * len(CLIP)) < 4_000


def test_an_mp3_that_gives_no_count_in_its_first_frame_is_not_said_to_be_cut_off() -> None:
    data = bytearray(mp3(1.0))
    at = data.index(b"Xing") + 8
    data[at : at + 4] = bytes(4)
    assert abs(len(read_audio(bytes(data))) - 2 * len(CLIP)) < 4_000


def test_the_rest_of_a_whole_mp3_is_not_said_to_be_cut_off(tmp_path) -> None:
    file = tmp_path / "a.mp3"
    file.write_bytes(mp3(1.0))
    half = len(CLIP) / 16_000
    assert len(read_audio(AudioPart(file, half))) == len(CLIP)
    file.write_bytes(mp3(0.6))
    with pytest.raises(AudioError, match=r"cut off: [56]. %"):
        read_audio(AudioPart(file, half / 2))


def test_an_offset_behind_the_end_of_an_mp3_that_tells_no_length_is_named(tmp_path) -> None:
    file = tmp_path / "a.mp3"
    file.write_bytes(mp3(1.0, counted=False))
    with pytest.raises(AudioError, match="ends before the row's offset"):
        read_audio(AudioPart(file, 100.0, 1.0))


@pytest.mark.parametrize("as_file", [False, True])
def test_sound_behind_where_an_mp3_says_or_seems_to_end_is_heard(as_file, tmp_path) -> None:
    """The first one's count ends it where several are joined; without a count its first frames
    let guess too little."""
    one, file = mp3(1.0), tmp_path / "a.mp3"
    for data, clips, sounding in (
        (one + one, 4, slice(-len(CLIP), None)),
        (one + mp3(1.0, tag=300), 4, slice(-len(CLIP), None)),
        (mp3(1.0, counted=False, quiet_first=False), 2, slice(len(CLIP))),
    ):
        file.write_bytes(data)
        heard = read_audio(file if as_file else data)
        assert abs(len(heard) - clips * len(CLIP)) < 4_000
        assert np.abs(heard[sounding]).max() > 0.1
    for behind in (b"TAG" + bytes(125), b"APETAGEX" + random.Random(0).randbytes(60_000)):
        file.write_bytes(one + behind)
        assert len(read_audio(file if as_file else one + behind)) == 2 * len(CLIP)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_joined_mp3s_of_other_rates_or_channels_are_heard_as_each_was(rate, channels) -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(3 * rate) / rate).astype(np.float32)
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([tone] * channels, 1), rate, format="MP3")
    for data, sounding in (
        (mp3(1.0) + stream.getvalue(), slice(-40_000, -8_000)),
        (stream.getvalue() + mp3(1.0), slice(8_000, 40_000)),
    ):
        heard = read_audio(data)
        assert abs(len(heard) - 2 * len(CLIP) - 48_000) < 6_000
        part = heard[sounding]
        assert np.abs(np.fft.rfft(part)).argmax() == pytest.approx(500 * len(part) / 16_000, abs=2)
        assert np.abs(part).max() == pytest.approx(1.0, abs=0.1)


def test_tags_between_joined_mp3s_with_pictures_as_big_as_any_hide_no_sound() -> None:
    picture, one = random.Random(0).randbytes(300_000), mp3(1.0)
    tagged = mp3(1.0, tag=len(picture)).replace(bytes(len(picture)), picture)
    twice_tagged = b"ID3\x04\x00\x00" + bytes(3) + b"\x05" + bytes(5) + tagged
    for data in (one + tagged, tagged + tagged, one + b"TAG" + bytes(125) + tagged):
        assert abs(len(read_audio(data)) - 4 * len(CLIP)) < 8_000
    assert abs(len(read_audio(twice_tagged + one)) - 4 * len(CLIP)) < 8_000


def test_an_mp3_without_a_count_that_lost_a_piece_is_heard_and_one_full_of_holes_is_not() -> None:
    """As a stream that was recorded; players leave the frame out that is damaged."""
    data, at = mp3(1.0, counted=False), 9_001
    heard = read_audio(data[:at] + data[at + 501 :])
    assert 0 < 2 * len(CLIP) + 4_000 - len(heard) < 16_000
    many = 8 * data
    holes = b"".join(many[i + 60 : i + 500] for i in range(500, len(many), 500))
    with pytest.raises(AudioError, match=r"\d+ of \d+ frames are damaged"):
        read_audio(many[:500] + holes)


def test_a_damaged_tag_between_joined_mp3s_takes_no_sound_away_without_a_word() -> None:
    data = bytearray(mp3(1.0) + mp3(1.0, tag=300))
    data[data.rindex(b"ID3") + 7] = 0x7F
    with pytest.raises(AudioError, match="a tag claims more than there is"):
        read_audio(bytes(data))


def test_sound_behind_a_count_that_tells_no_bytes_is_not_lost_without_a_word() -> None:
    one = bytearray(mp3(1.0))
    one[one.index(b"Xing") + 7] &= ~2
    with pytest.raises(AudioError, match=r"more than the .* s that are decoded"):
        read_audio(bytes(one + one))


@pytest.mark.parametrize(
    "data",
    [
        *(wav(data_bytes=n) for n in (2**31 - 1, 2**31, 2**32 - 1)),
        flac_claiming(2**31),
        flac_claiming(2**36 - 1),
        flac_claiming(0),
    ],
    ids=["wav-2G", "wav-2G+", "wav-4G", "flac-2G", "flac-64G", "flac-0"],
)
def test_a_length_that_is_not_known_is_what_is_there(data) -> None:
    """A WAV or FLAC that was piped out claims no length or an endless one, and is good."""
    with bounded(16):
        try:
            assert len(read_audio(data)) == len(CLIP)
        except AudioError as error:  # libsndfile gives up a FLAC that lacks samples
            assert data[:4] == b"fLaC"
            assert "cannot be decoded" in str(error)  # noqa: PT017


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_that_ends_within_a_page_is_said_to_be_cut_off(subtype: str) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, noise(3, 30.0), 16_000, format="OGG", subtype=subtype)
    data = stream.getvalue()
    assert len(read_audio(data)) == 30 * 16_000
    assert len(read_audio(data + bytes(128))) == 30 * 16_000  # what a tagger left
    assert len(read_audio(data + b"OggS\0" + bytes(20))) == 30 * 16_000  # no page
    last = data.rindex(b"OggS")
    for end in (len(data) // 2, last + 10, last + 40, len(data) - 1):
        with pytest.raises(AudioError, match=r"is cut off: [\d.]+ s are there"):
            read_audio(data[:end])
    third = data.index(b"OggS", data.index(b"OggS", 4) + 4)
    with pytest.raises(AudioError, match="cut off"):  # before any sound
        read_audio(data[: third + 200])
    assert len(read_audio(data[: data.index(b"OggS", len(data) // 2)])) > 10 * 16_000


def test_a_wav_that_a_recorder_did_not_close_is_heard(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(data_bytes=0))
    for source in (tmp_path / "a.wav", wav(data_bytes=0)):
        np.testing.assert_array_equal(read_audio(source), read_audio(wav()))
    none = io.BytesIO()
    soundfile.write(none, np.zeros(0), 16_000, format="WAV")
    for behind in (b"", b"LIST\4\0\0\0INFO", bytes(1000)):
        nothing = none.getvalue() + behind
        with pytest.raises(AudioError, match="holds no samples"):
            read_audio(nothing)


def test_three_hours_are_dropped_without_decoding_them(tmp_path) -> None:
    file = tmp_path / "long.wav"
    file.write_bytes(wav(data_bytes=3 * 3600 * 32_000))
    with open(file, "r+b") as stream:
        stream.truncate(44 + 3 * 3600 * 32_000)  # a hole, not half a gigabyte
    with bounded(24):
        with pytest.raises(TooLongError, match=r"10800\.0 s, at most 30 s"):
            read_audio(file, 30.0)
        row = Utterance("a", file, "Two words.", 1.0, "s", where="my.jsonl:7")
        done = clean([row], CleanConfig())
    assert (done.dropped[0].where, done.dropped[0].reason) == ("my.jsonl:7", "too long")
    assert "10800.0 s, at most 30 s" in done.dropped[0].detail


def test_a_header_that_hides_its_length_does_not_help(tmp_path) -> None:
    """A FLAC of an hour says that it has none; silence is a few kilobytes a minute."""
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(16_000 * 600, "int16"), 16_000, format="FLAC")
    data = bytearray(stream.getvalue())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    with bounded(24), pytest.raises(TooLongError, match="more, at most 30 s"):
        read_audio(bytes(data), 30.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero"), Path("/dev/null")):
        with bounded(16, seconds=20):
            for read in (read_audio, header_duration_s, lambda p: list(audio_blocks(p))):
                with pytest.raises(AudioError, match="is a pipe or a device"):
                    read(path)


def test_samples_that_are_no_sound_are_refused_and_loud_ones_are_not(tmp_path) -> None:
    row = Utterance("a", tmp_path / "x.wav", "Two words.", None, "s")
    tone = noise(1, 1.0)
    for value in (np.nan, np.inf, -np.inf):
        spoilt = tone.copy()
        spoilt[70] = value
        soundfile.write(tmp_path / "x.wav", spoilt, 16_000, "FLOAT")
        done = clean([row], CleanConfig())
        assert done.dropped[0].detail.endswith("holds NaN or infinite samples")
    soundfile.write(tmp_path / "x.wav", tone * 32_768, 16_000, "FLOAT")
    assert "where 1 is full scale" in clean([row], CleanConfig()).dropped[0].detail
    for usable in (np.clip(tone * 50, -1, 1), tone * 5):  # clipped; louder than full scale
        soundfile.write(tmp_path / "x.wav", usable, 16_000, "FLOAT")
        assert not clean([row], CleanConfig()).dropped


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (192_000, 1), (16_000, 6), (48_000, 6)])
def test_odd_rates_and_many_channels_are_heard(tmp_path, rate, channels) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "x.flac", np.stack([tone] * channels, 1), rate)
    heard = read_audio(tmp_path / "x.flac")
    assert len(heard) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440
    assert np.abs(heard).max() == pytest.approx(0.3, abs=0.02)


def test_ten_milliseconds_and_a_length_that_the_manifest_got_wrong(tmp_path) -> None:
    write_flac(tmp_path / "a.flac", noise(1, 0.01))
    write_flac(tmp_path / "b.flac", noise(1, 1.0))
    rows = [Utterance(n, tmp_path / f"{n}.flac", "Two words.", 999.0, "s") for n in ("a", "b")]
    done = clean(rows, CleanConfig())
    assert [(d.id, d.reason) for d in done.dropped] == [("a", "too short")]
    assert [u.duration for u in done.utterances] == [1.0]
