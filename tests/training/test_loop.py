from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, pairwise

import pytest
import torch
from builders import DEVICE, same_numbers
from training_clips import SPLIT, TEXTS, load_audio

from moontune.config.schema import LoraConfig, TrainConfig
from moontune.models.adapter import adapter_state, attach_lora
from moontune.models.packed.forward import PackedForward
from moontune.training.loop import GIVEN_UP, TrainingSetup, learning_rate, never, train
from moontune.training.losses import LossComputer
from moontune.training.sampling import shuffled, validation_sample

pytestmark = pytest.mark.device


def run(
    base,
    log=None,
    *,
    lora: LoraConfig | None = None,
    val=SPLIT[:2],
    seed=42,
    dtype=torch.float32,
    prune=never,
    **settings,
):
    lora = lora or LoraConfig(lora_dropout=0.0)
    model = attach_lora(base, lora, 3)
    values = {"max_steps": 12, "lr": 5e-3, "eval_every_steps": 4, "grad_accum": 2} | settings
    result = train(
        TrainingSetup(model, base, load_audio, seed, dtype),
        shuffled(SPLIT, seed),
        val,
        TrainConfig(**values),
        on_event=log or (lambda event: None),
        prune=prune,
    )
    return model, result


def test_training_lowers_the_loss_and_keeps_the_best_adapter(fresh_base) -> None:
    events: list[dict] = []
    _, result = run(fresh_base, events.append, max_steps=40, token_dropout=0.0)
    validations = {e["step"]: e["val_loss"] for e in events if e["event"] == "validation"}
    assert result.first_val_loss == validations[0]
    assert result.best_val_loss == min(validations.values()) < validations[0] - 0.1
    assert validations[result.best_step] == result.best_val_loss
    assert LossComputer(fresh_base, load_audio, torch.float32).mean(SPLIT[:2]) == pytest.approx(
        result.best_val_loss, abs=1e-6
    )
    updates = [e for e in events if e["event"] == "update"]
    assert [e["step"] for e in updates] == list(range(1, 41))
    assert result.utterances_seen == 40 * 2


def test_only_the_adapter_trains(fresh_base) -> None:
    before = {n: p.clone() for n, p in fresh_base.net.named_parameters()}
    model, _ = run(fresh_base)
    trained = dict(model.named_parameters())
    for name, p in before.items():
        found = [q for n, q in trained.items() if n.replace(".base_layer", "").endswith(name)]
        assert len(found) == 1
        assert torch.equal(found[0], p), name


def test_same_seed_same_adapter_with_dropout(tiny_model) -> None:
    from moontune.models.base_model import load_base

    def state(seed: int):
        base = load_base(str(tiny_model), None, DEVICE)
        model, _ = run(base, lora=LoraConfig(lora_dropout=0.3), seed=seed)
        return adapter_state(model)

    one, two, other = state(5), state(5), state(6)
    assert all(same_numbers(one[n], two[n]) for n in one)
    assert not all(same_numbers(one[n], other[n]) for n in one)


@pytest.mark.parametrize(("batch_size", "grad_accum"), [(4, 1), (2, 2)])
def test_accumulation_weights_by_target_tokens(tiny_model, batch_size, grad_accum) -> None:
    """However an update's clips fall into micro-batches, loss and adapter come out the same."""
    from moontune.models.base_model import load_base

    def curve(b: int, g: int):
        events: list[dict] = []
        base = load_base(str(tiny_model), None, DEVICE)
        model, _ = run(base, events.append, batch_size=b, grad_accum=g, max_steps=4)
        return [e["loss"] for e in events if e["event"] == "update"], adapter_state(model)

    losses, state = curve(batch_size, grad_accum)
    expected, expected_state = curve(1, 4)
    assert losses == pytest.approx(expected, abs=1e-5)
    assert all(torch.allclose(state[n], expected_state[n], atol=1e-4) for n in state)


