"""What is kept is what was computed, wherever it is kept, and memory has a bound."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import noise

from moontune.config.schema import LoraConfig
from moontune.data.manifest import Utterance
from moontune.models.adapter import attach_lora
from moontune.training import augmentation as augment
from moontune.training import feature_cache as kept_speech
from moontune.training.augmentation import Augment, TokenDropout
from moontune.training.feature_cache import KeptSpeech
from moontune.training.losses import Losses

CLIPS = {f"c{i}": np.full(10 + i, i, np.float32) for i in range(6)} | {
    "again": np.full(12, 2, np.float32)  # what c2 holds
}
ROWS = [Utterance(name, Path(name), "", None, None) for name in CLIPS]


class Kept:
    """A store over CLIPS that counts what it is asked for."""

    def __init__(self, **options) -> None:
        self.computed = self.read = 0
        self.speech = KeptSpeech(self._compute, self._load, **options)

    def _compute(self, samples: np.ndarray) -> torch.Tensor:
        self.computed += 1
        return torch.from_numpy(samples)[:, None] * torch.ones(1, 4)

    def _load(self, u: Utterance) -> np.ndarray:
        self.read += 1
        return CLIPS[u.id][::-1].copy() if u.backwards else CLIPS[u.id]

    def check(self) -> None:
        for u in ROWS:
            assert torch.equal(self.speech(u), torch.from_numpy(CLIPS[u.id])[:, None].expand(-1, 4))


@pytest.mark.parametrize("memory_bytes", [0, 300, 10_000])
def test_each_recording_is_computed_once_and_comes_back_the_same(tmp_path, memory_bytes) -> None:
    kept = Kept(memory_bytes=memory_bytes, folder=tmp_path)
    for _ in range(3):
        kept.check()
    assert kept.computed == 6  # `again` has the content of another
    assert kept.read == 7
    in_memory = sum(t.nbytes for t in kept.speech._in_memory.values())
    assert in_memory <= memory_bytes
    distinct = sum(c.nbytes * 4 for name, c in CLIPS.items() if name != "again")
    assert kept.speech.spilled_bytes == distinct - in_memory
    assert list(tmp_path.iterdir()) == []  # the file has no name that could be left behind


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
def test_a_clip_and_the_same_clip_backwards_are_two(tmp_path, memory_bytes) -> None:
    """Or the model would learn to write nothing for speech."""
    ramp = np.arange(20, dtype=np.float32)
    u = Utterance("ramp", Path("ramp"), "", None, None)
    for order in ((False, True), (True, False)):
        kept = Kept(memory_bytes=memory_bytes, folder=tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(CLIPS, "ramp", ramp)
            for _ in range(2):
                for back in order:
                    first = kept.speech(u.with_(backwards=back))[0, 0]
                    assert first == (19 if back else 0)
        assert (kept.computed, kept.read) == (2, 2)


@pytest.mark.parametrize("fits", [0, 3])
def test_a_full_disk_costs_time_and_nothing_else(tmp_path, monkeypatch, fits) -> None:
    """A disk that fills within a clip takes a part of it without complaint."""

    class Full:
        def seek(self, offset: int) -> None:
            pass

        def write(self, data: bytes) -> int:
            if not fits:
                raise OSError(errno.ENOSPC, "no space left")
            return fits

    monkeypatch.setattr(kept_speech, "_nameless_file", lambda folder: Full())
    kept = Kept(memory_bytes=0, folder=tmp_path)
    for _ in range(2):
        kept.check()
    assert kept.computed == 2 * 7


def test_a_folder_that_cannot_be_written_is_no_mistake(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    kept = Kept(memory_bytes=0, folder=file / "below")
    kept.check()
    assert kept.computed == 7


def test_kept_states_hold_on_to_no_filler(fresh_base) -> None:
    """bfloat16 passes have filler rows; the bound on memory would not count them."""
    attach_lora(fresh_base, LoraConfig(lora_part="decoder"), 1)
    losses = Losses(fresh_base, lambda u: noise(1, 1.0), torch.bfloat16)
    kept = losses.kept(ROWS[0])
    assert kept.untyped_storage().nbytes() == kept.nbytes


class Counted(Augment):
    """An augmentation that counts how often it is asked for samples and for features."""

    def __init__(self, kinds) -> None:
        super().__init__(kinds, (1,))
        self.heard = self.seen = 0

    def samples(self, samples):
        self.heard += 1
        return super().samples(samples)

    def features(self, front):
        self.seen += 1
        return super().features(front)


@pytest.mark.parametrize("part", ["both", "decoder"])
@pytest.mark.parametrize("kind", ["noise", "mask"])
def test_augmented_audio_is_heard_anew_in_training_and_never_in_validation(
    fresh_base, monkeypatch, part, kind
) -> None:
    monkeypatch.setitem(augment._HOW_OFTEN, "noise", 1.0)
    attach_lora(fresh_base, LoraConfig(lora_part=part), 1)
    change = Counted([kind])
    losses = Losses(fresh_base, lambda u: noise(1, 2.0), torch.float32, change)
    row = Utterance("a", Path("a"), "Some words.", None, None)
    labels = losses.labels([row])
    first = losses.mean([row])
    trained = [next(losses.passes([row], labels)).sum().item() for _ in range(3)]
    assert len(set(trained)) == 3
    assert losses.mean([row]) == first  # what is kept was not changed in place
    assert change.seen == 3
    assert change.heard == (0 if kind == "mask" and part == "both" else 3)


def test_dropped_tokens_are_fed_and_never_targets(fresh_base) -> None:
    attach_lora(fresh_base, LoraConfig(lora_dropout=0.0), 1)
    row = Utterance("a", Path("a"), "Some words that are long enough to lose one.", None, None)

    def losses(share: float) -> Losses:
        dropout = TokenDropout(share, [30, 31], (1,))
        return Losses(fresh_base, lambda u: noise(1, 2.0), torch.float32, None, dropout)

    none, all_ = losses(0.0), losses(1.0)
    labels = none.labels([row])
    right = next(none.passes([row], labels)).detach()
    wrong = next(all_.passes([row], labels)).detach()
    assert none.mean([row]) == pytest.approx(float(right.mean()))
    assert losses(0.5).mean([row]) != none.mean([row])  # validated on what is trained
    assert losses(0.5).mean([row]) == losses(0.5).mean([row])
    assert wrong[0] == pytest.approx(float(right[0]))  # after the start token nothing was lost
    assert not torch.allclose(wrong, right)
