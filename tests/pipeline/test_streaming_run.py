"""A run on Moonshine Streaming, through every stage and what is done with it after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from builders import flags
from choices import assert_decided
from safetensors.torch import load_file, save_file

from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.export.model_card import card
from moontune.models.base_model import load_base
from moontune.models.decoding import Transcript
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.serve.models import ServedModels
from moontune.system.files import read_jsonl
from moontune.transcribe.recognizer import open_recognizer
from moontune.web.model_sources import model_sources

KIND = "moonshine_streaming"
BEFORE = ("clean", "split", "labels", "baseline", "train")
AFTER = ("evaluate", "artifact", "verdict", "report")
CAP = TokenCap(6.5, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_streaming_model, noise_manifest) -> Path:
    """Every stage, the adapter stirred after training so that it changes what is written."""
    where = tmp_path_factory.mktemp("user")
    words = flags(tiny_streaming_model, noise_manifest, decoding="consensus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        assert main(["sample", *words]) == 0
        for stage in BEFORE:
            assert main([stage, "outputs/r"]) == 0
        file = where / "outputs/r/lora_adapter/adapter_model.safetensors"
        torch.manual_seed(1)
        stirred = {name: 0.05 * torch.randn_like(v) for name, v in load_file(file).items()}
        save_file(stirred, file, metadata={"format": "pt"})
        assert [main([stage, "outputs/r"]) for stage in AFTER] == [0, 0, 1, 1]
    return where / "outputs/r"


def test_it_trains_and_is_told_what_it_is(run) -> None:
    losses = [
        r["val_loss"] for r in read_jsonl(run / "train_log.jsonl") if r["event"] == "validation"
    ]
    assert losses[-1] < losses[0]
    stages = json.loads((run / "run.json").read_text())["stages"]
    assert stages["baseline"]["base"]["model_type"] == KIND
    adapter = json.loads((run / "lora_adapter/moontune.json").read_text())
    assert adapter["base"]["model_type"] == KIND
    assert KIND in (run / "report.html").read_text()
    assert KIND.replace("_", r"\_") in (run / "report.md").read_text()
    assert f"type `{KIND}`" in card(RunDir(run).metrics(), "me/voice", None)
    rows = read_jsonl(run / "predictions_tuned.jsonl")
    assert all("consensus" in row for row in rows)
    before = read_jsonl(run / "predictions_base.jsonl")
    assert [r["tokens"] for r in rows] != [r["tokens"] for r in before]
    again = json.loads((run / "artifact_test.json").read_text())["clips"]  # in a fresh process
    tuned = {row["id"]: row["tokens"] for row in rows}
    assert again
    assert all(clip["tokens"] == tuned[clip["id"]] for clip in again)


def test_every_way_of_listening_takes_it(run) -> None:
    """Greedy, by the base that has no graphs to listen without PyTorch; with word times; by
    consensus with confidences, and with their times."""
    clips = [load_audio(u) for u in read_run_manifest(run / "manifests/test.jsonl")][:2]
    plain = open_recognizer(str(run), "cpu")(clips)
    timed = open_recognizer(str(run), "cpu", word_times=True)(clips)
    assert [t.tokens for t in timed] == [t.tokens for t in plain]
    for clip, transcript in zip(clips, timed, strict=True):
        ends = [word.end_s for word in transcript.words or ()]
        assert all(0 < end <= len(clip) / 16_000 for end in ends)
    for transcript in open_recognizer(str(run), "cpu", decoding="consensus")(clips):
        assert len(transcript.confidences or ()) == len(transcript.text.split())


def test_the_page_hears_with_base_and_tuned_model(run, monkeypatch) -> None:
    monkeypatch.chdir(run.parents[1])
    told: list[str] = []
    models = ServedModels(model_sources("outputs/r", None), "cpu", told.append, "consensus")
    models.start()
    heard = models(load_audio(read_run_manifest(run / "manifests/test.jsonl")[0]))
    assert [found.name for found in heard] == ["base", "tuned"]
    assert not told


def test_it_is_exported_as_plain_weights_that_write_the_same(run, capsys) -> None:
    given = ["export", str(run)]
    for flag in (["--vendor"], ["--spare", "decoder"]):
        assert main([*given, *flag]) == 2
        told = capsys.readouterr().err.strip()
        assert f"of type {KIND}, and moontune writes graphs of type moonshine alone" in told
        assert told.endswith(f"leave out {flag[0]}")
        assert "\n" not in told
    assert main(given) == 0
    assert "Plain weights alone" in capsys.readouterr().out
    made = {p.name for p in (run / "export").iterdir()}
    assert made == {"README.md", "export.json", "merged", "predictions"}
    text = (run / "export/README.md").read_text()
    assert "ONNX" not in text
    assert "AutoModelForSpeechSeq2Seq" in text
    base = load_base(str(run / "export/merged"), None, "cpu")
    assert type(base.net).__name__ == "MoonshineStreamingForConditionalGeneration"
    clips = [load_audio(u) for u in read_run_manifest(run / "manifests/test.jsonl")]
    written: list[Transcript] = Transcriber(base, mends_loops=False)(clips, CAP)
    assert_decided(base, clips, written)
    of_tuned = read_jsonl(run / "export/predictions/pytorch-tuned.jsonl")
    assert [t.tokens for t in written] == [row["tokens"] for row in of_tuned]


def test_every_clip_is_tested_once_and_one_adapter_is_trained_on_all(
    tmp_path, monkeypatch, tiny_streaming_model, noise_manifest, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = flags(tiny_streaming_model, noise_manifest, "cv", max_steps=2)
    assert main(["crossval", *words, "--folds", "3"]) == 0
    run = tmp_path / "outputs/cv"
    told = json.loads((run / "crossval.json").read_text())
    assert told["base_model"]["model_type"] == KIND
    tested = [
        r["id"] for n in (1, 2, 3) for r in read_jsonl(run / f"fold-{n}/manifests/test.jsonl")
    ]
    assert sorted(tested) == sorted(r["id"] for r in read_jsonl(run / "manifests/clean.jsonl"))
    assert main(["final", "outputs/cv", "--anyway"]) in (0, 1)
    adapter = json.loads((run / "final/lora_adapter/moontune.json").read_text())
    assert adapter["base"]["model_type"] == KIND
    trained = json.loads((run / "final/train.json").read_text())
    assert trained["steps"] > 0
    fresh = json.loads((run / "final/artifact_test.json").read_text())
    assert fresh["identical_tokens"] is True
    assert open_recognizer(str(run / "final"), "cpu")([load_audio(u) for u in clips(run)])


def clips(run: Path) -> list[Utterance]:
    return read_run_manifest(run / "fold-1/manifests/test.jsonl")[:2]
