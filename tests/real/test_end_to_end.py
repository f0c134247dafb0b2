"""The offline job on the real model, as the README's first command runs it but shorter."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from moontune.cli.dispatch import main


@pytest.fixture(autouse=True)
def offline_extras(tmp_path, monkeypatch) -> None:
    for name in ("moonshine_voice", "espeakng_loader"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (extras `bundled` and `synthetic`)")
    monkeypatch.chdir(tmp_path)


def run(*more: str) -> tuple[int, dict]:
    code = main(["run", "--preset", "offline", "--run-name", "r", "--device", "cpu", *more])
    return code, json.loads(Path("outputs/r/metrics.json").read_text())


def test_a_short_offline_run_learns_and_proves_its_artifact() -> None:
    code, metrics = run(
        *("--utterances", "40", "--max-steps", "12", "--eval-every-steps", "6"),
        *("--warmup-steps", "1", "--lr", "1e-3"),
    )
    assert code in (0, 1)
    assert metrics["accepted"] == (code == 0)
    # an aligned real model: 1-2 nats, and words that are mostly heard
    assert 0.5 < metrics["baseline"]["loss"] < 3
    assert 0.1 < metrics["baseline"]["wer"] < 0.8
    assert metrics["training"]["trainable_parameters"] == 663_552
    assert metrics["training"]["best_val_loss"] < metrics["training"]["first_val_loss"] - 0.1
    assert metrics["tuned"]["loss"] < metrics["baseline"]["loss"]
    assert metrics["artifact"]["identical_tokens"]
    assert metrics["leakage"] == {"speaker": 0, "audio": 0, "sentence": 0}
    assert metrics["base_model"]["hub_id"] == "UsefulSensors/moonshine-tiny"


def test_silence_is_accepted_as_smoke_alone() -> None:
    given = ["--source", "silence", "--utterances", "15", "--max-steps", "2", "--general", "off"]
    code, metrics = run(*given, "--eval-every-steps", "1", "--smoke")
    assert code == 0
    assert metrics["verdict"]["smoke"]
    assert "smoke" in metrics["verdict"]["sentence"]
    assert main(["verdict", "outputs/r", "--no-smoke"]) == 1


@pytest.mark.slow
def test_the_offline_default_at_least_halves_wer_on_unseen_voices_and_sentences() -> None:
    code, metrics = run()
    assert code == 0
    assert metrics["tuned"]["wer"] < 0.5 * metrics["baseline"]["wer"]
