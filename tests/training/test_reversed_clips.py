"""One's own clips heard backwards: what they are, what is learnt from them, and when."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import noise

from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap, TrainConfig
from moontune.data.audio import read_audio, write_flac
from moontune.data.manifest import Utterance, read_run_manifest, to_row
from moontune.data.sources.bundled_speech import sample_bundled_speech
from moontune.errors import UserError
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.training import reversed_clips as module
from moontune.training.reversed_clips import (
    as_training_clips,
    base_transcripts_reversed,
    choose,
)

CAP = TokenCap(6.5, 8)


def test_a_clip_heard_backwards_is_its_samples_from_the_end(tmp_path) -> None:
    samples = noise(3, 0.5)
    write_flac(tmp_path / "a.flac", samples)
    u = Utterance("a", tmp_path / "a.flac", "x", 0.5, "s")
    heard = load_audio(replace(u, backwards=True))
    assert np.array_equal(heard, read_audio(u.audio_filepath)[::-1])
    assert heard.flags.c_contiguous  # as torch needs it
    assert np.array_equal(load_audio(u), read_audio(u.audio_filepath))
    assert "backwards" not in to_row(replace(u, backwards=True))


def test_what_is_learnt_of_speech_backwards_is_what_the_base_writes(tmp_path, bundled_base) -> None:
    """Not what is said in it."""
    pytest.importorskip("moonshine_voice", reason="extra `bundled`", exc_type=ImportError)
    clips = sample_bundled_speech(tmp_path).utterances
    own = sorted(clips, key=lambda u: u.duration_or_1s)[:6]
    written = base_transcripts_reversed(bundled_base, own, CAP)
    assert written.keys() == {u.id for u in own}
    turned = as_training_clips(own, written)
    assert len(turned) >= len(own) - 2
    transcribe = Transcriber(bundled_base)
    for u in turned:
        assert u.backwards
        [alone] = transcribe([read_audio(u.audio_filepath)[::-1].copy()], CAP)
        assert u.label == alone.text
        assert not alone.truncated
        assert u.label != next(o.text for o in own if o.id == u.id)
    short = base_transcripts_reversed(bundled_base, own, TokenCap(1.0, 0))
    assert None in short.values()  # it comes to no end
    assert not [u for u in as_training_clips(own, short) if short[u.id] is None]


@pytest.mark.parametrize(
    ("labels", "then"),
    [
        (("So THE SHIP SAILS.", "At Noon."), "Oh, the Day."),
        (("THE SHIP SAILS", "AT NOON"), "OH, THE DAY."),
        (("the ship sails", "at noon"), "oh, the day."),
        (("the ship sails.", "at noon."), "oh, the day."),
    ],
)
def test_they_are_written_in_the_letters_of_the_labels(labels, then) -> None:
    own = [Utterance(f"c{i}", Path("a"), "x", 1.0, "s", target=t) for i, t in enumerate(labels)]
    [turned] = as_training_clips(own, {"c0": "Oh, the Day.", "c1": None})
    assert (turned.id, turned.label, turned.text) == ("c0", then, then)


def test_as_many_are_chosen_as_there_are_places_for(monkeypatch) -> None:
    own = [Utterance(f"c{i}", Path("a"), "x", 1.0, "s") for i in range(50)]
    for updates, share, most, count in (
        (10, 0.1, 300, 8),
        (200, 0.1, 300, 50),
        (200, 0.1, 20, 20),
        (200, 0.0, 300, 0),
    ):
        monkeypatch.setattr(module, "_MOST", most)
        settings = TrainConfig(max_steps=updates, backwards_share=share)
        assert len(choose(own, settings)) == count


def test_a_training_hears_its_share_of_them_and_goes_on_with_them(
    finished_run, tmp_path, monkeypatch, capsys
) -> None:
    """Those that were written down when it began, to the bit as if it had not been stopped."""
    from moontune.cli.console import ConsoleUi
    from moontune.training import checkpoint, losses

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    run = Path("outputs/r")
    words = ["train", str(run), "--overwrite", "--max-steps", "5", "--backwards-share", "0.5"]
    words += ["--lr", "1e-3", "--grad-accum", "8"]
    (run / "reversed_transcripts.json").unlink()
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    heard: list[Utterance] = []
    labels = losses.LossComputer.labels

    def noted(self, utterances):
        import torch

        if torch.is_grad_enabled():
            heard.extend(utterances)
        return labels(self, utterances)

    monkeypatch.setattr(losses.LossComputer, "labels", noted)
    asked = []

    def written(base, clips, *_: object) -> dict[str, str | None]:
        """The first half comes to no end."""
        asked.append([u.id for u in clips])
        text = "" if len(asked) == 1 else "something else"
        return {u.id: None if i < len(clips) / 2 else text for i, u in enumerate(clips)}

    monkeypatch.setattr(module, "base_transcripts_reversed", written)
    assert main(words) == 0
    some = [u for u in heard if u.backwards]
    usable = asked[0][-(len(asked[0]) // 2) :]
    assert len(usable) >= 2
    assert {u.id for u in some} <= set(usable)
    assert abs(len(some) - len(heard) * 0.5 * len(usable) / len(asked[0])) <= 1
    assert {u.label for u in some} == {""}
    assert {u.id for u in read_run_manifest(run / "manifests/backwards.jsonl")} == set(usable)
    told = f"{len(usable)} clips are heard backwards too"
    assert told in capsys.readouterr().out
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
    assert len(asked) == 1
    assert {u.label for u in heard if u.backwards} == {""}
    assert (run / "lora_adapter/adapter_model.safetensors").read_bytes() == whole
    assert json.loads((run / "train.json").read_text())["steps"] == 5


def test_what_labels_heard_a_training_does_not_hear_again(
    finished_run, tmp_path, monkeypatch
) -> None:
    """Neither clips backwards nor the validation clips, on whose errors the rate hangs: its first
    update comes soon."""
    from moontune.cli.console import ConsoleUi

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    made = Path("outputs/r/reversed_transcripts.json").read_bytes()
    events: list[str] = []
    encode, training = Transcriber.encode, ConsoleUi.training

    def hearing(transcriber, clips):
        events.append("heard")
        return encode(transcriber, clips)

    def told(self, event, updates) -> None:
        events.append(event["event"])
        training(self, event, updates)

    monkeypatch.setattr(ConsoleUi, "training", told)
    monkeypatch.setattr(Transcriber, "encode", hearing)
    for verb in ("labels", "baseline", "train"):
        events.clear()
        assert main([verb, "outputs/r", "--overwrite"]) == 0
        assert events[0] == ("validation" if verb == "train" else "heard")
    assert Path("outputs/r/reversed_transcripts.json").read_bytes() == made
    run = RunDir(Path("outputs/r"))
    cap = run.config().eval.token_cap
    assert run.reversed_transcripts(cap)
    assert run.reversed_transcripts(replace(cap, margin=99)) == {}


@pytest.mark.parametrize("transcripts", [{"a": 7}, {"a": ["b"]}, ["a"], "a", None])
def test_a_wrong_transcript_is_told_with_what_makes_it_again(
    finished_run, tmp_path, monkeypatch, capsys, transcripts: object
) -> None:
    """As a file that somebody has edited has it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    path = Path("outputs/r/reversed_transcripts.json")
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({**saved, "transcripts": transcripts}))
    assert main(["train", "outputs/r", "--overwrite"]) == 2
    [told] = capsys.readouterr().err.splitlines()[-1:]
    assert "reversed_transcripts.json: is damaged" in told
    assert told.endswith("again: moontune labels outputs/r --overwrite")


def test_a_wrong_transcript_of_the_base_is_told(finished_run, tmp_path) -> None:
    shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    (tmp_path / "r/base_transcripts.json").write_text(json.dumps({"a": None}))
    with pytest.raises(UserError, match=r"base_transcripts.json: is damaged .*moontune labels"):
        RunDir(tmp_path / "r").base_words()
