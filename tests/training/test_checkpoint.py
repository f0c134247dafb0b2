"""A training that was stopped ends as if it never had been."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from builders import DEVICE, same_numbers
from training_clips import SPLIT, load_audio

from moontune.config.schema import LoraConfig, TrainConfig
from moontune.models.adapter import adapter_state, attach_lora
from moontune.models.base_model import load_base
from moontune.training.checkpoint import Checkpointer
from moontune.training.loop import TrainingSetup, train
from moontune.training.sampling import mixture

pytestmark = pytest.mark.device
SETTINGS = TrainConfig(
    max_steps=9,
    lr=5e-3,
    eval_every_steps=2,
    grad_accum=3,
    early_stop_patience=0,
)


OTHERS = [(SPLIT[:1], 0.25), ([replace(u, backwards=True) for u in SPLIT], 0.2)]


def trained(model: Path, checkpointer: Checkpointer | None = None, config: TrainConfig = SETTINGS):
    """In a base of its own, as in a new process."""
    log: list[dict] = []
    base = load_base(str(model), None, DEVICE)
    adapted = attach_lora(base, LoraConfig(lora_dropout=0.2), 3)
    torch.manual_seed(99)  # a new process may have drawn before
    stream = mixture(SPLIT, OTHERS, 7)
    setup = TrainingSetup(adapted, base, load_audio, 7)
    result = train(setup, stream, SPLIT[:2], config, on_event=log.append, checkpointer=checkpointer)
    return adapter_state(adapted), {**asdict(result), "seconds": 0, "seconds_validating": 0}, log


def same_figures(ones: list[dict], others: list[dict]) -> None:
    """The same events: to the bit on a CPU, to rounding on a GPU."""
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            a, b = one[name], other[name]
            assert a == b or same_numbers(torch.tensor(a), torch.tensor(b)), (name, a, b)


def stopped_after(model: Path, file: Path, updates: int, config: TrainConfig = SETTINGS) -> list:
    """Go on with the training in `file`, and stop after so many updates; what was logged."""
    count, log = 0, []

    def stopping() -> bool:
        nonlocal count
        count += 1
        return count == updates

    base = load_base(str(model), None, DEVICE)
    adapted = attach_lora(base, LoraConfig(lora_dropout=0.2), 3)
    stream = mixture(SPLIT, OTHERS, 7)
    with pytest.raises(KeyboardInterrupt):
        train(
            TrainingSetup(adapted, base, load_audio, 7),
            stream,
            SPLIT[:2],
            config,
            on_event=log.append,
            checkpointer=Checkpointer(file, "k", stopping),
        )
    return log


@pytest.fixture(scope="module")
def whole(tiny_model):
    return trained(tiny_model)


def same(one, other) -> None:
    assert one[0].keys() == other[0].keys()
    for name in one[0]:
        assert same_numbers(one[0][name], other[0][name]), name
    same_figures([one[1]], [other[1]])


@pytest.mark.parametrize("updates", [1, 2, 5, 9])
def test_stopped_after_any_update_it_ends_the_same_to_the_bit(
    tiny_model, tmp_path, whole, updates
) -> None:
    file = tmp_path / "c.safetensors"
    before = stopped_after(tiny_model, file, updates)
    after = trained(tiny_model, Checkpointer(file, "k"))
    same(whole, after)
    same_figures(before + after[2], whole[2])


def test_stopped_after_every_update_it_ends_the_same(tiny_model, tmp_path, whole) -> None:
    file = tmp_path / "c.safetensors"
    log = [event for _ in range(8) for event in stopped_after(tiny_model, file, 1)]
    after = trained(tiny_model, Checkpointer(file, "k"))
    same(whole, after)
    same_figures(log + after[2], whole[2])


def test_a_training_that_stops_early_still_does_when_gone_on_with(tiny_model, tmp_path) -> None:
    config = TrainConfig(
        max_steps=40, lr=1e-2, eval_every_steps=1, grad_accum=1, early_stop_patience=2, ema_decay=0
    )
    whole = trained(tiny_model, config=config)
    assert whole[1]["stopped"] == "early stop"
    file = tmp_path / "c.safetensors"
    stopped_after(tiny_model, file, whole[1]["steps"], config)  # just as it would have ended
    same(whole, trained(tiny_model, Checkpointer(file, "k"), config))


def test_the_state_of_another_training_or_half_a_file_is_not_taken_up(tiny_model, tmp_path) -> None:
    file = tmp_path / "c.safetensors"
    stopped_after(tiny_model, file, 3)
    assert Checkpointer(file, "k").saved() is not None
    assert Checkpointer(file, "other").saved() is None
    file.write_bytes(file.read_bytes()[:-100])
    assert Checkpointer(file, "k").saved() is None
    assert Checkpointer(tmp_path / "none", "k").saved() is None


def test_writing_takes_a_hundredth_of_the_time_at_most(tmp_path, monkeypatch) -> None:
    from moontune.system.distributed import SINGLE
    from moontune.training import checkpoint
    from moontune.training.checkpoint import Checkpoint

    now, writes = 0.0, []
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now)

    def slow_disk(path: Path, content: bytes) -> None:
        nonlocal now
        writes.append(now)
        now += 0.3

    monkeypatch.setattr(checkpoint, "write_bytes", slow_disk)
    checkpointer = Checkpointer(tmp_path / "c", "k")
    for _ in range(1_000):
        now += 0.5
        checkpointer.after_update(lambda: Checkpoint({}, {}), SINGLE)
    assert len(writes) > 10
    assert 0.3 * len(writes) <= 0.011 * now
