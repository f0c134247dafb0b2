"""What a run picks for its data, what it says of it, and that flags override it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import flags

from moontune.cli.dispatch import main
from moontune.config.loading import with_settings
from moontune.config.presets import PRESETS
from moontune.config.recommended import DataSummary, clips_heard, recommend, unset
from moontune.config.schema import RunConfig
from moontune.config.validation import resolve
from moontune.pipeline.run_folder.run_dir import RunDir


def picked(data: DataSummary, **given: object) -> dict[str, Any]:
    config, picks = recommend(resolve(with_settings(RunConfig(), given, "test")), data)
    assert unset(config) == []
    assert all(p.why for p in picks)
    for p in picks:
        assert getattr(config.train, p.name) == p.value
    return {p.name: p.value for p in picks}


def test_more_clips_train_longer_within_bounds() -> None:
    updates = [picked(DataSummary(n, 0.2))["max_steps"] for n in (10, 80, 150, 500, 8_000, 50_000)]
    assert updates == sorted(updates)
    assert updates[0] == updates[1] >= 50  # a few clips are heard many times
    assert updates[2] < updates[3]
    assert updates[4] == updates[5]  # bounded
    for beside in ({"backwards_share": 0.9}, {"backwards_share": 0.2, "replay_share": 0.6}):
        assert picked(DataSummary(50_000, 0.2), **beside)["max_steps"] == updates[5]


def test_as_many_clips_are_heard_whatever_the_batch() -> None:
    one = picked(DataSummary(400, 0.2))["max_steps"]
    double = picked(DataSummary(400, 0.2), grad_accum=16)["max_steps"]
    assert isinstance(one, int)
    assert double == pytest.approx(one / 2, abs=1)


def test_the_runs_own_clips_are_heard_as_often_whatever_is_heard_beside_them() -> None:
    alone = picked(DataSummary(400, 0.2), backwards_share=0.0)["max_steps"]
    for beside in ({"backwards_share": 0.2}, {"backwards_share": 0.1, "replay_share": 0.1}):
        assert picked(DataSummary(400, 0.2), **beside)["max_steps"] == pytest.approx(
            alone / 0.8, abs=1
        )


def test_a_base_that_is_seldom_wrong_is_changed_less() -> None:
    assert picked(DataSummary(400, 0.03))["lr"] < picked(DataSummary(400, 0.3))["lr"]
    assert picked(DataSummary(400, None))["lr"] == picked(DataSummary(400, 0.3))["lr"]


def test_what_is_given_is_not_picked() -> None:
    assert picked(DataSummary(400, 0.3), lr=1e-3).keys() == {"max_steps"}
    assert picked(DataSummary(400, 0.3), **PRESETS["plan"]) == {}


def test_a_run_says_what_it_picked_and_keeps_it(
    tmp_path: Path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    words = flags(tiny_model, noise_manifest, "r")
    assert main(["run", *words]) in (0, 1)
    said = capsys.readouterr().out
    run = RunDir(Path("outputs/r"))
    made = run.read("train.json")
    assert made["picked"].keys() == {"lr"}
    assert f"lr {made['picked']['lr']}: " in said
    used = run.used_config()
    assert used.train.lr == made["picked"]["lr"]
    assert run.config().train.lr is None  # done again, it is picked again
    assert made["why"]["lr"] in (run / "report.md").read_text()
    assert json.loads((run / "metrics.json").read_text())["config"]["train"]["lr"] == used.train.lr


def test_the_most_clips_that_a_training_hears() -> None:
    many = resolve(RunConfig())
    heard = clips_heard(many)
    config, _ = recommend(many, DataSummary(heard, 0.2))
    assert heard == pytest.approx(clips_heard(config), abs=8)
    longer = resolve(with_settings(RunConfig(), {"max_steps": 9_000}, "test"))
    assert clips_heard(longer) > heard
    given = {"max_steps": 100, "batch_size": 2, "grad_accum": 5, "mwer_steps": 20}
    assert clips_heard(resolve(with_settings(RunConfig(), given, "test"))) == 1_200