def test_first_update_loss_is_the_mean_over_all_its_tokens(fresh_base) -> None:
    events: list[dict] = []
    plain = {"grad_accum": 4, "max_steps": 1, "token_dropout": 0.0}
    run(fresh_base, events.append, **plain)
    first = next(e for e in events if e["event"] == "update")
    assert first["tokens"] == sum(len(t) + 1 for t in TEXTS)
    assert first["loss"] == pytest.approx(events[-1]["val_loss"], abs=1.0)
    whole: list[dict] = []
    run(fresh_base_again(fresh_base), whole.append, val=SPLIT, **plain)
    assert first["loss"] == pytest.approx(whole[0]["val_loss"], abs=1e-5)


def fresh_base_again(base):
    from moontune.models.base_model import load_base

    return load_base(base.origin.path, None, DEVICE)


def poison(monkeypatch, steps: set[int]) -> None:
    """Make the loss of the given updates (from 1) not a number."""
    real = PackedForward.token_losses
    calls = {"n": 0}

    def losses(self, memory, labels, written=None):
        out = real(self, memory, labels, written)
        if torch.is_grad_enabled():
            calls["n"] += 1
            if calls["n"] in steps:
                return out * float("nan")
        return out

    monkeypatch.setattr(PackedForward, "token_losses", losses)


def test_non_finite_updates_are_skipped_and_counted(fresh_base, monkeypatch) -> None:
    poison(monkeypatch, {2, 5})
    events: list[dict] = []
    model, result = run(fresh_base, events.append)
    assert result.skipped == 2
    assert result.stopped == "max_steps"
    assert [e["step"] for e in events if e.get("skipped")] == [2, 5]
    assert all(torch.isfinite(t).all() for t in adapter_state(model).values())
    assert result.best_val_loss < result.first_val_loss  # type: ignore[operator]


def test_too_many_non_finite_updates_abort(fresh_base, monkeypatch) -> None:
    poison(monkeypatch, set(range(1, 100)))
    _, result = run(fresh_base, max_skipped_updates=3)
    assert result.stopped.startswith("aborted")
    assert (result.skipped, result.steps) == (4, 4)
    assert result.best_step == 0


def test_early_stop_and_base_kept_when_nothing_helps(fresh_base) -> None:
    """Validating on what training makes worse: step 0, the base itself, is kept."""
    opposite = [replace(u, text="~~~~~~ ~~~~~~ ~~~~~~") for u in SPLIT[:1]]
    model, result = run(
        fresh_base, val=opposite, max_steps=400, early_stop_patience=2, lr=1e-2, warmup_steps=0
    )
    assert result.stopped == "early stop"
    assert result.steps < 400
    assert result.best_step == 0
    assert result.best_val_loss == result.first_val_loss
    assert all((t == 0).all() for n, t in adapter_state(model).items() if "lora_B" in n)


