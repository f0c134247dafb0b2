"""One adapter on all clips of a cross-validation: what it is trained on, and what is said of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import flags

import moontune
from moontune.cli.dispatch import main
from moontune.evaluation.comparison import compare
from moontune.evaluation.measures import Comparison, Measure, Sides
from moontune.evaluation.predictions import prediction_row
from moontune.evaluation.screening.suspects import Suspect
from moontune.export.base_facts import Licence
from moontune.export.model_card import final_card
from moontune.models.transcriber import load_audio
from moontune.pipeline.experiments import final as final_module
from moontune.pipeline.experiments.crossval.cautions import doubts, next_step
from moontune.pipeline.experiments.final import FinishedCrossval, open_crossval
from moontune.pipeline.experiments.final_report import final_results
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.screening import write_suspects
from moontune.report.final_adapter import render_final
from moontune.report.html.contents import final_page
from moontune.system.files import read_jsonl
from moontune.training.summary import WordErrorUpdates

KEPT = (2, 3, 4)  # updates of 4 that the folds kept, in `helping`
ADAPTER = "lora_adapter/adapter_model.safetensors"


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    row = json.loads(file.read_text())
    change(row)
    file.write_text(json.dumps(row))


def helping(run: Path) -> None:
    """Make of a cross-validation one that helped: no tiny random model learns to hear."""

    def better(row: dict[str, Any]) -> None:
        wer = row["comparison"]["measures"]["wer"]
        wer |= {"before": 0.302, "after": 0.255, "difference": -0.047, "relative": -0.156}
        wer |= {"difference_interval": [-0.071, -0.021], "outcome": "better"}
        for fold, step in zip(row["folds"], KEPT, strict=True):
            fold["best_step"] = step

    edit(run / "crossval.json", better)
    for n, step in enumerate(KEPT, start=1):
        edit(run / f"fold-{n}/train.json", lambda row, step=step: row.update(best_step=step))


def copied(source: Path, monkeypatch: pytest.MonkeyPatch, to: Path) -> Path:
    monkeypatch.chdir(to)
    shutil.copytree(source / "outputs", "outputs")
    return Path("outputs/cv")


@pytest.fixture
def crossval(finished_crossval, tmp_path, monkeypatch) -> Path:
    """As it came out: it did not help."""
    return copied(finished_crossval, monkeypatch, tmp_path)


@pytest.fixture
def helped(crossval) -> Path:
    helping(crossval)
    return crossval


@pytest.fixture(scope="module")
def finished_final(finished_crossval, tmp_path_factory) -> Path:
    """The folder of a user who has made a final adapter; copy it to change it."""
    where = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        run = copied(finished_crossval, patch, where)
        helping(run)
        assert main(["final", "outputs/cv"]) == 0
    return where


def test_it_trains_on_every_clip_for_as_long_as_the_folds_did(finished_final) -> None:
    run = finished_final / "outputs/cv"
    rows = {n: read_jsonl(run / f"final/manifests/{n}.jsonl") for n in ("train", "val", "test")}
    every = {row["id"] for row in read_jsonl(run / "manifests/clean.jsonl")}
    assert {row["id"] for row in rows["train"]} == every
    assert len(rows["train"]) == len(every) == 24
    assert not rows["val"] + rows["test"]
    assert all(row["target"] for row in rows["train"])
    training = json.loads((run / "final/train.json").read_text())
    assert (training["best_step"], training["steps"], training["stopped"]) == (3, 3, "planned end")
    assert training["first_val_loss"] is training["best_val_loss"] is None
    events = read_jsonl(run / "final/train_log.jsonl")
    assert [e["event"] for e in events] == ["update"] * 3
    lr = json.loads((run / "final/train.json").read_text())["why"]["lr"]
    assert "30.20 % WER on the clips of all folds" in lr
    fresh = json.loads((run / "final/artifact_test.json").read_text())
    assert fresh["identical_tokens"] is True
    assert json.loads((run / "final/run.json").read_text())["complete"] is True


def test_it_says_what_to_expect_and_claims_no_measurement(finished_final) -> None:
    run = finished_final / "outputs/cv/final"
    said = (
        "Trained on all 24 clips; nothing was held out. Expected: WER 30.20 -> 25.50 % (95 % "
        "interval of the change -7.10 to -2.10 points), measured by cross-validation over 3 folds."
    )
    found = json.loads((run / "final.json").read_text())
    assert found["statement"] == said
    assert (found["trained_on"], found["held_out"], found["usable"]) == (24, 0, True)
    plain = "Expected, by the cross-validation: of 100 words it got 70 right before and 7"
    use = f"moontune transcribe recording.wav --model {run.relative_to(finished_final)}"
    for text in (said, plain, f"`{use}`"):
        assert text in (run / "report.md").read_text()
    assert "cv-final" in (finished_final / "outputs/training_report.md").read_text()
    page = (run / "report.html").read_text()
    assert "25.50\N{NO-BREAK SPACE}%" in page
    assert "No figure here is of the adapter" in page
    assert "</span> Expected: better</p>" in page
    assert plain in page
    words = " ".join(f"<span>{word}</span>" for word in use.split())
    assert f"<pre><code>{words}</code></pre>" in page
    test = json.loads((run / "artifact_test.json").read_text())  # of clips that it trained on
    assert test["wer"] is None
    assert not any({"wer", "errors"} & clip.keys() for clip in test["clips"])
    assert not (run / "eval_tuned.json").exists()
    card = final_card(RunDir(run).final_metrics(), "me/mine", Licence("mit"))
    assert said in card
    assert plain in card
    assert "model-index" not in card  # where the hub lists measured results
    assert "| WER | 30.20 % " in card


def test_consensus_is_advised_where_the_folds_measured_it_to_be_better(
    finished_final, monkeypatch
) -> None:
    run = RunDir(finished_final / "outputs/cv/final")
    metrics = run.final_metrics()
    known = metrics.expected.comparison
    gain = replace(known.error_rate, before=0.25, after=0.2, outcome="better")
    measured = replace(known, consensus=Sides(gain, gain))
    expected = replace(metrics.expected, comparison=measured)
    monkeypatch.setattr(RunDir, "final_metrics", lambda self: replace(metrics, expected=expected))
    use, *_ = final_results(run.path).next_steps
    assert use.command.endswith(" --decoding consensus")


def test_its_reports_list_the_transcripts_that_look_wrong(finished_final, tmp_path) -> None:
    run = RunDir(shutil.copytree(finished_final / "outputs/cv", tmp_path / "cv") / "final")
    clip = read_jsonl(run.manifest("train"))[0]
    found = Suspect(
        id=clip["id"],
        split="train",
        where="mine.jsonl:7",
        speaker=None,
        text="Nobody said this.",
        base="What was said.",
        tuned=None,
        fit=0.1,
        threshold=0.8,
        judge="base",
        set_aside=True,
    )
    write_suspects(run, [found])
    results = final_results(run.path)
    for text in (render_final(results), final_page(results, clips=12)):
        assert "Transcripts that look wrong" in text
        assert "mine.jsonl:7" in text
        assert "Nobody said this." in text
        assert "What was said." in text
    assert "data:audio" in text


def test_labels_are_made_of_the_transcripts_that_the_folds_have(helped, monkeypatch) -> None:
    def no_base(*_: object) -> None:
        raise AssertionError("the base transcribes again")

    monkeypatch.setattr("moontune.pipeline.base_transcripts.BaseTranscripts._transcribe", no_base)
    monkeypatch.setattr("moontune.pipeline.stages.baseline.load_base_for", no_base)
    assert main(["final", "outputs/cv"]) == 0
    texts = [(helped / p / "base_transcripts.json").read_text() for p in ("fold-1", "final")]
    assert json.loads(texts[0]) == json.loads(texts[1])


def test_an_id_of_two_clips_gives_no_known_transcript(helped) -> None:
    found = open_crossval(helped)
    folder = helped / "manifests"
    general = (folder / "clean.jsonl").read_text().splitlines()[0]
    (folder / "general.jsonl").write_text(general.replace("c0.flac", "other.flac") + "\n")
    known = final_module._cached(found.run, found).transcripts
    assert len(known) == 23
    turned = final_module._cached(found.run, found).backwards
    assert turned
    assert turned.keys() <= known.keys()
    assert not any(str(audio).endswith("c0.flac") for audio in known)


@pytest.mark.parametrize(
    "verb",
    ["report", "verdict", "evaluate", "train", "score", "compare", "run", "final", "crossval"],
)
def test_verbs_that_need_something_held_out_say_that_nothing_is(
    verb, finished_final, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_final / "outputs", "outputs")
    path = "outputs/cv/final"
    resumed = [verb, "--resume", "--run-name", "final", "--output-dir", "outputs/cv"]
    words = {
        "compare": ["compare", "outputs/cv/fold-1", path],
        "run": resumed,
        "crossval": resumed,
        "final": ["final", path],
    }
    assert main(words.get(verb, [verb, path])) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "none held out" in said or verb == "final"
    remedy = "outputs/cv/final/report.md"
    if verb in words:
        remedy = "moontune final outputs/cv"
    if verb in ("score", "compare"):
        remedy = "cross-validation that says what to expect: outputs/cv"
    assert remedy in said


def test_its_adapter_is_used_as_that_of_a_run_is(
    finished_final, tmp_path, monkeypatch, capsys
) -> None:
    """Also where the cross-validation is named: it says which folder to name."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_final / "outputs", "outputs")
    recognizer = moontune.open_recognizer("outputs/cv/final", "cpu")
    clips, _ = moontune.read_manifest(Path("outputs/cv/final/manifests/check.jsonl"))
    expected = {
        r["id"]: r["tokens"] for r in read_jsonl(Path("outputs/cv/final/check_transcripts.jsonl"))
    }
    for u in clips[:3]:
        [transcript] = recognizer([load_audio(u)])
        assert transcript.tokens == expected[u.id]
    assert main(["export", "outputs/cv/final"]) == 0
    assert "nothing was held out to measure them on" in capsys.readouterr().out
    readme = Path("outputs/cv/final/export/README.md").read_text()
    assert "Trained on all 24 clips; nothing was held out. Expected: WER 30.20" in readme
    assert Path("outputs/cv/final/export/onnx-int8/encoder_model.onnx").is_file()
    assert main(["export", "outputs/cv/final", "--overwrite", "--vendor"]) == 2
    assert "leave out --vendor" in capsys.readouterr().err
    assert main(["push", "outputs/cv/final", "me/mine", "--dry-run"]) == 2
    assert "nobody else has" in capsys.readouterr().err  # its base, a folder
    with pytest.raises(moontune.UserError, match=r"none for all; use .*final"):
        moontune.open_recognizer("outputs/cv", "cpu")


