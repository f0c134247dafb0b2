"""A run on Apple's GPU, as far as it can be told without one: on the stand-in for it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from builders import flags
from choices import assert_decided
from mps_stand_in import mps_stand_in
from training_clips import CLIPS, SPLIT, load_audio

from moontune.cli.dispatch import main
from moontune.config.schema import LoraConfig, TokenCap, TrainConfig
from moontune.data.manifest import read_run_manifest
from moontune.evaluation import kept_adapter
from moontune.evaluation.evaluate import evaluate
from moontune.models.adapter import adapter_state, attach_lora, set_adapter_state
from moontune.models.base_model import Base, load_base
from moontune.models.transcriber import Transcriber
from moontune.models.transcriber import load_audio as load_file
from moontune.training.checkpoint import Checkpointer
from moontune.training.loop import TrainingSetup, train
from moontune.training.sampling import shuffled

if TYPE_CHECKING:
    from peft import PeftModel

CAP = TokenCap(4.0, 2)
SETTINGS = TrainConfig(max_steps=5, lr=5e-3, eval_every_steps=2, grad_accum=2)


def trained(
    model: Path, device: str, lora: LoraConfig, checkpointer: Checkpointer | None = None
) -> tuple[Base, PeftModel, list[float]]:
    """Its base, the adapted net and the losses of its updates and validations."""
    log: list[dict[str, Any]] = []
    base = load_base(str(model), None, device)
    adapted = attach_lora(base, lora, 3)
    setup, stream = TrainingSetup(adapted, base, load_audio, 7), shuffled(SPLIT, 7)
    try:
        train(setup, stream, SPLIT[:2], SETTINGS, on_event=log.append, checkpointer=checkpointer)
    except KeyboardInterrupt:
        assert checkpointer is not None
    return base, adapted, [event.get("loss") or event["val_loss"] for event in log]


@pytest.mark.parametrize("part", ["both", "decoder"])
def test_losses_and_transcripts_are_those_of_a_cpu(tiny_model, part) -> None:
    """Without dropout, which a CPU draws in a way of its own."""
    lora = LoraConfig(lora_dropout=0.0, lora_part=part)
    base, model, losses = trained(tiny_model, "cpu", lora)
    clips = list(CLIPS.values())
    with mps_stand_in():
        there, tuned, found = trained(tiny_model, "mps", lora)
        assert {p.device.type for p in there.net.parameters()} == {"mps"}
        adapter = adapter_state(tuned)
        measured = evaluate(there, SPLIT, load_audio, cap=CAP)
        said = Transcriber(there, mends_loops=False)(clips, CAP)
    assert len(found) == 5 + 4  # and three validations of updates, one of the base
    assert found == pytest.approx(losses, rel=1e-4)
    set_adapter_state(model, adapter)
    assert measured.loss == pytest.approx(evaluate(base, SPLIT, load_audio, cap=CAP).loss, rel=1e-5)
    assert_decided(base, clips, said)
    assert [t.tokens for t in said] == [
        t.tokens for t in Transcriber(base, mends_loops=False)(clips, CAP)
    ]


@pytest.mark.parametrize("part", ["both", "decoder"])
def test_one_that_was_stopped_goes_on_to_the_same_adapter(tiny_model, tmp_path, part) -> None:
    lora = LoraConfig(lora_dropout=0.3, lora_part=part)
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(len(asked) == 2)
        return asked[-1]

    with mps_stand_in():
        _, whole, losses = trained(tiny_model, "mps", lora)
        file = tmp_path / "c.safetensors"
        *_, before = trained(tiny_model, "mps", lora, Checkpointer(file, "k", stopping))
        torch.rand(9, device="mps")  # a new process has drawn other numbers
        _, after, rest = trained(tiny_model, "mps", lora, Checkpointer(file, "k"))
        one, other = adapter_state(whole), adapter_state(after)
    assert before + rest == losses
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(before) == 3 + 2


def test_a_whole_run(tiny_model, noise_manifest, tmp_path, monkeypatch) -> None:
    """Every stage; the artifact's in this process, since another one has no stand-in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept_adapter, "MOSTLY_WRONG", math.inf)  # of a random model all words are
    with mps_stand_in():
        few = {"utterances": 12, "tokens_per_second": 2.0}  # every operator is looked at: slowly
        words = flags(tiny_model, noise_manifest, device="mps", **few)
        code = main(["run", *words])
    assert code in (0, 1)
    stages = json.loads(Path("outputs/r/run.json").read_text())["stages"]
    computing = ("labels", "baseline", "train", "evaluate")
    assert {stages[name]["mps_fallbacks"] == {} for name in computing} == {True}
    assert {stages[name]["device"]["name"] for name in computing[1:]} == {"mps"}
    artifact_test = json.loads(Path("outputs/r/artifact_test.json").read_text())
    assert artifact_test["device"] == "mps"
    metrics = json.loads(Path("outputs/r/metrics.json").read_text())
    base, test = load_base(str(tiny_model), None, "cpu"), Path("outputs/r/manifests/test.jsonl")
    on_cpu = evaluate(base, read_run_manifest(test), load_file, cap=CAP)
    assert metrics["baseline"]["loss"] == pytest.approx(on_cpu.loss, rel=1e-5)
    assert metrics["tuned"]["loss"] < metrics["baseline"]["loss"]
