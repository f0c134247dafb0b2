"""What a search tries, and what it leaves as the user gave it."""

from __future__ import annotations

from typing import Any

import pytest

from moontune.cli import new_run
from moontune.cli.dispatch import main
from moontune.errors import UserError


@pytest.mark.parametrize(
    ("words", "tried", "told"),
    [
        ([], ("lr", "max_steps", "lora_r"), []),
        (["--max-steps", "4"], ("lr", "lora_r"), ["max_steps"]),
        (["--lr=1e-4", "--lora-r", "8"], ("max_steps",), ["lr", "lora_r"]),
        (["--max-steps", "4", "--tune", "max_steps"], ("max_steps",), []),
        (["--resume"], None, []),
    ],
)
def test_what_a_flag_gives_is_the_same_in_all_trials(
    monkeypatch, capsys, words, tried, told
) -> None:
    """`--max-steps 4` had trials of 200 updates."""

    def begun(args: Any, kind: Any, *_: Any) -> None:
        assert kind.tune == tried
        raise UserError("seen")

    monkeypatch.setattr(new_run, "_begun", begun)
    assert main(["sweep", "--run-name", "s", *words]) == 2
    shown = capsys.readouterr()
    assert "seen" in shown.err
    remarks = [line.split()[1] for line in shown.out.splitlines() if "in all trials" in line]
    assert remarks == told


def test_a_search_that_has_nothing_to_try_is_refused(capsys) -> None:
    assert main(["sweep", "--lr", "1e-4", "--max-steps", "4", "--lora-r", "8"]) == 2
    assert "there is nothing to try; leave one out, or name others" in capsys.readouterr().err