def test_rate_warms_up_and_falls() -> None:
    config = TrainConfig(max_steps=100, warmup_steps=10, lr=1.0)
    rates = [learning_rate(s, config) for s in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == 1.0
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert 0 < rates[-1] < 1e-2
    assert rates[54] == pytest.approx(0.5 * (1 + math.cos(math.pi * 45 / 91)))
    short = TrainConfig(max_steps=5, warmup_steps=50, lr=1.0)
    assert max(learning_rate(s, short) for s in range(1, 6)) == 1.0
    constant = TrainConfig(max_steps=9, warmup_steps=0, lr=1.0, lr_schedule="constant")
    assert {learning_rate(s, constant) for s in range(1, 10)} == {1.0}


def test_every_epoch_holds_each_utterance_once() -> None:
    stream = shuffled(SPLIT, 1)
    epochs = [[u.id for u in islice(stream, len(SPLIT))] for _ in range(6)]
    assert all(sorted(e) == sorted(u.id for u in SPLIT) for e in epochs)
    assert len({tuple(e) for e in epochs}) > 1


def test_kept_adapter_is_the_average_of_the_updates(tiny_model) -> None:
    """With a decay the adapter moves less far than the last weights; without, it is them."""
    from moontune.models.base_model import load_base

    def moved(decay: float) -> float:
        base = load_base(str(tiny_model), None, DEVICE)
        model, result = run(
            base, val=SPLIT, ema_decay=decay, max_steps=6, eval_every_steps=6, warmup_steps=0
        )
        assert result.best_step == 6
        return float(sum(t.norm() for n, t in adapter_state(model).items() if "lora_B" in n))

    assert 0 < moved(0.9) < moved(0.0)


def test_average_of_weights() -> None:
    from moontune.training.averaging import WeightAverage

    weight = torch.nn.Parameter(torch.zeros(1))
    average = WeightAverage([weight], 0.5)
    for value in (1.0, 2.0, 3.0):
        weight.data.fill_(value)
        average.update()
    # decays 1/10, 2/11, 3/12 of the warm-up, all below 0.5
    expected = 0.0
    for n, value in enumerate((1.0, 2.0, 3.0), start=1):
        expected += (1 - n / (n + 9)) * (value - expected)
    with average.applied():
        assert weight.item() == pytest.approx(expected)
    assert weight.item() == 3.0


def test_a_share_of_the_way_is_kept(fresh_base) -> None:
    start = adapter_state(attach_lora(fresh_base_again(fresh_base), LoraConfig(), 3))
    kept = {}
    for share in (0.5, 1.0):
        base = fresh_base_again(fresh_base)
        model, result = run(base, wise_ft=share, max_steps=6, eval_every_steps=6)
        assert result.best_step == 6
        kept[share] = adapter_state(model)
    for name, value in start.items():
        assert not torch.equal(kept[1.0][name], value)
        torch.testing.assert_close(kept[0.5][name], (value + kept[1.0][name]) / 2)


def test_bfloat16_trains_too_and_the_adapter_stays_float32(fresh_base) -> None:
    model, result = run(fresh_base, dtype=torch.bfloat16, max_steps=40)
    assert result.best_val_loss < result.first_val_loss - 0.1  # type: ignore[operator]
    assert all(t.dtype == torch.float32 for t in adapter_state(model).values())


@pytest.mark.parametrize("part", ["both", "decoder"])
def test_what_does_not_train_is_computed_once_a_clip(fresh_base, monkeypatch, part) -> None:
    """The front end always; the whole encoder where no adapter is on it. Audio is read once."""
    from moontune.models.packed.front_end import FrontEnd

    calls = {"front": 0, "encode": 0, "read": 0}

    def counted(cls, method, name):
        real = getattr(cls, method)

        def call(self, *given):
            calls[name] += 1
            return real(self, *given)

        monkeypatch.setattr(cls, method, call)

    counted(FrontEnd, "__call__", "front")
    counted(PackedForward, "encode", "encode")

    def read(u):
        calls["read"] += 1
        return load_audio(u)

    model = attach_lora(fresh_base, LoraConfig(lora_part=part, lora_dropout=0.0), 3)
    config = TrainConfig(max_steps=6, lr=3e-4, grad_accum=4, eval_every_steps=3)
    setup = TrainingSetup(model, fresh_base, read, 1)
    train(setup, shuffled(SPLIT, 1), SPLIT, config, on_event=lambda event: None)
    assert calls["front"] == calls["read"] == len(SPLIT)
    assert calls["encode"] == (len(SPLIT) if part == "decoder" else 6 + 3)


def test_passes_of_one_clip_give_the_same_update(tiny_model, monkeypatch) -> None:
    """How many clips go through at once is a matter of speed and memory only."""
    from moontune.models.base_model import load_base
    from moontune.training import losses as module

    def curve() -> list[float]:
        events: list[dict] = []
        base = load_base(str(tiny_model), None, DEVICE)
        run(base, events.append, grad_accum=4, max_steps=5)
        return [e["loss"] for e in events if e["event"] == "update"]

    together = curve()
    monkeypatch.setitem(module.PASS_FRAMES, DEVICE, 1)
    assert curve() == pytest.approx(together, abs=1e-5)


def test_validation_takes_all_clips_or_a_spread_that_stays_cheap() -> None:
    many = [replace(SPLIT[0], id=str(i)) for i in range(1000)]
    often = TrainConfig(eval_every_steps=50)
    assert validation_sample(many[:64], often) == many[:64]
    assert [u.id for u in validation_sample(many, often)] == [
        str(i * 1000 // 80) for i in range(80)
    ]
    assert len(validation_sample(many, TrainConfig(eval_every_steps=1))) == 64


@pytest.mark.cpu
def test_where_memory_does_not_do_less_goes_through_at_once(tiny_model, monkeypatch) -> None:
    from moontune.models.adapter import adapter_state
    from moontune.models.base_model import load_base

    whole, _ = run(load_base(str(tiny_model), None, DEVICE), token_dropout=0.0)
    passes, used = LossComputer.passes, []

    def little_room(self, utterances, labels):
        used.append(self.frames)
        for n, losses in enumerate(passes(self, utterances, labels)):
            if self.frames > 1_100 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError(f"in pass {n}, after gradients of the ones before")
            yield losses

    monkeypatch.setattr(LossComputer, "passes", little_room)
    monkeypatch.setattr("moontune.training.losses.LEAST_FRAMES", 1_000)
    tight, result = run(load_base(str(tiny_model), None, DEVICE), token_dropout=0.0)
    assert {2_048, 1_024} == set(used)
    assert result.skipped == 0
    for name, value in adapter_state(whole).items():
        assert torch.allclose(adapter_state(tight)[name], value, atol=1e-6), name
    monkeypatch.setattr("moontune.training.losses.LEAST_FRAMES", 2_048)
    with pytest.raises(torch.OutOfMemoryError):
        run(load_base(str(tiny_model), None, DEVICE))


def test_what_is_given_up_ends_after_that_validation(fresh_base) -> None:
    asked: list[tuple[int, float]] = []

    def prune(step: int, loss: float) -> bool:
        asked.append((step, loss))
        return step == 8

    events: list[dict] = []
    _, result = run(fresh_base, events.append, prune=prune, max_steps=12)
    assert (result.stopped, result.steps) == (GIVEN_UP, 8)
    validations = [(e["step"], e["val_loss"]) for e in events if e["event"] == "validation"]
    assert asked == validations[1:]  # the base's own is not asked about


def test_an_update_that_is_planned_ends_the_training_and_is_kept_unvalidated(tiny_model) -> None:
    from moontune.models.base_model import load_base

    kept = []
    for updates, kept_step in ((9, 5), (5, None)):
        events: list[dict] = []
        model = attach_lora(base := load_base(str(tiny_model), None, DEVICE), LoraConfig(), 3)
        config = TrainConfig(
            max_steps=updates, lr=5e-3, grad_accum=1, lr_schedule="constant", warmup_steps=0,
            eval_every_steps=updates, ema_decay=0.5, wise_ft=1.0,
        )  # fmt: skip
        setup = TrainingSetup(model, base, load_audio, 1, kept_step=kept_step)
        val = [] if kept_step else SPLIT
        result = train(setup, shuffled(SPLIT, 1), val, config, on_event=events.append)
        assert result.best_step == result.steps == 5
        kept.append((result, adapter_state(model), {e["event"] for e in events}))
    (planned, weights, events_planned), (_, others, _) = kept
    assert events_planned == {"update"}
    assert planned.stopped == "planned end"
    assert planned.first_val_loss is planned.best_val_loss is None
    assert all(same_numbers(weights[name], others[name]) for name in weights)
