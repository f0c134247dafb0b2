"""What `--model` may name."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from builders import noise

from moontune.cli.dispatch import main
from moontune.config.schema import (
    Decoding,
    EvalConfig,
    LoraConfig,
    ModelConfig,
    RunConfig,
    TokenCap,
)
from moontune.data.audio import write_flac
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.errors import UserError
from moontune.models.adapter import PROVENANCE, attach_lora, save_adapter, save_processor
from moontune.models.confidence.calibration import Calibration, write_calibration
from moontune.models.decoding import Transcript
from moontune.models.key_terms.weighing import KeyTerms
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.transcribe.recognizer import open_recognizer

CLIPS = [noise(1, 1.0), noise(2, 1.7)]


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, fresh_base: Any) -> Path:
    """A run's folder with an adapter that changes what is said."""
    model = attach_lora(fresh_base, LoraConfig(), 1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.add_(0.5)
    config = RunConfig(model=ModelConfig(str(tiny_model)), eval=EvalConfig(tokens_per_second=9.0))
    folder = tmp_path / "outputs/r"
    folder.mkdir(parents=True)
    made = create_run(config, folder, "r", ["run"])
    save_adapter(model, fresh_base, made.adapter)
    save_processor(fresh_base, made.processor)
    return folder


def said(what: str | Path, **more: Any) -> list[list[int]]:
    found = open_recognizer(str(what), "cpu", **more)(CLIPS, TokenCap(6.5, 8))
    return [t.tokens for t in found]


def test_a_folder_a_run_and_its_adapter(run, tiny_model) -> None:
    base = open_recognizer(str(tiny_model), "cpu")
    assert (base.kind, base.device, base.note) == ("model", "cpu", None)
    assert base.cap == EvalConfig().token_cap
    tuned = open_recognizer(str(run), "cpu")
    assert (tuned.kind, tuned.note, tuned.cap) == ("run", None, TokenCap(9.0, 8))
    assert said(run) == said(run / "lora_adapter") != said(tiny_model)


def test_words_have_times_where_they_are_asked_for_and_the_text_is_the_same(run) -> None:
    plain, timed = (
        open_recognizer(str(run), "cpu", word_times=asked)(CLIPS) for asked in (False, True)
    )
    assert [t.tokens for t in timed] == [t.tokens for t in plain]
    assert all(t.words is None for t in plain)
    assert all([w.text for w in t.words or ()] == t.text.split() for t in timed)


def test_clips_of_like_length_are_transcribed_together(tiny_model) -> None:
    """Beside a long one a short one would take its memory. The order is that of the clips."""
    given: list[list[int]] = []
    plain = open_recognizer(str(tiny_model), "cpu")

    def transcribe(clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        given.append([len(clip) for clip in clips])
        return [Transcript(str(len(clip)), [2], False) for clip in clips]

    found = replace(plain, transcribe=transcribe)
    long, short = np.zeros(28 * 16_000, np.float32), np.zeros(16_000, np.float32)
    some = [long, *[short] * 20, long[:-1], short[:-1]]
    assert [t.text for t in found(some)] == [str(len(clip)) for clip in some]
    assert sorted(itertools.chain(*given)) == sorted(map(len, some))
    assert max(map(len, given)) == 21
    assert all(len(batch) * max(batch) <= 160 * 16_000 for batch in given)
    assert found([]) == []
    mixed = [noise(1, 3.0), *(noise(i, 0.5) for i in range(3)), noise(4, 2.0)]
    assert plain(mixed) == [plain([clip])[0] for clip in mixed]


def test_a_runs_calibration_is_taken_with_it_where_words_have_confidences(run, tiny_model) -> None:
    def sure(what: Path, **more: Any) -> Calibration | None:
        return open_recognizer(str(what), "cpu", **{"decoding": "consensus", **more}).calibration

    own, made = Calibration(-0.5, 0.8, own=True), RunDir(run)
    assert sure(run) == Calibration()
    write_calibration(made.confidence, own)
    assert sure(run) == Calibration()  # of an adapter that was trained again since
    made.finish_stage("evaluate", {})
    assert sure(run) == own
    assert sure(run, model_id=str(tiny_model)) == sure(run / "lora_adapter") == Calibration()
    assert sure(run, decoding="thorough") == own  # nothing tells how its words were decoded
    fitted = replace(own, decoding="consensus")
    write_calibration(made.confidence, fitted)
    assert sure(run) == fitted
    other = sure(run, decoding="thorough")
    assert other is not None
    assert (other.own, other(0.3)) == (False, 0.3)
    assert "is of --decoding consensus, not thorough" in other.says
    [transcript, _] = open_recognizer(str(run), "cpu", decoding="consensus")(CLIPS)
    assert transcript.confidences is not None
    assert len(transcript.confidences) == len(transcript.text.split())
    plain = open_recognizer(str(run), "cpu")
    assert (plain.calibration, plain(CLIPS)[0].confidences) == (None, None)
    made.confidence.write_text("{")
    with pytest.raises(UserError, match=r"confidence\.json: is damaged.*; delete it.*evaluate"):
        sure(run)
    assert said(run)  # greedy decoding needs none of it


def test_an_older_runs_calibration_is_of_the_decoding_that_it_was_set_to(run) -> None:
    """Where the file does not tell."""
    made, own = RunDir(run), Calibration(-0.5, 0.8, own=True)
    config = made.config()
    made.save_config(replace(config, eval=replace(config.eval, decoding="thorough")))
    write_calibration(made.confidence, own)
    made.finish_stage("evaluate", {})

    def sure(decoding: Decoding) -> Calibration | None:
        return open_recognizer(str(run), "cpu", decoding=decoding).calibration

    assert sure("thorough") == replace(own, decoding="thorough")
    found = sure("consensus")
    assert found is not None
    assert not found.own


def test_a_merged_folder_says_what_the_adapter_says(run, tiny_model, tmp_path) -> None:
    from peft import PeftModel
    from transformers import MoonshineForConditionalGeneration

    net = MoonshineForConditionalGeneration.from_pretrained(tiny_model)
    merged: Any = PeftModel.from_pretrained(net, str(run / "lora_adapter"))  # type: ignore[arg-type]
    merged.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in (run / "processor").iterdir():
        shutil.copy(file, tmp_path / "merged")
    assert said(tmp_path / "merged") == said(run)


def test_an_adapter_on_other_weights_is_remarked_and_its_base_can_be_given(
    run, tiny_model, tmp_path
) -> None:
    adapter = run / "lora_adapter"
    made = json.loads((adapter / PROVENANCE).read_text())
    made["base"] |= {"asked": "gone/nowhere/x", "sha256": "0" * 64}
    (adapter / PROVENANCE).write_text(json.dumps(made))
    with pytest.raises(UserError, match=r"the base of .*--model-id"):
        open_recognizer(str(adapter), "cpu")
    found = open_recognizer(str(adapter), "cpu", model_id=str(tiny_model))
    assert "was trained on gone/nowhere/x (weights 000000000000)" in (found.note or "")
    (adapter / PROVENANCE).unlink()  # peft's own note remains
    assert open_recognizer(str(adapter), "cpu").note is None
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="does not say which base it is for; add --model-id"):
        open_recognizer(str(adapter), "cpu")


def test_an_adapter_for_another_shape_is_refused(run, bundled_base) -> None:
    with pytest.raises(UserError, match="does not fit bundled"):
        open_recognizer(str(run), "cpu", model_id="bundled")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("./none", "no such folder; give a run"),
        ("~nobody/x", "no such folder"),
        ("sweep/trial-7", "sweep/trial-7: no such folder; give a run"),  # not sought on the hub
        ("file", "is a file; give a run"),
        ("empty", "holds no model; give a run .* ONNX|onnx"),
        ("unfinished", "has no adapter; do its training first"),
        ("sweep", "is a sweep; name one of its runs, such as .*trial-0"),
    ],
)
def test_anything_else_is_told_what_is_accepted(tmp_path, monkeypatch, what, message) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    for name in ("empty", "unfinished", "sweep/trial-0/lora_adapter"):
        Path(name).mkdir(parents=True)
    for name in ("unfinished", "sweep"):
        create_run(RunConfig(), Path(name), name, ["run"])
    RunDir(Path("sweep")).note(kind="sweep", sweep={"trials": 1})
    with pytest.raises(UserError, match=message):
        open_recognizer(what)


