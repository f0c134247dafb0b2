"""Training on expected word errors: its gradients are exact, it lowers them, it goes on."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import pytest
import torch
from builders import DEVICE, same_numbers
from rapidfuzz.distance import Levenshtein
from training_clips import SPLIT, load_audio

from moontune.config.schema import LoraConfig, TokenCap, TrainConfig
from moontune.data.normalizer import normalize
from moontune.models.adapter import adapter_state, attach_lora
from moontune.models.base_model import load_base
from moontune.models.packed.layout import pack
from moontune.system.distributed import SINGLE
from moontune.training.checkpoint import Checkpointer
from moontune.training.loop import TrainingSetup, train
from moontune.training.losses import LossComputer
from moontune.training.objectives import word_errors
from moontune.training.objectives.word_errors import (
    WordErrors,
    expected_errors,
    settings_of_stage,
)
from moontune.training.sampling import shuffled

pytestmark = pytest.mark.device
ONE_TOKEN = TokenCap(0.001, 1)  # so that all that can be written is a list of one token each
SHORT = TokenCap(0.001, 4)
OWN = frozenset(u.id for u in SPLIT)
LETTERS = [replace(u, text=x, target=x) for u, x in zip(SPLIT, "abcd", strict=True)]


@pytest.fixture
def adapted(fresh_base):
    """A base with an adapter that changes something, without dropout."""
    model = attach_lora(fresh_base, LoraConfig(lora_dropout=0.0, lora_r=4), 3)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.3)
    return fresh_base, model


@pytest.fixture
def every_outcome(monkeypatch, fresh_base):
    """The beams are all tokens there are, and the usual loss is left out."""
    monkeypatch.setattr(word_errors, "WIDTH", fresh_base.net.config.vocab_size)
    monkeypatch.setattr(word_errors, "USUAL", 0.0)


def trainable(model) -> list[torch.nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def objective(base, losses: LossComputer, cap: TokenCap, own=OWN) -> WordErrors:
    return WordErrors(base, losses, cap, own)


def gradients(base, model, clips, cap, own=OWN, dtype=torch.float32) -> torch.Tensor:
    losses = LossComputer(base, load_audio, dtype)
    for p in trainable(model):
        p.grad = None
    objective(base, losses, cap, own).add_gradients(clips, SINGLE)
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable(model)]
    return torch.cat([g.flatten() for g in grads])


@pytest.mark.usefixtures("every_outcome")
def test_gradients_are_those_of_the_expectation_over_all_that_can_be_written(adapted) -> None:
    """Against autograd through the probability of every token, by a way of its own."""
    base, model = adapted
    two = LETTERS[:2]
    found = gradients(base, model, two, ONE_TOKEN)
    losses = LossComputer(base, load_audio, torch.float32)
    words = sum(len(normalize(u.label).split()) for u in two)
    vocabulary = range(base.net.config.vocab_size)
    texts = [base.tokenizer.decode([i], skip_special_tokens=True) for i in vocabulary]
    expected = torch.zeros(())
    for u in two:
        reference = normalize(u.label).split()
        errors = [Levenshtein.distance(reference, normalize(t).split()) for t in texts]
        assert len(set(errors)) > 1
        keys = losses.packed.cross_keys(losses.packed.encode(pack([losses.cache(u)])))
        likely = torch.cat([-losses.packed.token_losses(keys, [[i]]) for i in vocabulary])
        assert float(likely.detach().exp().sum()) == pytest.approx(1.0, abs=1e-4)
        expected = expected + (likely.exp() * torch.tensor(errors, dtype=torch.float32)).sum()
    (expected / words).backward(inputs=[p for p in trainable(model) if p.grad is not None])
    # add_gradients left its own there: what is there now is the sum of both
    both = torch.cat(
        [(p.grad if p.grad is not None else p * 0).flatten() for p in trainable(model)]
    )
    exact = both - found
    assert exact.norm() > 1e-4
    assert torch.allclose(found, exact, atol=1e-5 * float(exact.abs().max()) + 1e-7)


@pytest.mark.usefixtures("every_outcome")
def test_a_small_step_down_the_gradient_lowers_what_is_validated_by_as_much(adapted) -> None:
    base, model = adapted
    slope = gradients(base, model, LETTERS, ONE_TOKEN)
    losses = LossComputer(base, load_audio, torch.float32)
    before = objective(base, losses, ONE_TOKEN).validate(LETTERS, SINGLE)
    length = 1e-2 / float(slope.norm())
    with torch.no_grad():
        step = torch.split(slope * length, [p.numel() for p in trainable(model)])
        for p, change in zip(trainable(model), step, strict=True):
            p -= change.view_as(p)
    after = objective(base, losses, ONE_TOKEN).validate(LETTERS, SINGLE)
    assert before - after == pytest.approx(length * float(slope.norm()) ** 2, rel=0.1)


@pytest.mark.skipif(DEVICE == "mps", reason="Apple's GPU is used in float32")
@pytest.mark.usefixtures("every_outcome")
def test_bfloat16_gives_about_the_same_gradients_and_errors(adapted) -> None:
    """Its passes end in filler on a CPU, which no beam may see."""
    base, model = adapted
    exact = gradients(base, model, LETTERS, ONE_TOKEN)
    rough = gradients(base, model, LETTERS, ONE_TOKEN, dtype=torch.bfloat16)
    assert torch.cosine_similarity(exact, rough, dim=0) > 0.95
    of_exact, of_rough = (
        objective(base, LossComputer(base, load_audio, dtype), ONE_TOKEN).validate(LETTERS, SINGLE)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert of_rough == pytest.approx(of_exact, rel=0.02)


def test_expected_errors_are_weighed_by_probabilities_that_sum_to_one() -> None:
    likely = torch.tensor([0.5, 0.25, 0.25]).log() - 3.0
    assert float(expected_errors(likely, torch.tensor([0.0, 2.0, 4.0]))) == pytest.approx(1.5)


def test_transcripts_that_all_err_alike_have_no_gradient(adapted, monkeypatch) -> None:
    monkeypatch.setattr(word_errors, "USUAL", 0.0)
    base, model = adapted
    wrong = [replace(u, text="zz", target="zz") for u in SPLIT]
    alike = WordErrors._errors
    monkeypatch.setattr(
        WordErrors, "_errors", lambda self, u, found: torch.ones_like(alike(self, u, found))
    )
    assert float(gradients(base, model, wrong, SHORT).norm()) < 1e-6


def test_only_errors_of_the_runs_own_clips_count(adapted, every_outcome, monkeypatch) -> None:
    """Not of those replayed or heard backwards: of these there is the usual loss."""
    base, model = adapted
    alone = gradients(base, model, LETTERS[:1], ONE_TOKEN)
    others = [LETTERS[0], replace(LETTERS[1], backwards=True), LETTERS[2]]
    both = gradients(base, model, others, ONE_TOKEN, own=frozenset({"u0", "u1"}))
    assert alone.norm() > 0
    assert torch.allclose(alone, both, atol=1e-6)
    monkeypatch.setattr(word_errors, "USUAL", 0.3)
    usual = gradients(base, model, others, ONE_TOKEN, own=frozenset())
    assert usual.norm() > 0
    plain = LossComputer(base, load_audio, torch.float32)
    labels = plain.labels(others)
    for p in trainable(model):
        p.grad = None
    for part in plain.passes(others, labels):
        (0.3 * part.sum() / sum(map(len, labels))).backward()
    kept = [p.grad if p.grad is not None else p * 0 for p in trainable(model)]
    assert torch.allclose(usual, torch.cat([g.flatten() for g in kept]), atol=1e-6)


def test_what_goes_through_at_once_changes_nothing(adapted, every_outcome) -> None:
    base, model = adapted
    whole = gradients(base, model, LETTERS, ONE_TOKEN)
    init = LossComputer.__init__

    def small(self, *args, **kwargs) -> None:
        init(self, *args, **kwargs)
        self.frames = 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossComputer, "__init__", small)
        parts = gradients(base, model, LETTERS, ONE_TOKEN)
    assert torch.allclose(whole, parts, atol=1e-5 * float(whole.abs().max()) + 1e-7)


def test_settings_of_the_stage_follow_from_those_of_the_training() -> None:
    usual = TrainConfig(max_steps=150, lr=2e-4, mwer_steps=60)
    stage = settings_of_stage(usual)
    assert (stage.updates, stage.warmup, stage.validation_every) == (60, 6, 60)
    assert stage.peak_lr == pytest.approx(1e-4)
    assert (stage.wise_ft, stage.early_stop_patience) == (usual.wise_ft, 0)


STAGE = TrainConfig(max_steps=12, lr=1e-2, mwer_steps=10, grad_accum=4)


def trained(model_path, checkpointer=None):
    base = load_base(str(model_path), None, DEVICE)
    model = attach_lora(base, LoraConfig(lora_dropout=0.2), 3)
    setup = TrainingSetup(
        model,
        base,
        load_audio,
        7,
        objective=lambda losses: WordErrors(base, losses, SHORT, OWN),
    )
    config = settings_of_stage(STAGE)
    on_event = partial(lambda log, event: log.append(event), log := [])
    result = train(
        setup, shuffled(SPLIT, 7), SPLIT, config, on_event=on_event, checkpointer=checkpointer
    )
    return adapter_state(model), {**asdict(result), "seconds": 0, "seconds_validating": 0}, log


@pytest.fixture(scope="module")
def whole(tiny_model):
    return trained(tiny_model)


def test_it_lowers_expected_errors_and_keeps_what_is_better(whole) -> None:
    _, result, log = whole
    assert [e["step"] for e in log if e["event"] == "validation"] == [0, 10]
    assert result["best_step"] == 10
    assert result["best_val_loss"] < result["first_val_loss"]


def test_stopped_it_goes_on_to_the_same_adapter(tiny_model, tmp_path, whole) -> None:
    file, asked = tmp_path / "c.safetensors", iter(range(99))
    with pytest.raises(KeyboardInterrupt):
        trained(tiny_model, Checkpointer(file, "k", lambda: next(asked) == 4))
    state, result, _ = trained(tiny_model, Checkpointer(file, "k"))
    assert all(same_numbers(state[name], whole[0][name]) for name in state)
    assert result == whole[1]
