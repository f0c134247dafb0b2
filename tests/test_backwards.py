"""One's own clips heard backwards: what they are, what is learnt from them, and when."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import noise

from moontune import backwards as module
from moontune.audio import read_audio, write_flac
from moontune.backwards import backwards, written_backwards
from moontune.cli import main
from moontune.config import RunConfig
from moontune.manifest import Utterance, read_rows, to_row
from moontune.parallel import SOLO
from moontune.settings import resolve, with_settings
from moontune.sources.wheel import sample_wheel
from moontune.transcribe import Transcriber, load_audio


def config(**given: object) -> RunConfig:
    given = {"source": "synthetic", "max_steps": 40, "lr": 1e-4, "augment": ["none"], **given}
    return resolve(with_settings(RunConfig(), given, "test"))


def test_a_clip_heard_backwards_is_its_samples_from_the_end(tmp_path) -> None:
    samples = noise(3, 0.5)
    write_flac(tmp_path / "a.flac", samples)
    u = Utterance("a", tmp_path / "a.flac", "x", 0.5, "s")
    heard = load_audio(u.with_(backwards=True))
    assert np.array_equal(heard, read_audio(u.audio_filepath)[::-1])
    assert heard.flags.c_contiguous  # as torch needs it
    assert np.array_equal(load_audio(u), read_audio(u.audio_filepath))
    assert "backwards" not in to_row(u.with_(backwards=True))


def test_what_is_learnt_of_speech_backwards_is_what_the_base_writes(tmp_path, bundled_base) -> None:
    """Not what is said in it."""
    pytest.importorskip("moonshine_voice", reason="extra `bundled`", exc_type=ImportError)
    own = sample_wheel(tmp_path).utterances
    written = written_backwards(bundled_base, own, config(), SOLO)
    some = backwards(own, written)
    assert len(some) >= len(own) - 2
    transcribe, cap = Transcriber(bundled_base), config().eval.token_cap
    for u in some:
        assert u.backwards
        [alone] = transcribe([read_audio(u.audio_filepath)[::-1].copy()], cap)
        assert u.label == alone.text
        assert not alone.truncated
        assert u.label != next(o.text for o in own if o.id == u.id)
    lower = written_backwards(bundled_base, own, config(label_style="lower"), SOLO)
    assert lower == {name: text.lower() for name, text in written.items()}


def test_as_many_clips_as_are_wanted_are_written_down(tmp_path, bundled_base, monkeypatch) -> None:
    write_flac(tmp_path / "a.flac", np.zeros(8_000, np.float32))
    own = [Utterance(f"c{i}", tmp_path / "a.flac", "x", 0.5, "s") for i in range(50)]
    for updates, most, wanted in ((10, 300, 8), (200, 300, 50), (200, 20, 20)):
        monkeypatch.setattr(module, "_MOST", most)
        tenth = config(max_steps=updates, backwards_share=0.1)
        assert len(written_backwards(bundled_base, own, tenth, SOLO)) == wanted
    assert written_backwards(bundled_base, own, config(backwards_share=0.0), SOLO) == {}


def test_a_training_hears_its_share_of_them_and_goes_on_with_them(
    finished, tmp_path, monkeypatch, capsys
) -> None:
    """Those that were written down when it began, to the bit as if it had not been stopped."""
    from moontune import checkpoint, losses
    from moontune.ui import ConsoleUi

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished[0] / "outputs/r", "outputs/r")
    run = Path("outputs/r")
    ids = [u.id for u in read_rows(run / "manifests/train.jsonl")][:3]
    words = ["train", str(run), "--overwrite", "--max-steps", "5", "--backwards-share", "0.25"]
    words += ["--lr", "1e-3", "--grad-accum", "8"]
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    heard: list[Utterance] = []
    labels = losses.Losses.labels

    def noted(self, utterances):
        import torch

        if torch.is_grad_enabled():
            heard.extend(utterances)
        return labels(self, utterances)

    monkeypatch.setattr(losses.Losses, "labels", noted)
    asked = []

    def written(*_: object) -> dict[str, str]:
        asked.append(1)
        return dict.fromkeys(ids, "") if len(asked) == 1 else {ids[0]: "something else"}

    monkeypatch.setattr(module, "written_backwards", written)
    assert main(words) == 0
    assert "3 of the clips are heard backwards too" in capsys.readouterr().out
    some = [u for u in heard if u.backwards]
    assert len(some) == len(heard) // 4 > 3
    assert {u.id for u in some} == set(ids)
    assert {u.label for u in some} == {""}
    whole = (run / "lora_adapter/adapter_model.safetensors").read_bytes()

    training = ConsoleUi.training

    def stopped(self, event, updates) -> None:
        training(self, event, updates)
        if event["event"] == "update" and event["step"] == 2:
            raise KeyboardInterrupt

    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleUi, "training", stopped)
        assert main(words) == 130
    heard.clear()
    assert main([*words[:2], *words[3:]]) == 0
    assert asked == [1]
    assert {u.label for u in heard if u.backwards} == {""}
    assert (run / "lora_adapter/adapter_model.safetensors").read_bytes() == whole
    assert json.loads((run / "train.json").read_text())["steps"] == 5
