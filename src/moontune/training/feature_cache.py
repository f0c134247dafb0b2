"""What the frozen part of the model makes of each clip, computed once and kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moontune.data.manifest import Utterance
from moontune.system.cache import cache_dir

MEMORY_BYTES = 256 * 2**20  # about 90 minutes of speech; what is beyond goes to a file


class KeptSpeech:
    """Calls `compute` once for each clip's samples and keeps what it gives, (frames, width).

    Keyed by the samples' hash, so that the same recording is kept once, whatever its name. Beyond
    `memory_bytes` it is kept in a file without a name in `folder`, which is gone with the process;
    where the disk has no room, it is computed again each time. `load_audio` is asked once for each
    utterance's file, and once more where it is heard backwards.
    """

    def __init__(
        self,
        compute: Callable[[np.ndarray], torch.Tensor],
        load_audio: Callable[[Utterance], np.ndarray],
        *,
        memory_bytes: int = MEMORY_BYTES,
        folder: Path | None = None,
    ) -> None:
        self._compute, self._load_audio = compute, load_audio
        self._room, self._folder = memory_bytes, folder
        self._keys: dict[tuple[Path, bool], bytes] = {}
        self._in_memory: dict[bytes, torch.Tensor] = {}
        self._in_file: dict[bytes, tuple[int, tuple[int, int]]] = {}
        self._file: Any = None
        self._end = 0
        self._spills = True

    def __call__(self, u: Utterance) -> torch.Tensor:
        heard = (u.audio_filepath, u.backwards)
        key = self._keys.get(heard)
        if key is not None:
            kept = self._kept(key)
            if kept is not None:
                return kept
        samples = self._load_audio(u)
        key = hashlib.sha256(samples.tobytes()).digest()
        self._keys[heard] = key
        kept = self._kept(key)
        if kept is None:
            kept = self._compute(samples).detach()
            self._keep(key, kept)
        return kept

    @property
    def spilled_bytes(self) -> int:
        return self._end

    def _kept(self, key: bytes) -> torch.Tensor | None:
        if key in self._in_memory:
            return self._in_memory[key]
        if key not in self._in_file:
            return None
        offset, shape = self._in_file[key]
        rows = np.empty(shape, np.float32)
        self._file.seek(offset)
        if self._file.readinto(rows.data.cast("B")) != rows.nbytes:
            return None
        return torch.from_numpy(rows)

    def _keep(self, key: bytes, rows: torch.Tensor) -> None:
        size = rows.nbytes
        if size <= self._room:
            self._room -= size
            self._in_memory[key] = rows
            return
        if not self._spills:
            return
        try:
            if self._file is None:
                self._file = _nameless_file(self._folder or cache_dir())
            self._file.seek(self._end)
            if self._file.write(rows.cpu().contiguous().numpy().data.cast("B")) != size:
                raise OSError("the disk is full")
        except OSError:  # no room: what is kept stays, the rest is computed each time
            self._spills = False
            return
        self._in_file[key] = (self._end, (rows.shape[0], rows.shape[1]))
        self._end += size


def _nameless_file(folder: Path) -> Any:
    os.makedirs(folder, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)
