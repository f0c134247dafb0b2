"""The frozen part of the model, computed once for each clip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from moontune.data.audio import AudioPart
from moontune.data.manifest import Utterance

MEMORY_BYTES = 256 * 2**20  # about 90 minutes of speech; what is beyond is computed each time


class FeatureCache:
    """Calls `compute` once for each clip's samples and keeps what it gives, (frames, width).

    Keyed by the samples' hash, so that the same recording is kept once, whatever its name. Beyond
    `memory_bytes` nothing more is kept, and is computed again each time. `load_audio` is asked once
    for each utterance's file that is kept, and once more where it is heard backwards.
    """

    def __init__(
        self,
        compute: Callable[[np.ndarray], torch.Tensor],
        load_audio: Callable[[Utterance], np.ndarray],
        *,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._compute, self._load_audio = compute, load_audio
        self._room = memory_bytes
        self._keys: dict[tuple[Path | AudioPart, bool], bytes] = {}
        self._features: dict[bytes, torch.Tensor] = {}

    @property
    def cached_bytes(self) -> int:
        return sum(features.nbytes for features in self._features.values())

    def __call__(self, u: Utterance) -> torch.Tensor:
        clip = (u.audio, u.backwards)
        if (key := self._keys.get(clip)) in self._features:
            return self._features[key]
        samples = self._load_audio(u)
        key = hashlib.sha256(samples.tobytes()).digest()
        self._keys[clip] = key
        if key not in self._features:
            features = self._compute(samples).detach()
            if features.nbytes > self._room:
                return features
            self._room -= features.nbytes
            self._features[key] = features
        return self._features[key]
