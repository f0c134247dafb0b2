"""What `import moontune` offers, and that the page about it works as written."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import noise

import moontune
from moontune.cli.dispatch import main
from moontune.data.audio import write_flac

PAGE = Path(__file__).resolve().parents[2] / "docs/python.md"
PUBLIC = {
    *("RunConfig", "TokenCap", "UserError", "Utterance", "OnnxTranscriber", "configure", "run"),
    *("open_results", "open_recognizer", "transcribe_recording", "load_base", "load_adapter"),
    *("read_manifest", "write_manifest", "evaluate", "compare", "final"),
}


def test_it_offers_these_names_and_says_so() -> None:
    assert set(moontune.__all__) == set(moontune._HOMES) == PUBLIC
    assert set(dir(moontune)) >= PUBLIC
    table = PAGE.read_text().split("## Names")[1]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.M)))) == PUBLIC
    for name in PUBLIC:
        assert getattr(moontune, name).__module__.startswith("moontune.")
    with pytest.raises(AttributeError, match="no_such"):
        moontune.no_such  # noqa: B018


def test_importing_it_loads_nothing() -> None:
    code = "import sys, moontune; sys.exit(len([m for m in sys.modules if 'moontune.' in m]))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_page_does_what_it_says(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    """Its own lines, with a small model and few steps in place of what it names."""
    monkeypatch.chdir(tmp_path)
    text = noise_manifest.read_text().replace("audio/", f"{noise_manifest.parent}/audio/")
    Path("my.jsonl").write_text(text)
    write_flac(Path("talk.wav"), noise(3, 1.5))
    few = f"{str(tiny_model)!r}, max_steps=2, lr=1e-4, general='off', device='cpu'"
    scope: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        code = block.replace('model_id="bundled"', f"model_id={few}")
        exec(code.replace('load_base("bundled"', f"load_base({str(tiny_model)!r}"), scope)
    out = capsys.readouterr().out
    assert "train: validation 2: val_loss" in out
    assert "ccepted" in out  # accepted or not
    assert Path("outputs/my-voice/report.html").is_file()
    assert len(Path("some.jsonl").read_text().splitlines()) == 4


def test_mistakes_are_one_line_and_a_run_goes_on(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(moontune.UserError, match="did you mean max_steps"):
        moontune.configure(max_step=3)
    with pytest.raises(moontune.UserError, match="unknown; known are offline, plan"):
        moontune.configure(preset="fast")
    config = moontune.configure(
        manifest=noise_manifest, model_id=str(tiny_model), run_name="r", max_steps=2, lr=1e-4,
        general="off", device="cpu", backwards_share=0,
    )  # fmt: skip

    def stop(event) -> None:
        if event.stage == "baseline":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moontune.run(config, on_progress=stop)
    with pytest.raises(moontune.UserError, match="not finished"):
        moontune.open_results("outputs/r")
    with pytest.raises(moontune.UserError, match="exists already"):
        moontune.run(config)
    other = moontune.configure("outputs/r/config.toml", max_steps=3)
    with pytest.raises(moontune.UserError, match="max_steps = 3 differs from the run's 2"):
        moontune.run(other, resume=True)
    monkeypatch.chdir(tmp_path.parent)  # the same folder, named otherwise
    elsewhere = moontune.configure(
        tmp_path / "outputs/r/config.toml", output_dir=tmp_path / "outputs", report_clips=1
    )
    results = moontune.run(elsewhere, resume=True)
    assert results.name == "r"
    assert results.config.report.report_clips == 1
    assert "baseline: measure the base" in (tmp_path / "outputs/r/log.txt").read_text()
    assert results.metrics.training.figures.steps == 2


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((9, 2), np.float32), "give mono"),
        (np.zeros(9, np.int16), "give floats"),
        (np.full(9, np.nan, np.float32), "not all finite"),
        (np.full(9, 12_000, np.float32), "up to 1.2e.04: give floats in -1 to 1"),
        (None, "of type NoneType"),
        (b"RIFF", "of type bytes"),
        ([[0.1], [0.1, 0.2]], "of type list"),
    ],
)
def test_samples_that_are_no_mono_sound_are_refused(samples: Any, says: str, tiny_model) -> None:
    """Also of a recogniser that is called: 16 bit were heard wrong, without a word."""
    with pytest.raises(moontune.UserError, match=says):
        moontune.transcribe_recording(None, samples)  # type: ignore[arg-type]
    with pytest.raises(moontune.UserError, match=says):
        moontune.open_recognizer(tiny_model, "cpu")([samples])


def test_a_recogniser_takes_clips_of_any_length_and_kind_of_float(tiny_model) -> None:
    heard, clip = moontune.open_recognizer(tiny_model, "cpu"), noise(3, 1.0)
    none, short, *same = heard([clip[:0], clip[:500], clip, clip.astype(float), clip.tolist()])
    assert same[0] == same[1] == same[2]
    assert none.tokens
    assert short == heard([np.pad(clip[:500], (0, 395))])[0]
    with pytest.raises(moontune.UserError, match="give mono"):
        heard(clip)  # type: ignore[arg-type]


def test_what_is_asked_for_in_other_words_is_refused(tmp_path, tiny_model) -> None:
    rows = tmp_path / "predictions.jsonl"
    rows.write_text(json.dumps({"id": "a", "reference": "a", "hypothesis": "a"}))
    for call, says in (
        (lambda: moontune.open_recognizer(tiny_model, decoding="beam"), "decoding = 'beam': give"),  # type: ignore[arg-type]
        (lambda: moontune.open_recognizer(tiny_model, "gpu"), "device = 'gpu': give one of auto"),
        (lambda: moontune.open_recognizer(tiny_model, language="xx"), "^--language xx: no code"),
        (lambda: moontune.evaluate(None, [], decoding="beam"), "decoding = 'beam': give"),  # type: ignore[arg-type]
        (lambda: moontune.compare(rows, rows, seed=-1), "seed = -1 is outside"),
        (lambda: moontune.compare(tmp_path, rows), "is a folder; give a file of predictions"),
        (lambda: moontune.write_manifest(tmp_path, []), "is a folder; give the .jsonl file"),
    ):
        with pytest.raises(moontune.UserError, match=says):
            call()


def test_a_fold_has_no_results_of_its_own_and_says_where_they_are(
    finished_crossval, monkeypatch, capsys
) -> None:
    """It said to go on with it, which nothing does."""
    monkeypatch.chdir(finished_crossval)
    with pytest.raises(moontune.UserError) as raised:
        moontune.open_results("outputs/cv/fold-1")
    assert main(["push", "outputs/cv/fold-1", "me/voice", "--dry-run"]) == 2
    for said in (str(raised.value), capsys.readouterr().err):
        assert "is a part of outputs/cv and has no verdict of its own; read" in said
        assert said.strip().endswith("train an adapter to use: moontune final outputs/cv")


def test_a_path_may_be_text_by_the_hints_too() -> None:
    for name, given in (
        *(("read_manifest", "path"), ("write_manifest", "path"), ("open_results", "path")),
        *(("load_adapter", "folder"), ("OnnxTranscriber", "folder"), ("final", "crossval")),
        *(("transcribe_recording", "recording"), ("open_recognizer", "what")),
        *(("configure", "file"), ("compare", "before"), ("compare", "after")),
    ):
        hint = inspect.signature(getattr(moontune, name)).parameters[given].annotation
        assert {"Path", "str"} <= {*hint.split(" | ")}, name


def test_what_a_callback_is_told_can_be_read() -> None:
    from moontune.api import _CallbackUi

    told: list[str] = []
    ui = _CallbackUi(lambda event: told.append(event.text))
    ui.training({"event": "validation", "step": 5, "val_loss": 1.23456789}, 10)
    ui.training({"event": "update", "step": 6, "loss": None}, 10)
    assert told == ["validation 5: val_loss 1.2346", "update 6: loss not finite"]
