"""A telephone is noticed, whatever rate a file says; no other recording is taken for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
from builders import noise

from moontune.config.schema import CleanConfig
from moontune.data.audio import read_audio, write_flac
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance, read_manifest
from moontune.data.sound.bandwidth import is_narrow


def telephoned(samples: np.ndarray) -> np.ndarray:
    """As a line of 8 kHz with 8-bit mu-law carries it, at 16 kHz again."""
    line = soxr.resample(samples, 16_000, 8_000)
    code = np.round(127 * np.sign(line) * np.log1p(255 * np.abs(line)) / np.log(256)) / 127
    heard = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    return soxr.resample(heard, 8_000, 16_000).astype(np.float32)


def test_a_telephone_is_told_from_other_recordings(accented, adventure) -> None:
    for manifest in (accented, adventure):
        rows = read_manifest(manifest)[0][::40]
        clips = [read_audio(u.audio) for u in rows]
        assert not any(is_narrow(clip, 16_000) for clip in clips)
        assert all(is_narrow(telephoned(clip), 16_000) for clip in clips)


def test_silence_and_what_is_too_short_are_no_telephone() -> None:
    assert not is_narrow(np.zeros(16_000, np.float32), 16_000)
    assert not is_narrow(noise(1, 0.1), 16_000)


def test_cleaning_counts_telephone_clips(tmp_path: Path) -> None:
    rows = []
    for i in range(4):
        clip = noise(i, 1.0)
        path = tmp_path / f"{i}.flac"
        write_flac(path, telephoned(clip) if i else clip)
        rows.append(Utterance(str(i), path, "Hello there.", None, "s"))
    assert clean(rows, CleanConfig()).narrow == 3
    assert clean([replace(rows[0])], CleanConfig()).narrow == 0
