"""Sources to import in tests, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from moontune.data.audio import read_audio
from moontune.data.manifest import Utterance, read_manifest
from moontune.importing.command import ImportArgs, import_sources
from moontune.importing.data_set import LEFT_OUT, MANIFEST, Imported
from moontune.system.files import read_jsonl

TEXTS = ("The red boat sails home.", "A cold wind blows north.", "Seven birds sing at dawn.")


def sound(seed: int, seconds: float = 0.4) -> np.ndarray:
    """A clip of noise whose samples are of 16 bits, float32 16 kHz."""
    rng = np.random.default_rng(seed)
    return rng.integers(-8000, 8000, round(16_000 * seconds)).astype(np.float32) / 32768


def write(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    """A recording in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def clips(folder: Path, *names: str) -> list[np.ndarray]:
    """Recordings of these names, and their samples."""
    sounds = [sound(seed) for seed in range(len(names))]
    for name, samples in zip(names, sounds, strict=True):
        write(folder / name, samples)
    return sounds


@dataclass(frozen=True)
class Result:
    """A data set that was imported."""

    folder: Path
    imported: Imported
    rows: list[Utterance]
    left_out: list[dict[str, Any]]
    told: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [u.text for u in self.rows]

    @property
    def sounds(self) -> list[np.ndarray]:
        return [read_audio(u.audio) for u in self.rows]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(row["where"], row["reason"]) for row in self.left_out]

    def holds(self, texts: list[str] | tuple[str, ...], sounds: list[np.ndarray]) -> None:
        """It has these texts word for word, and this audio sample for sample."""
        assert self.texts == list(texts)
        for there, wanted in zip(self.sounds, sounds, strict=True):
            np.testing.assert_array_equal(there, wanted)


def run_import(*sources: Path, output: Path | None = None, **more: Any) -> Result:
    """What `moontune import` makes of sources."""
    told: list[str] = []
    folder = output or sources[0].parent / f"{sources[0].name}-imported"
    args = ImportArgs(sources, folder, **more)
    folder, imported = import_sources(args, told.append)
    rows, bad = read_manifest(folder / MANIFEST)
    assert not bad
    return Result(folder, imported, rows, read_jsonl(folder / LEFT_OUT), told)
