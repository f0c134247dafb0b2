"""Two channels: opposite phases are heard, and a call of two people is told from one person."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builders import noise

from moontune.config.schema import CleanConfig
from moontune.data.audio import AudioPart, audio_blocks, read_audio
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance
from moontune.data.sound.stereo import TwoChannels

ROOM = 0.001 * np.random.default_rng(5).standard_normal(64_000).astype(np.float32)


def saved(path: Path, left: np.ndarray, right: np.ndarray, rate: int = 16_000) -> Path:
    soundfile.write(path, np.stack([left, right], axis=1), rate, subtype="FLOAT", format="WAV")
    return path


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_opposite_phases_are_heard_by_every_reader_alike(tmp_path: Path, rate: int) -> None:
    voice = noise(1, 25.0 * rate / 16_000)
    file = saved(tmp_path / "x.wav", voice, -voice + 0.001 * noise(2, 25.0 * rate / 16_000), rate)
    whole = read_audio(file)
    alone = read_audio(AudioPart(file, channel=0))
    assert np.array_equal(whole, alone)
    assert np.abs(whole).max() > 0.05
    assert np.abs(np.concatenate(list(audio_blocks(file))) - whole).max() < 1e-4
    with io.BytesIO(file.read_bytes()) as stream:
        assert np.abs(np.concatenate(list(audio_blocks(stream))) - whole).max() < 1e-4
    row = Utterance("a", file, "Two words.", None, "s")
    assert not clean([row], CleanConfig()).dropped
    part = read_audio(AudioPart(file, 12.0, 2.0))
    assert np.abs(part).max() > 0.05


def test_other_channels_are_averaged_as_before(tmp_path: Path) -> None:
    voice, other = noise(1, 1.0), noise(2, 1.0)
    for right in (voice, -voice / 2, other, 0 * voice):
        heard = read_audio(saved(tmp_path / "x.wav", voice, right))
        assert heard == pytest.approx((voice + right) / 2, abs=1e-6)
    silent = read_audio(saved(tmp_path / "x.wav", 0 * voice, 0 * voice))
    assert not silent.any()


def turns(seed: int, *stretches: tuple[float, float]) -> np.ndarray:
    """Four seconds in which somebody speaks from second to second as given."""
    samples = np.zeros(64_000, np.float32)
    voice = noise(seed, 4.0)
    for start, end in stretches:
        stretch = slice(int(start * 16_000), int(end * 16_000))
        samples[stretch] = voice[stretch]
    return samples


HERE, THERE = turns(1, (0, 1.2), (2.4, 3)), turns(2, (1.2, 2.4), (3, 4))
ALL = turns(3, (0, 4))


@pytest.mark.parametrize(
    ("left", "right", "two"),
    [
        (HERE, THERE, True),
        (HERE + 0.1 * THERE, THERE + 0.1 * HERE, True),  # each is heard a little by the other
        (HERE, 0.3 * THERE, True),  # one is far from the microphone
        (HERE + ROOM, ROOM[::-1], False),  # one channel is not connected
        (HERE + THERE, HERE + THERE, False),
        (HERE + THERE, 0.4 * (HERE + THERE), False),
        (ALL, -ALL, False),
        (ALL, np.roll(ALL, 20), False),  # two microphones, one person
        (turns(1, (0, 3.45)), turns(2, (3.45, 4)), False),  # a cough
        (turns(1, (0, 4)), turns(2, (0, 4)), False),  # at once: music, or a room
        (turns(1, (0, 1), (1.8, 4)), turns(2, (1, 4)), False),  # most of the time at once
        (0 * HERE, 0 * HERE, False),
    ],
)
def test_two_people_are_told_from_one(left: np.ndarray, right: np.ndarray, two: bool) -> None:
    channels = TwoChannels()
    for start in range(0, 64_000, 24_000):
        block = np.stack([left, right], axis=1)[start : start + 24_000]
        channels.hear(block.astype(np.float32), 16_000)
    assert channels.two_people is two


def test_cleaning_tells_calls_of_two_people_and_not_the_channel_that_was_picked(tmp_path) -> None:
    file = saved(tmp_path / "call.wav", HERE, THERE)
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, HERE, 16_000)
    rows = [
        Utterance("a", mono, "Two words.", None, "s", where="m.jsonl:1"),
        Utterance("b", file, "Two words.", None, "s", where="m.jsonl:2"),
        Utterance("c", file, "Two words.", None, "s", where="m.jsonl:3", channel=1),
        Utterance("d", file, "Two words.", 3.5, "s", where="m.jsonl:4", offset=0.2),
    ]
    cleaned = clean(rows, CleanConfig())
    assert [u.where for u in cleaned.two_people] == ["m.jsonl:2", "m.jsonl:4"]
    assert len(cleaned.utterances) == 4
