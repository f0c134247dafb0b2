"""Bases that the self-test tries its checks on: a tiny random base in memory, and a real one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.models.base_model import Base, Origin, load_base
from moontune.models.locate import HUB_ALIASES, may_be_on_hub
from moontune.models.tiny_random import (
    tiny_net,
    tiny_processor,
    tiny_streaming_net,
    tiny_streaming_processor,
)
from moontune.system.cache import cache_dir
from moontune.system.files import user_path

_TEXTS = ("The red boat.", "A cold wind blows north.", "No!", "Seven birds sing at dawn.")
_SECONDS = (1.5, 0.06, 2.2, 0.9)  # loud neighbours of unlike length, one of a single frame
_SPOKEN = 4  # clips with known text


@dataclass(frozen=True)
class Fixture:
    """A base and clips to try it with. Checks leave it as it is; they take copies."""

    base: Base
    utterances: Sequence[Utterance]
    clips: dict[str, np.ndarray]  # by utterance id, (samples,) float32 at 16 kHz
    speech: bool  # whether the clips say what the texts say

    def hear(self, u: Utterance) -> np.ndarray:
        return self.clips[u.id]

    def copy(self) -> Base:
        return dataclasses.replace(self.base, net=copy.deepcopy(self.base.net))

    def labels(self, u: Utterance) -> list[int]:
        """By hand: the text's own tokens and EOS, whatever moontune makes of it."""
        ids = self.base.tokenizer(u.label, add_special_tokens=False).input_ids
        return [*ids, self.eos]

    @property
    def eos(self) -> int:
        return int(self.base.net.config.eos_token_id)


def tiny_fixture() -> Fixture:
    """A random Moonshine in memory."""
    return _tiny(tiny_net(), tiny_processor())


def tiny_streaming_fixture() -> Fixture:
    """A random Moonshine Streaming in memory."""
    return _tiny(tiny_streaming_net(), tiny_streaming_processor())


def _tiny(net: Any, processor: Any) -> Fixture:
    """A random base, its weights large enough that every part is heard."""
    with torch.no_grad():
        for weights in net.parameters():
            if weights.ndim > 1:
                weights.mul_(6)
    kind = net.config.model_type
    origin = Origin("tiny-random", "", "moontune/tiny-random", None, "0" * 64, False, kind)
    return Fixture(Base(net, processor, origin, "cpu"), *_noise(), speech=False)


def _noise() -> tuple[list[Utterance], dict[str, np.ndarray]]:
    utterances, clips = [], {}
    for number, (text, seconds) in enumerate(zip(_TEXTS, _SECONDS, strict=True)):
        rng = np.random.default_rng(number)
        noise = rng.standard_normal(int(SAMPLE_RATE_HZ * seconds)).astype(np.float32)
        clips[str(number)] = (0.05 + 0.2 * number) * noise
        utterances.append(Utterance(str(number), Path(f"clip-{number}"), text, seconds, None))
    return utterances, clips


def find_base(asked: str | None, usual: str) -> str | None:
    """A base that `load_base` can load without a network: the one asked for, else `bundled`, else
    the `usual` hub id; None where it is a hub id that is not cached. Raises UserError."""
    if asked is None:
        from moontune.models.bundled import bundled_ort_files

        try:
            bundled_ort_files()
            return "bundled"
        except UserError:
            asked = usual
    if user_path(asked).is_dir() or not may_be_on_hub(asked):
        return asked
    return _cached(asked)


def _cached(hub_id: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    owner, name = hub_id.split("/")
    for candidate in (hub_id, f"{HUB_ALIASES.get(owner, owner)}/{name}"):
        files = ("model.safetensors", "config.json", "tokenizer.json")
        found = [try_to_load_from_cache(candidate, file) for file in files]
        if all(isinstance(path, str) for path in found):
            return str(Path(str(found[0])).parent)
    return None


def real_fixture(model_id: str) -> Fixture:
    """A base with speech whose text is known, or noise where there is none. Raises UserError."""
    base = load_base(model_id, None, "cpu")
    try:
        from moontune.data.sources.bundled_speech import sample_bundled_speech

        spoken = sample_bundled_speech(cache_dir() / "audio").utterances
    except UserError:
        return Fixture(base, *_noise(), speech=False)
    shortest = sorted(spoken, key=lambda u: u.duration_or_1s)[:_SPOKEN]
    clips = {u.id: read_audio(u.audio) for u in shortest}
    return Fixture(base, shortest, clips, speech=True)
