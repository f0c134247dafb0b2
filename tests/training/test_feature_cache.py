"""What is cached is what was computed, and memory has a bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import noise

from moontune.config.schema import LoraConfig
from moontune.data.manifest import Utterance
from moontune.models.adapter import attach_lora
from moontune.training.feature_cache import FeatureCache
from moontune.training.losses import LossComputer
from moontune.training.token_dropout import TokenDropout

CLIPS = {f"c{i}": np.full(10 + i, i, np.float32) for i in range(6)} | {
    "again": np.full(12, 2, np.float32)  # what c2 holds
}
ROWS = [Utterance(name, Path(name), "", None, None) for name in CLIPS]


class Counting:
    """A cache over CLIPS that counts what it is asked for."""

    def __init__(self, **options) -> None:
        self.computed = self.read = 0
        self.cache = FeatureCache(self._compute, self._load, **options)

    def _compute(self, samples: np.ndarray) -> torch.Tensor:
        self.computed += 1
        return torch.from_numpy(samples)[:, None] * torch.ones(1, 4)

    def _load(self, u: Utterance) -> np.ndarray:
        self.read += 1
        return CLIPS[u.id][::-1].copy() if u.backwards else CLIPS[u.id]

    def check(self) -> None:
        for u in ROWS:
            assert torch.equal(self.cache(u), torch.from_numpy(CLIPS[u.id])[:, None].expand(-1, 4))


def test_each_recording_is_computed_once_and_comes_back_the_same() -> None:
    counting = Counting()
    for _ in range(3):
        counting.check()
    assert counting.computed == 6  # `again` has the content of another
    assert counting.read == 7


@pytest.mark.parametrize("memory_bytes", [0, 300])
def test_beyond_the_bound_it_is_computed_each_time(memory_bytes) -> None:
    counting = Counting(memory_bytes=memory_bytes)
    for _ in range(2):
        counting.check()
    cached = counting.cache._features
    assert counting.cache.cached_bytes == sum(t.nbytes for t in cached.values())
    assert counting.cache.cached_bytes <= memory_bytes
    assert len(cached) == (1 if memory_bytes else 0)
    uncached = [name for name in CLIPS if name != "c0" or not memory_bytes]
    assert counting.computed == 2 * len(uncached) + len(cached)


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
def test_a_clip_and_the_same_clip_backwards_are_two(memory_bytes) -> None:
    """Or the model would learn to write nothing for speech."""
    ramp = np.arange(20, dtype=np.float32)
    u = Utterance("ramp", Path("ramp"), "", None, None)
    for order in ((False, True), (True, False)):
        counting = Counting(memory_bytes=memory_bytes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(CLIPS, "ramp", ramp)
            for _ in range(2):
                for back in order:
                    first = counting.cache(replace(u, backwards=back))[0, 0]
                    assert first == (19 if back else 0)
        once = memory_bytes > 0
        assert (counting.computed, counting.read) == ((2, 2) if once else (4, 4))


def test_kept_states_hold_on_to_no_filler(fresh_base) -> None:
    """bfloat16 passes have filler rows; the bound on memory would not count them."""
    attach_lora(fresh_base, LoraConfig(lora_part="decoder"), 1)
    losses = LossComputer(fresh_base, lambda u: noise(1, 1.0), torch.bfloat16)
    kept = losses.cache(ROWS[0])
    assert kept.untyped_storage().nbytes() == kept.nbytes


def test_dropped_tokens_are_fed_and_never_targets(fresh_base) -> None:
    attach_lora(fresh_base, LoraConfig(lora_dropout=0.0), 1)
    row = Utterance("a", Path("a"), "Some words that are long enough to lose one.", None, None)

    def losses(share: float) -> LossComputer:
        dropout = TokenDropout(share, [30, 31], (1,))
        return LossComputer(fresh_base, lambda u: noise(1, 2.0), torch.float32, dropout)

    none, all_ = losses(0.0), losses(1.0)
    labels = none.labels([row])
    right = next(none.passes([row], labels)).detach()
    wrong = next(all_.passes([row], labels)).detach()
    assert none.mean([row]) == pytest.approx(float(right.mean()))
    assert losses(0.5).mean([row]) != none.mean([row])  # validated on what is trained
    assert losses(0.5).mean([row]) == losses(0.5).mean([row])
    assert wrong[0] == pytest.approx(float(right[0]))  # after the start token nothing was lost
    assert not torch.allclose(wrong, right)