def test_one_that_did_not_help_is_refused_unless_it_is_insisted_on(crossval, capsys) -> None:
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    assert "no adapter is advised: 3 of the 3 folds" in capsys.readouterr().out
    assert main(["final", "outputs/cv"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Not trained: 3 of the 3 folds kept the base")
    assert "did not fall (100.00 % -> 100.00 %)" in said
    assert "moontune final outputs/cv --anyway" in said
    assert not (crossval / "final").exists()
    with pytest.raises(moontune.UserError, match=r"Not trained: .* anyway=True"):
        moontune.final("outputs/cv")
    assert main(["final", "outputs/cv", "--anyway"]) == 1
    assert "FAILED" in capsys.readouterr().out
    training = json.loads((crossval / "final/train.json").read_text())
    assert training["best_step"] == 4  # no fold says when: the last
    assert main(["push", "outputs/cv/final", "me/mine", "--dry-run"]) == 2
    assert "checks failed (expected to help)" in capsys.readouterr().err
    page = (crossval / "final/report.html").read_text()
    assert "A check failed" in page


def test_one_that_helped_names_the_next_step(helped, capsys) -> None:
    """Also in its report."""
    rows = read_jsonl(helped / "fold-1/predictions_tuned.jsonl")
    rows[0]["hypothesis"] = rows[0]["reference"]
    rows[0] = {**rows[0], **prediction_row(rows[0], "1")}
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (helped / "fold-1/predictions_tuned.jsonl").write_text(lines)
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    assert (
        "to be used; what to expect of it was measured here\n  moontune final outputs/cv\n"
        in capsys.readouterr().out
    )
    assert "`moontune final outputs/cv`" in (helped / "report.md").read_text()


def test_the_same_command_goes_on_and_a_finished_one_is_left_alone(
    helped, finished_final, monkeypatch, capsys
) -> None:
    """Cut short in the middle of training, it ends with the adapter of one that was not."""
    from moontune.cli.console import ConsoleUi
    from moontune.training import checkpoint

    training = ConsoleUi.training

    def stopped(self, event, updates) -> None:
        training(self, event, updates)
        if event["step"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleUi, "training", stopped)
        assert main(["final", "outputs/cv"]) == 130
    assert "; go on with: moontune final outputs/cv\n" in capsys.readouterr().err
    assert main(["push", "outputs/cv/final", "me/mine", "--dry-run"]) == 2
    assert "not done; go on with: moontune final outputs/cv" in capsys.readouterr().err
    assert main(["final", "outputs/cv"]) == 0
    out = capsys.readouterr().out
    assert "going on after update 2" in out
    assert "labels" not in out.split("train:")[0]
    whole = finished_final / "outputs/cv/final" / ADAPTER
    assert (helped / "final" / ADAPTER).read_bytes() == whole.read_bytes()
    before = (helped / "final" / ADAPTER).stat().st_mtime_ns
    assert main(["final", "outputs/cv"]) == 0
    assert "Trained on all 24 clips" in capsys.readouterr().out
    assert (helped / "final" / ADAPTER).stat().st_mtime_ns == before
    edit(helped / "crossval.json", lambda row: row["comparison"].update(words=1))
    assert main(["final", "outputs/cv"]) == 2
    assert "another state of the cross-validation; train again" in capsys.readouterr().err


def _lacks(name: str) -> Callable[[Path], object]:
    return lambda run: edit(run / "fold-2/run.json", lambda row: row["stages"].pop(name))


def _on_another_base(run: Path) -> None:
    def other(row: dict[str, Any]) -> None:
        row["stages"]["evaluate"]["base"]["sha256"] = 64 * "0"

    edit(run / "fold-3/run.json", other)


def _gone(run: Path) -> None:
    file = run / "manifests/clean.jsonl"
    file.write_text(file.read_text().replace("c3.flac", "gone.flac"))


def _another_folder(run: Path) -> None:
    (run / "final").mkdir()
    (run / "final/mine.txt").write_text("mine")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda run: edit(run / "run.json", lambda r: r.update(complete=False)),
            "go on with: moon",
        ),
        (lambda run: (run / "crossval.json").unlink(), "crossval --resume --run-name cv"),
        (lambda run: (run / "crossval.json").write_text("{}"), "damaged"),
        (
            lambda run: (run / "crossval.json").write_text("{"),
            "make it again: moontune crossval --resume --run-name cv",
        ),
        (_lacks("evaluate"), "was done again"),
        (
            lambda run: edit(run / "fold-2/eval_tuned.json", lambda r: r.update(loss=0.1)),
            "was done again",
        ),
        (lambda run: shutil.rmtree(run / "fold-3"), "is missing"),
        (_on_another_base, "fold-3: is on another base than fold-1 (weights 000000000000, there"),
        (lambda run: edit(run / "run.json", lambda r: r.update(kind="run")), "is a single run"),
        (_gone, "gone.flac: is gone, as 1 of 24 recordings"),
        (_another_folder, "final: is not a run of moontune, so it is not written to"),
    ],
)
def test_what_it_cannot_be_made_of_is_one_line_before_anything_is_spent(
    spoil, says, helped, capsys
) -> None:
    spoil(helped)
    assert main(["final", "outputs/cv"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert says in said
    assert not (helped / "final/run.json").exists()


LOOP = {"hypothesis": "ha ha ha ha ha ha", "tokens": [5, 5], "truncated": True}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"hypothesis": "", "truncated": False}, "24 are empty"),
        # What beams agree on stands in for it, and does not make it speech.
        ({"hypothesis": "a word", "truncated": False, "looped": LOOP}, "24 loop or never end"),
    ],
)
def test_an_adapter_that_stopped_writing_speech_is_not_called_usable(
    finished_final, tmp_path, monkeypatch, capsys, written, told
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_final / "outputs", "outputs")
    file = Path("outputs/cv/final/check_transcripts.jsonl")
    rows = [row | written for row in read_jsonl(file)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = Path("outputs/cv/predictions_base.jsonl")
    texts = [row | {"hypothesis": "words", "truncated": False} for row in read_jsonl(base)]
    texts = [{k: v for k, v in row.items() if k != "looped"} for row in texts]
    base.write_text("".join(json.dumps(row) + "\n" for row in texts))
    edit(Path("outputs/cv/final/run.json"), lambda row: row.update(complete=False))
    assert main(["final", "outputs/cv"]) == 1
    out = capsys.readouterr().out
    assert told in " ".join(out.split())
    assert "Do not rely on it: transcripts are not speech" in out


@pytest.mark.parametrize(
    ("kept", "share", "step"),
    [
        ([(40, 100), (100, 100), (90, 100)], 0.9, 180),
        ([(0, 100), (50, 100), (100, 100)], 0.75, 150),  # a fold that kept the base says nothing
        ([(0, 100), (0, 100)], 1.0, 200),
        ([(1, 1000), (1, 1000)], 0.001, 1),
    ],
)
def test_the_update_kept_is_the_median_share_of_the_folds(
    finished_crossval, kept, share, step
) -> None:
    found = replace(open_crossval(finished_crossval / "outputs/cv"), kept=kept)
    assert isinstance(found, FinishedCrossval)
    assert found.kept_share == pytest.approx(share)
    assert found.kept_update(200).step == step


@pytest.mark.parametrize(
    ("kept", "worth_it"), [([0, 3], False), ([3, 3], True), ([3, None], True), ([None], False)]
)
def test_updates_on_word_errors_are_worth_it_where_most_folds_kept_theirs(
    finished_crossval, monkeypatch, kept, worth_it
) -> None:
    """None: a fold that did not get to any."""
    found = open_crossval(finished_crossval / "outputs/cv")
    row = {"steps": 4, "first_val_loss": 0.5, "best_val_loss": 0.4}
    of_fold = final_module._training(found.folds[0])
    of_folds = iter(
        replace(
            of_fold,
            word_errors=None if k is None else WordErrorUpdates.from_json(row | {"best_step": k}),
        )
        for k in kept
    )
    monkeypatch.setattr(final_module, "_training", lambda fold: next(of_folds))
    found = replace(found, folds=found.folds[:1] * len(kept))
    assert found.without_validation.word_errors == worth_it


def rows(hypotheses: list[str]) -> list[Any]:
    given = {"reference": "a b c d", "speaker": "s", "duration": 1.0, "truncated": False}
    return [prediction_row(given | {"hypothesis": h}, str(i)) for i, h in enumerate(hypotheses)]


def compared(before: list[str], after: list[str]) -> Comparison:
    return compare(rows(before), rows(after), 1)


@pytest.mark.parametrize(
    ("after", "kept", "says"),
    [
        (["a b c d"] * 8, [3, 0, 2], []),
        (["a b c d"] * 8, [3, 0], ["1 of the 2 folds kept the base"]),
        (["a b c x"] * 8, [3, 2], ["the WER did not fall (25.00 % -> 25.00 %)"]),
        ([""] * 8, [3, 2], ["did not fall", "stopped writing speech"]),
    ],
)
def test_doubts_are_told_where_the_folds_speak_against_it(after, kept, says) -> None:
    found = doubts(compared(["a b c x"] * 8, after), kept)
    assert len(found) == len(says)
    assert all(text in line for text, line in zip(says, found, strict=True))


@pytest.mark.parametrize(("after", "says"), [("a b c d", "Train one"), ("a b c x", "Use the base")])
def test_consensus_is_advised_where_it_was_surely_better(tmp_path, after, says) -> None:
    gain = Measure(before=0.25, after=0.02, outcome="better")
    sides = Sides(gain, Measure()) if "base" in says else Sides(Measure(), gain)
    comparison = replace(compared(["a b c x"] * 8, [after] * 8), consensus=sides)
    results: Any = SimpleNamespace(comparison=comparison, folds=[SimpleNamespace(best_step=3)])
    told = next_step(RunDir(tmp_path), results).says
    assert told.startswith(says)
    assert "; transcribe with --decoding consensus, with 2.00 % of the words wrong" in told


def test_from_python(helped) -> None:
    seen: list[str] = []
    results = moontune.final("outputs/cv", on_progress=lambda event: seen.append(event.stage))
    assert results.metrics.statement.startswith("Trained on all 24 clips; nothing was held out.")
    assert [name for name in dict.fromkeys(seen) if name] == [
        "labels",
        "baseline",
        "train",
        "evaluate",
        "artifact",
    ]
    assert moontune.final(helped).metrics == results.metrics  # it is done
    with pytest.raises(moontune.UserError, match="no test split, figures or verdict"):
        moontune.open_results("outputs/cv/final")


def test_general_speech_is_measured_on_it(
    tmp_path, monkeypatch, tiny_model, noise_manifest, capsys
) -> None:
    """With the base's figures taken over from a fold, not measured again; the same speech in every
    fold, else nothing is trained."""
    monkeypatch.chdir(tmp_path)
    lines = noise_manifest.read_text().replace("audio/", f"{noise_manifest.parent}/audio/")
    parts = lines.splitlines(keepends=True)
    others = [line for line in parts if '"s0"' in line or '"s1"' in line]
    Path("general.jsonl").write_text("".join(others))
    Path("own.jsonl").write_text("".join(line for line in parts if line not in others))
    words = flags(tiny_model, Path("own.jsonl"), "cv", general="manifest", max_steps=2)
    words += ["--general-manifest", "general.jsonl", "--folds", "3"]
    assert main(["crossval", *words]) == 0
    assert main(["final", "outputs/cv", "--anyway"]) == 1
    final = Path("outputs/cv/final")
    names = "general_predictions_base.jsonl"
    assert (final / names).read_bytes() == Path("outputs/cv/fold-1", names).read_bytes()
    general = json.loads((final / "final.json").read_text())["general"]
    assert general["comparison"]["utterances"] == len(others) == 6
    assert "Measured on this adapter: 6 clips" in (final / "report.md").read_text()
    shutil.rmtree(final)
    measured = Path("outputs/cv/fold-3/general_eval_base.json")
    whole = measured.read_text()
    measured.unlink()
    capsys.readouterr()
    for says in ("fold-3/general_eval_base.json: is missing", "other general speech than fold-1"):
        assert main(["final", "outputs/cv", "--anyway"]) == 2
        assert says in capsys.readouterr().err
        assert not final.exists()
        assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
        assert says in capsys.readouterr().err
        measured.write_text(whole)
        edit(measured, lambda row: row.update(audio="0" * 16))