def test_model_id_is_for_adapters(tiny_model) -> None:
    with pytest.raises(UserError, match="is the base of an adapter"):
        open_recognizer(str(tiny_model), model_id="bundled")


def test_an_exported_pair_needs_no_torch_model(tmp_path, monkeypatch) -> None:
    class OnnxTranscriber:
        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def __call__(self, clips: list[np.ndarray], cap: TokenCap) -> list[Transcript]:
            return [Transcript(f"{self.folder.name} {len(c)}", [2], False) for c in clips]

    stub = ModuleType("moontune.models.onnx")
    stub.OnnxTranscriber = OnnxTranscriber  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moontune.models.onnx", stub)
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx", "config.json"):
        (tmp_path / name).write_bytes(b"")
    found = open_recognizer(str(tmp_path))
    assert found.kind == "onnx"
    assert [t.text for t in found(CLIPS)] == [f"{tmp_path.name} {len(c)}" for c in CLIPS]
    with pytest.raises(UserError, match="an ONNX pair takes no key terms"):
        open_recognizer(str(tmp_path), key_terms=KeyTerms((KeyTerm("Drascula"),)))


def test_a_language_that_nothing_tells_is_said_to_be_a_guess(
    tiny_model, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flac(tmp_path / "a.flac", noise(1, 1.0))
    shutil.copytree(tiny_model, tmp_path / "mine")
    for more, card, guessed in (
        ([], "", True),
        (["--format", "srt"], "", True),  # through PyTorch
        (["--language", "uk"], "", False),
        ([], "---\nlanguage: uk\n---\n", False),
    ):
        (tmp_path / "mine/README.md").write_text(card)
        assert main(["transcribe", "a.flac", "--model", "mine", *more]) == 0
        error = capsys.readouterr().err
        assert ("note: language: taken for English, as mine names none" in error) == guessed


def test_another_language_than_a_models_own_is_told(run, tiny_model, capsys, tmp_path) -> None:
    write_flac(tmp_path / "a.flac", noise(1, 1.0))
    (shutil.copytree(tiny_model, tmp_path / "uk") / "README.md").write_text(
        "---\nlanguage: uk\n---"
    )
    for what, asked, says in (
        (run, "ja", "hears English, and Japanese is asked for"),
        (run, "en", ""),
        (run / "lora_adapter", "ja", ""),  # nothing tells its own
        (tmp_path / "uk", "en", "hears Ukrainian, and English is asked for"),
        (tmp_path / "uk", "uk", ""),
    ):
        words = [str(tmp_path / "a.flac"), "--model", str(what), "--language", asked]
        assert main(["transcribe", *words]) == 0
        error = capsys.readouterr().err
        assert (f"note: {what} {says}" in error) if says else ("is asked for" not in error)
