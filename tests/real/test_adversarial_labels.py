"""Texts that teach nothing of hearing: the base is kept, and the run is not accepted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from moontune.cli.dispatch import main

Change = Callable[[str, random.Random], str]


def shuffled(text: str, rng: random.Random) -> str:
    """The words of a text in another order."""
    words = text.split()
    return " ".join(rng.sample(words, len(words)))


def mirrored(text: str, rng: random.Random) -> str:
    """A style that the base never writes: the letters of each word from its end, in capitals."""
    return " ".join(word[::-1].upper() for word in text.split())


@pytest.mark.slow
@pytest.mark.parametrize("change", [shuffled, mirrored])
def test_labels_that_teach_no_hearing_leave_the_base(
    change: Change, adventure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled_base
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(line) for line in adventure.read_text().splitlines()]
    rows = [row for row in rows if len(row["text"].split()) >= 3][::4]
    for row in rows:
        row["audio_filepath"] = str(adventure.parent / row["audio_filepath"])
        row["text"] = change(row["text"], random.Random(row["audio_filepath"]))
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = ["--max-steps", "60", "--eval-every-steps", "20", "--label-style", "as-written"]
    settings.append("--keep-suspects")  # mirrored words are none that the clip adds to
    begun = ["run", "--manifest", "m.jsonl", "--model-id", "bundled", "--run-name", "r"]
    assert main([*begun, *settings, "--general", "off", "--device", "cpu"]) == 1
    training = json.loads(Path("outputs/r/train.json").read_text())
    assert training["best_step"] == 0
    assert not json.loads(Path("outputs/r/metrics.json").read_text())["verdict"]["accepted"]
