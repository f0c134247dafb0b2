"""A run's folder that is damaged, or of another version: one line, exit code 2, nothing lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from moontune.cli.dispatch import main

RUN = Path("outputs/r")


@pytest.fixture
def copy(finished_run, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / RUN, RUN)
    return RUN


def without(row: Any, *path: str) -> Any:
    part = row
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return row


def with_more(row: Any, *path: str) -> Any:
    part = row
    for name in path:
        part = part[name]
    part["of_tomorrow"] = 1
    return row


@pytest.mark.parametrize(
    ("verb", "file", "damage"),
    [
        ("report", "metrics.json", lambda row: without(row, "tuned")),
        ("report", "metrics.json", lambda row: row | {"tuned": 3}),
        ("report", "metrics.json", lambda row: with_more(row, "device")),
        ("verdict", "artifact_test.json", lambda row: without(row, "clips_identical")),
        ("verdict", "split.json", lambda row: without(row, "leakage", "counts")),
        ("verdict", "train.json", lambda row: without(row, "first_val_loss")),
        ("verdict", "eval_tuned.json", lambda row: without(row, "wer")),
        ("verdict", "run.json", lambda row: without(row, "environment", "python")),
        ("verdict", "run.json", lambda row: without(row, "stages", "clean", "remarks")),
        ("verdict", "train_log.jsonl", lambda rows: [[]]),
        ("verdict", "predictions_tuned.jsonl", lambda rows: [without(r, "id") for r in rows]),
        ("verdict", "predictions_base.jsonl", lambda rows: [r | {"loss": "low"} for r in rows]),
    ],
)
def test_a_damaged_file_is_one_line(copy, capsys, verb: str, file: str, damage) -> None:
    text = (copy / file).read_text()
    if file.endswith("l"):
        rows = damage([json.loads(line) for line in text.splitlines()])
        spoilt = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        spoilt = json.dumps(damage(json.loads(text)))
    (copy / file).write_text(spoilt)
    assert main([verb, str(copy)]) == 2
    said = capsys.readouterr().err
    assert "damaged" in said
    assert said.count("\n") == 1
    if file != "run.json":
        assert (copy / file).read_text() == spoilt


def test_an_emptied_configuration_is_not_read_as_the_defaults(copy, capsys) -> None:
    (copy / "config.toml").write_text("")
    assert main(["report", str(copy)]) == 2
    assert "config.toml: is empty" in capsys.readouterr().err
