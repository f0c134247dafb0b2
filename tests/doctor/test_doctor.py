"""`moontune doctor` tells what is sound from what is broken, and a broken stack loudly."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    MoonshineForConditionalGeneration,
    MoonshineStreamingForConditionalGeneration,
)

from moontune.cli.dispatch import main
from moontune.doctor import command as doctor
from moontune.doctor import environment as surroundings
from moontune.doctor import fixtures as subjects
from moontune.doctor import selftest
from moontune.doctor.fixtures import tiny_fixture, tiny_streaming_fixture


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def alone(monkeypatch) -> None:
    """Neither the hub nor a real base."""
    ok = surroundings.Finding("network", "model hub", "ok", "not asked")
    monkeypatch.setattr(surroundings, "hub", lambda: ok)
    monkeypatch.setattr(doctor, "_base_test", lambda model_id: iter(()))


NETS = (MoonshineForConditionalGeneration, MoonshineStreamingForConditionalGeneration)


def findings(capsys, code: int) -> list[dict[str, str]]:
    """Run the verb, expect its exit code; what it found, all of it printed."""
    assert main(["doctor", "--device", "cpu", "--json", "found.json"]) == code
    rows = json.loads(Path("found.json").read_text())["findings"]
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    for row in rows:
        assert f"  {row['state']:7}{row['name']} " in printed
    return rows


def test_where_it_cannot_write_is_said_before_it_looks(alone, tmp_path, capsys) -> None:
    assert main(["doctor", "--device", "cpu", "--json", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert f"--json {tmp_path}: is a folder; name a file" in said.err


def test_a_sound_machine_has_no_failure(alone, capsys) -> None:
    rows = findings(capsys, 0)
    assert {row["state"] for row in rows} <= {"ok", "remark"}
    found = {row["name"]: row for row in rows}
    for name in ("wav", "flac", "ogg", "mp3", "outputs", "cache", "temporary", "products"):
        assert found[name]["state"] == "ok"
    assert "torch" in found["packages"]["detail"]
    for kind in ("moonshine", "moonshine_streaming"):
        tried = [row["name"] for row in rows if row["group"].endswith(f"random {kind})")]
        assert tried == list(selftest.CHECKS)


def test_a_real_base_is_tried_where_there_is_one(bundled_base, capsys, monkeypatch) -> None:
    monkeypatch.setattr(subjects, "load_base", lambda *of: bundled_base)
    for finding in doctor._base_test(None):
        assert finding.state == "ok", finding
    monkeypatch.setattr(selftest, "OF_BASES", {"aligned": selftest.base_is_aligned})
    monkeypatch.setattr(
        "moontune.evaluation.evaluate.target_ids", lambda t, text, eos: [eos, *t(text).input_ids]
    )
    [_, failed] = doctor._base_test(None)
    assert failed.state == "FAILED"
    assert "where a base has 1 to 2: labels are misaligned" in failed.detail


def test_a_base_that_is_not_cached_is_remarked_on_and_not_fetched(monkeypatch) -> None:
    def refuse(*of: Any, **more: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    [finding] = doctor._base_test("nobody/nothing")
    assert finding.state == "remark"
    assert "nobody/nothing is not in the hub's cache" in finding.detail


def test_a_wrong_base_is_the_users_mistake(alone, capsys, monkeypatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(surroundings, "hub", lambda: surroundings.Finding("n", "h", "ok", ""))
    assert main(["doctor", "--model-id", "./none"]) == 2
    assert "--model-id ./none: no such folder" in capsys.readouterr().err


# What a change below moontune, or in it, would do: each is told by the check named, at least.


def no_eos(monkeypatch) -> None:
    from moontune.models.base_model import target_ids

    monkeypatch.setattr("moontune.training.losses.target_ids", lambda *of: target_ids(*of)[:-1])


def with_bos(monkeypatch) -> None:
    from moontune.models.base_model import target_ids

    monkeypatch.setattr("moontune.training.losses.target_ids", lambda *of: [1, *target_ids(*of)])


def no_eos_in_evaluation(monkeypatch) -> None:
    from moontune.models.base_model import target_ids

    monkeypatch.setattr("moontune.evaluation.evaluate.target_ids", lambda *of: target_ids(*of)[:-1])


def theirs(change):
    """Transformers' forward with other labels."""

    def spoil(monkeypatch) -> None:
        for net in NETS:
            monkeypatch.setattr(net, "forward", changed(net.forward))

    def changed(forward):
        def with_others(self, *of: Any, labels=None, **more: Any) -> Any:
            if labels is not None:
                more |= change(labels)
            return forward(self, *of, labels=labels, **more)

        return with_others

    return spoil


def shifted_again(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"shift_labels": torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:]}


def masked_by_id(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"shift_labels": labels.masked_fill(labels == 2, -100)}


def padding_counted(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"shift_labels": labels.masked_fill(labels == -100, 2)}


def padded_clips(monkeypatch) -> None:
    """The usual way: clips padded to a common length before the front end."""
    import numpy as np

    from moontune.models.architectures.moonshine_streaming import _FrontEnd
    from moontune.models.packed.front_end import FrontEnd

    def padded(heard):
        return lambda self, clip: heard(self, np.pad(clip, (0, max(0, 16_000 - len(clip)))))

    for front in (FrontEnd, _FrontEnd):
        monkeypatch.setattr(front, "__call__", padded(front.__call__))


def wrong_mask(monkeypatch) -> None:
    """Greedy writing looks at the padding behind shorter clips."""
    monkeypatch.setattr("moontune.models.packed.greedy.hidden_frames", lambda layout, heads: None)


def endless(monkeypatch) -> None:
    """EOS is a word like others."""
    at_cap = property(lambda clip: len(clip.tokens) == clip.cap)
    monkeypatch.setattr("moontune.models.packed.greedy._Clip.ended", at_cap)
    monkeypatch.setattr("moontune.models.packed.greedy.until_end", lambda tokens, eos: tokens)


def lively_start(monkeypatch) -> None:
    attach = selftest.attach_lora

    def changed(*of: Any) -> Any:
        model = attach(*of)
        selftest._train(model)
        return model

    monkeypatch.setattr(selftest, "attach_lora", changed)


def deaf_to_adapters(monkeypatch) -> None:
    monkeypatch.setattr(selftest, "attach_lora", lambda base, *of: torch.nn.Linear(2, 2))


def stays_on(monkeypatch) -> None:
    from peft import PeftModel

    monkeypatch.setattr(PeftModel, "disable_adapter", lambda self: contextlib.nullcontext())


def another_comes_back(monkeypatch) -> None:
    load = selftest.load_adapter

    def changed(base: Any, folder: Path) -> None:
        for name, weights in load(base, folder).named_parameters():
            if "lora_B" in name:
                weights.add_(1e-5)

    monkeypatch.setattr(selftest, "load_adapter", changed)


def raises(monkeypatch) -> None:
    def gone(*of: Any, **more: Any) -> None:
        raise TypeError("forward() got an unexpected keyword argument 'input_values'")

    for net in NETS:
        monkeypatch.setattr(net, "forward", gone)


@pytest.mark.parametrize(
    ("spoil", "name", "told"),
    [
        (no_eos, "labels", "EOS (2) is missing"),
        (with_bos, "labels", "BOS (1) is in the labels"),
        (no_eos_in_evaluation, "batches", "in a batch"),
        (theirs(shifted_again), "shift", "labels are shifted twice"),
        (theirs(masked_by_id), "label padding", "leaves the EOS out"),
        (theirs(padding_counted), "label padding", "padded with -100"),
        (padded_clips, "batches", "in a batch"),
        (wrong_mask, "batches", "tokens are"),
        (endless, "greedy", "goes on behind EOS"),
        (lively_start, "fresh adapter", "an untrained adapter changes the loss"),
        (deaf_to_adapters, "fresh adapter", "it is not heard"),
        (stays_on, "adapter off", "with disable_adapter the loss differs"),
        (another_comes_back, "save, reload", "reloaded adapter's loss differs"),
        (raises, "shift", "TypeError: forward() got an unexpected keyword"),
    ],
)
def test_what_is_broken_fails_loudly(alone, monkeypatch, capsys, spoil, name, told) -> None:
    monkeypatch.setattr(selftest, "CHECKS", {name: selftest.CHECKS[name]})
    spoil(monkeypatch)
    with torch.no_grad():
        found = [row for row in findings(capsys, 1) if row["name"] == name]
    assert len(found) == len(NETS)
    for row in found:
        assert row["state"] == "FAILED"
        assert told in row["detail"]
        assert "report it" in row["remedy"]


@pytest.mark.parametrize("make", [tiny_fixture, tiny_streaming_fixture])
def test_checks_leave_what_they_try_as_it_was(make) -> None:
    fixture = make()
    before = {n: p.clone() for n, p in fixture.base.net.named_parameters()}
    for check in selftest.CHECKS.values():
        check(fixture)
    after = dict(fixture.base.net.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(p, after[n]) for n, p in before.items())
