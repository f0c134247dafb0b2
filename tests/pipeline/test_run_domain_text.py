"""A run that takes a text of its domain: checked before any work, copied, weighed and reported."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from moontune.cli import new_run
from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.config.schema import EvalConfig, TermsConfig
from moontune.data.word_lists.domain_text import sentences_of
from moontune.errors import UserError
from moontune.evaluation.domain_text import weight as weights
from moontune.evaluation.domain_text.results import WeighedText
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.error_rates import word_edits
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import consensus_row
from moontune.models.decoding import Transcript
from moontune.models.language_model import LanguageModel
from moontune.models.transcriber import Transcriber
from moontune.pipeline.consensus import domain_text as weighing
from moontune.pipeline.consensus.domain_text import take_over_weight
from moontune.pipeline.experiments.sweep_report import write_sweep_report
from moontune.pipeline.experiments.trial import Trial, trial_folder
from moontune.pipeline.run_folder.creating import fork_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import file_sha256, write_json, write_jsonl

TEXT = "A cold wind blows. It blows\nfrom the north!\n"
KEPT = "A cold wind blows.\nIt blows\nfrom the north!\n"
CONSENSUS = ["--decoding", "consensus"]


@pytest.fixture
def sampled(tmp_path, monkeypatch, tiny_model, noise_manifest) -> list[str]:
    """The words by which a run was sampled, its text in a folder below."""
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    Path("texts/wind.txt").write_text(TEXT)
    words = ["--manifest", str(noise_manifest), "--model-id", str(tiny_model)]
    words += ["--run-name", "r", "--general", "off", *CONSENSUS]
    assert main(["sample", *words, "--domain-text", "texts/wind.txt"]) == 0
    return words


def test_the_text_is_copied_and_the_run_is_whole_without_it(sampled, tmp_path, monkeypatch) -> None:
    Path("texts/wind.txt").unlink()
    monkeypatch.chdir("texts")
    named = RunDir(Path("../outputs/r")).config().terms.domain_text
    assert named is not None
    assert named.read_text() == KEPT
    os.rename(tmp_path / "outputs", tmp_path / "moved")
    run = RunDir(tmp_path / "moved/r")
    assert run.config().terms.domain_text == run.words.domain_text
    assert run.words.sentences() == tuple(KEPT.splitlines())
    assert main(["clean", str(run.path)]) == 0


def test_the_texts_of_a_manifest_are_copied_and_the_same_ones_are_no_change(
    sampled, noise_manifest
) -> None:
    words = [*sampled, "--overwrite", "--domain-text", str(noise_manifest)]
    assert main(["sample", *words]) == 0
    rows = map(json.loads, noise_manifest.read_text().splitlines())
    run = RunDir(Path("outputs/r"))
    assert run.words.sentences() == tuple(row["text"] for row in rows)
    kept = run.words.domain_text.read_text()
    fork = fork_run(run, Path("outputs/fork"), run.config(), ["sample"])
    assert fork.words.domain_text.read_text() == kept


def test_another_text_is_a_changed_setting_and_the_same_one_is_none(sampled, capsys) -> None:
    resumed = ["run", "--resume", "--run-name", "r"]
    Path("same.txt").write_text("A cold  wind blows.\n\nIt blows\nfrom the north!")
    Path("other.txt").write_text("Rain fell.\n")
    stopped: list[Path | None] = []

    def stop(run, config, left, group) -> int:
        stopped.append(config.terms.domain_text)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_run, "do_stages", stop)
        assert main([*resumed, "--domain-text", "same.txt"]) == 0
        assert main(resumed) == 0
    assert stopped == [Path("outputs/r/domain_text.txt").absolute()] * 2
    assert main([*resumed, "--domain-text", "other.txt"]) == 2
    told = capsys.readouterr().err.strip()
    assert told.count("\n") == 0
    assert "other.txt differs from the run's" in told
    assert RunDir(Path("outputs/r")).words.domain_text.read_text() == KEPT


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("wind.txt", None, "wind.txt: cannot be read"),
        ("wind.txt", b"", "wind.txt: holds no word"),
        ("wind.png", b"\x89PNG\r\n", "wind.png: looks like a picture"),
        ("wind.jsonl", None, "wind.jsonl: no such manifest"),
    ],
)
def test_a_bad_text_ends_it_in_a_line_before_any_work(
    tmp_path, monkeypatch, tiny_model, noise_manifest, capsys, name, content, told
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    words = ["--manifest", str(noise_manifest), "--model-id", str(tiny_model), "--run-name", "r"]
    for verb in ("run", "crossval", "sweep"):
        assert main([verb, *words, *CONSENSUS, "--domain-text", name]) == 2
        [shown] = capsys.readouterr().err.strip().splitlines()
        assert shown.startswith("moontune: --domain-text")
        assert told in shown
    assert not Path("outputs").exists()


def test_a_text_without_beams_names_the_flag_to_add(
    finished_run, tmp_path, monkeypatch, tiny_model, noise_manifest, capsys
) -> None:
    """Of a new run, of one in a file by another name, and of a run that is done."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    Path("wind.txt").write_text(TEXT)
    Path("run.toml").write_text('domain_text = "wind.txt"\n')
    words = ["run", "--manifest", str(noise_manifest), "--model-id", str(tiny_model)]
    for more in (["--domain-text", "wind.txt"], ["--config", "run.toml"]):
        assert main([*words, "--run-name", "new", *more]) == 2
        assert capsys.readouterr().err == (
            "moontune: --domain-text has a say among beams; add --decoding consensus\n"
        )
    assert main([*words, *CONSENSUS, "--kenlm", "wind.txt"]) == 2
    assert "did you mean --domain-text?" in capsys.readouterr().err
    assert main(["evaluate", "outputs/r", "--overwrite", "--domain-text", "wind.txt"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "first: moontune baseline outputs/r --decoding consensus --overwrite" in told
    assert "evaluate" in RunDir(Path("outputs/r")).stages()
    assert not RunDir(Path("outputs/r")).words.domain_text.exists()


def test_two_texts_or_one_without_beams_are_refused(
    tmp_path, monkeypatch, tiny_model, noise_manifest, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wind.txt").write_text(TEXT)
    words = ["run", "--manifest", str(noise_manifest), "--model-id", str(tiny_model)]
    assert main([*words, "--own-text"]) == 2
    assert main([*words, *CONSENSUS, "--own-text", "--domain-text", "wind.txt"]) == 2
    assert capsys.readouterr().err == (
        "moontune: --own-text has a say among beams; add --decoding consensus\n"
        "moontune: --own-text and --domain-text exclude each other; give one of them\n"
    )


def test_the_helps_of_all_verbs_that_begin_a_run_tell_of_it(capsys) -> None:
    for verb in ("run", "crossval", "sweep", "evaluate"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "--domain-text FILE" in capsys.readouterr().out


HEARD, WITH = "A cold win blows north.", "A cold wind blows north."
BEAMS = [(HEARD, -5.0), (WITH, -5.1), ("A cold whim blows north.", -5.2)]


@pytest.fixture
def searched(monkeypatch) -> list[float]:
    """The clips whose beams are searched, by their seconds. All clips sound alike."""
    found: list[float] = []

    def beams(self: Transcriber, keys: object, seconds: Sequence[float], *_: object):
        found.extend(seconds)
        return [[(heard(self, text), nats) for text, nats in BEAMS] for _ in seconds]

    def greedy(self: Transcriber, tokens: Sequence[object], *_: object):
        return [heard(self, HEARD) for _ in tokens]

    monkeypatch.setattr(Transcriber, "search", beams)
    monkeypatch.setattr(Transcriber, "of_tokens", greedy)
    return found


def heard(transcriber: Transcriber, text: str) -> Transcript:
    return Transcript(text, transcriber._label(text), truncated=False)


@pytest.fixture
def measured(finished_run, tmp_path, monkeypatch, searched) -> RunDir:
    """A run whose base was measured by consensus, and which has no text."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    Path("wind.txt").write_text(TEXT)
    assert main(["baseline", "outputs/r", "--overwrite", *CONSENSUS]) == 0
    return RunDir(Path("outputs/r"))


def evaluate(*words: str) -> None:
    assert main(["evaluate", "outputs/r", "--overwrite", *words]) == 0


def test_each_clip_is_searched_once_and_other_rows_stay_as_they_are(
    measured: RunDir, searched: list[float], capsys
) -> None:
    evaluate()
    plain = (measured / "predictions_tuned.jsonl").read_bytes()
    base, val, test = ((measured / "predictions_base.jsonl").read_bytes(), *counts(measured))
    searched.clear()
    capsys.readouterr()
    evaluate("--domain-text", "wind.txt")
    assert len(searched) == val + test + val  # the base's validation, the tuned model's both
    assert "your text, base model: weight 0.1: the usual one" in capsys.readouterr().out
    assert (measured / "predictions_base.jsonl").read_bytes() == base
    assert (measured / "predictions_tuned.jsonl").read_bytes() == plain
    for which in ("base", "tuned"):
        rows = measured.predictions(which)
        assert {row.get("consensus", {}).get("hypothesis") for row in rows} == {HEARD}
        found = measured.words.weighed_text(which)
        assert found is not None
        assert found.texts == {row["id"]: WITH for row in rows}
        assert [one.weight for one in found.chosen.tried] == [0, 0.05, 0.1, 0.2]


def test_a_runs_own_transcripts_can_be_its_text(measured: RunDir, monkeypatch) -> None:
    """Its weight is chosen without those of the validation clips, which it would know by heart."""
    monkeypatch.setattr(weights, "FEWEST", 1)
    learnt: list[set[str]] = []

    class Noted(LanguageModel):
        def __init__(self, texts: Sequence[str], weight: float = 0.1) -> None:
            learnt.append(set(texts))
            super().__init__(texts, weight)

    monkeypatch.setattr(weighing, "LanguageModel", Noted)
    evaluate("--own-text")
    train, val = (
        {s for u in measured.fitting(split) for s in sentences_of(u.text)}
        for split in ("train", "val")
    )
    of_a_model = [*([train] * len(weights.WEIGHTS)), train | val]
    assert learnt == of_a_model * 2
    assert set(measured.words.sentences()) == train | val
    assert measured.config().terms.own_text
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    assert "| WER, consensus with your text |" in (measured / "report.md").read_text()
    evaluate("--no-own-text")
    assert not measured.words.domain_text.is_file()
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    assert "with your text" not in (measured / "report.md").read_text()


@pytest.mark.parametrize("beams", ["x", None, [["a"]], [["a", "b", False]]])
def test_damaged_beams_are_told_in_a_line_with_what_makes_them_again(
    measured: RunDir, capsys, beams
) -> None:
    rows = measured.predictions("base")
    write_jsonl(measured / "predictions_base.jsonl", [{**row, "beams": beams} for row in rows])
    capsys.readouterr()
    assert main(["evaluate", "outputs/r", "--overwrite", "--domain-text", "wind.txt"]) == 2
    [told] = capsys.readouterr().err.strip().splitlines()
    assert "predictions_base.jsonl: is damaged" in told
    assert "again: moontune baseline outputs/r --overwrite" in told


def counts(run: RunDir) -> tuple[int, int]:
    return len(run.fitting("val")), len(run.fitting("test"))


def test_the_weight_is_the_one_that_makes_fewest_errors_on_validation(
    measured: RunDir, monkeypatch
) -> None:
    monkeypatch.setattr(weights, "FEWEST", 1)
    monkeypatch.setattr(RunDir, "fitting", said(RunDir.fitting, WITH))
    evaluate("--domain-text", "wind.txt")
    found = measured.words.weighed_text("tuned")
    assert found is not None
    assert found.chosen.weight in (0.05, 0.1)
    assert found.chosen.tried[0].errors == len(measured.fitting("val"))
    monkeypatch.setattr(RunDir, "fitting", said(RunDir.fitting, HEARD))
    evaluate()
    found = measured.words.weighed_text("tuned")
    assert found is not None
    assert (found.chosen.weight, found.texts) == (0.0, {})
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    assert "not used: of" in (measured / "report.md").read_text()


def said(fitting: Any, text: str) -> Any:
    """As if that were said in every validation clip."""

    def changed(run: RunDir, split: str) -> list[Any]:
        clips = fitting(run, split)
        return [replace(u, text=text) for u in clips] if split == "val" else clips

    return changed


def test_reports_have_a_row_with_the_text_and_what_it_changes(measured: RunDir, capsys) -> None:
    Path("wind.txt").write_text(f"{TEXT}{measured.fitting('test')[0].text}\n")
    evaluate("--domain-text", "wind.txt")
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    out = capsys.readouterr().out
    found = measured.metrics().comparison
    change = found.domain_text
    assert change is not None
    for which, side in (("base", change.change.before), ("tuned", change.change.after)):
        rows = measured.predictions(which)
        words = sum(row["edits"]["words"] for row in rows)
        for text, rate in ((HEARD, side.before), (WITH, side.after)):
            errors = sum(word_edits(row["reference"], text).errors for row in rows)
            assert rate == pytest.approx(errors / words)
    assert found.measures["wer_consensus_text"].after == change.change.after.after
    assert found.measures["wer_consensus"].after == change.change.after.before
    assert change.use.known == 1
    for text in (out, (measured / "report.md").read_text(), page_text(measured)):
        assert "Your text in the consensus of the tuned model: WER" in text
        assert "weight 0.1: the usual one" in text
        assert "1 of the 3 test clips stands in your text word for word" in text
    assert "| WER, consensus with your text |" in (measured / "report.md").read_text()
    assert "Word error rate by consensus with your text" in page_text(measured)
    public = Path("outputs/training_report.md").read_text()
    assert "| WER, consensus with your text |" in public
    assert "### Your text" in public
    assert "wind blows" not in public


def test_score_and_compare_have_the_row_too(measured: RunDir, capsys) -> None:
    """Of a run, its figures; of two, each by its own text; of one alone it is said."""
    evaluate("--domain-text", "wind.txt")
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    other = RunDir(Path(shutil.copytree(measured.path, "outputs/other")))
    file = other.words.weighed_text_file("tuned")
    chosen = asdict(ChosenWeight(0.05, "as it may be", 300))
    write_json(file, other.read(file.name) | {"chosen": chosen, "texts": {}})
    capsys.readouterr()
    seed = str(measured.config().output.seed)
    assert main(["score", "outputs/r", "--json", "s.json", "--seed", seed]) == 0
    row = "WER, consensus with your text"
    out = capsys.readouterr().out
    assert "Your text in the consensus of the tuned model: WER" in out
    scored = json.loads(Path("s.json").read_text())
    reported = measured.read("metrics.json")["comparison"]
    for name in ("domain_text", "measures"):
        assert scored[name] == reported[name]
    assert main(["compare", "outputs/r", "outputs/other"]) == 0
    said = capsys.readouterr().out
    report, page = (Path(f"outputs/compare-r-other.{kind}").read_text() for kind in ("md", "html"))
    for text in (said, report, page):
        assert "Your text in the consensus of r: WER" in text
        assert "Your text in the consensus of other: WER stays" in text
        assert "weight 0.05: as it may be" in text
    assert f"| {row} |" in report
    plain = RunDir(Path(shutil.copytree(measured.path, "outputs/plain")))
    plain.save_config(replace(plain.config(), terms=TermsConfig()))
    assert main(["compare", "outputs/plain", "outputs/r"]) == 0
    assert "r alone was measured with a text of the domain" in capsys.readouterr().out
    assert "with your text" not in Path("outputs/compare-plain-r.md").read_text()


def page_text(run: RunDir) -> str:
    return (run / "report.html").read_text()


def test_another_text_in_the_runs_folder_is_not_shown_by_old_figures(
    measured: RunDir, capsys
) -> None:
    evaluate("--domain-text", "wind.txt")
    measured.words.domain_text.write_text("Rain fell.\n")
    assert main(["artifact", "outputs/r"]) == 0
    assert main(["verdict", "outputs/r"]) == 2
    told = capsys.readouterr().err
    assert "is not the text that was measured; again: moontune evaluate outputs/r" in told


def with_text(run: RunDir, weight: float) -> None:
    """Give a run that was evaluated greedily beams and a text, which puts the first test clip
    right and leaves the others; its consensus is wrong in every word."""
    for which in ("base", "tuned"):
        rows = run.predictions(which)
        for row in rows:
            row["consensus"], row["beams"] = consensus_row(row["reference"], "x"), []
        write_jsonl(run / f"predictions_{which}.jsonl", rows)
    given_text(run)
    first = rows[0]
    for which in ("base", "tuned"):
        chosen = ChosenWeight(weight, "so it is", 300)
        found = WeighedText(
            chosen, {first["id"]: first["reference"]}, file_sha256(run.words.domain_text)
        )
        write_json(run.words.weighed_text_file(which), found.to_json())


def given_text(run: RunDir) -> None:
    Path("wind.txt").write_text("The harbour is cold.\n")
    terms = TermsConfig(domain_text=Path("wind.txt"))
    config = replace(run.config(), terms=terms, eval=EvalConfig(decoding="consensus"))
    run.save_config(run.words.keep(config))


@pytest.fixture
def folds(finished_crossval, tmp_path, monkeypatch) -> list[RunDir]:
    """The folds of a cross-validation that has a text; the run itself comes last."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    run = RunDir(Path("outputs/cv"))
    runs = [RunDir(run / f"fold-{n}") for n in (1, 2, 3)]
    for fold, weight in zip(runs, (0.2, 0.0, 0.05), strict=True):
        with_text(fold, weight)
    given_text(run)
    return [*runs, run]


def test_a_sweep_tells_what_the_text_changes_in_its_winner(
    measured: RunDir, tmp_path, capsys
) -> None:
    evaluate("--domain-text", "wind.txt")
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    sweep = RunDir(tmp_path / "outputs/s")
    shutil.copytree(measured.path, trial_folder(sweep, 0))
    for name in ("run.json", "config.toml"):
        shutil.copyfile(measured / name, sweep / name)
    sweep.note(sweep={"trials": 1, "tune": ["lr=1e-4,1e-3"]})
    trials = [Trial(0, {"lr": 1e-4}, "finished", 3.0, 6, 6, {6: 3.0})]
    found = write_sweep_report(sweep, sweep.config(), trials)
    capsys.readouterr()
    ConsoleUi().sweep(found, ("own settings", "trial-0"))
    told = "Your text in the consensus of the tuned model: "
    assert told in capsys.readouterr().out
    assert any(one.startswith(told) for one in sweep.read("sweep.json")["domain_text"])

    shutil.copytree(measured.path, trial_folder(sweep, 1))
    trials.append(Trial(1, {"lr": 1e-3}, "finished", 2.0, 6, 6, {6: 2.0}))
    write_sweep_report(sweep, sweep.config(), trials)
    compared = sweep.read("sweep.json")["comparison"]["measures"]
    tuned = measured.read("metrics.json")["comparison"]["measures"]["wer_consensus_text"]["after"]
    assert compared["wer_consensus_text"]["before"] == tuned
    against_own = (sweep / "report.md").read_text().partition("### trial-1 against the base")[0]
    assert "| WER, consensus with your text |" in against_own


@pytest.mark.parametrize("weight", ["x", None, -1, float("inf"), [0.1]])
def test_a_weight_that_is_none_is_damage_and_told_in_a_line(folds, capsys, weight) -> None:
    file = folds[0].words.weighed_text_file("tuned")
    row = json.loads(file.read_text())
    file.write_text(json.dumps(row | {"chosen": row["chosen"] | {"weight": weight}}))
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    [told] = capsys.readouterr().err.strip().splitlines()
    assert "domain_text_tuned.json: is damaged" in told
    assert "again: moontune evaluate outputs/cv/fold-1 --overwrite" in told


def test_a_fold_with_too_few_validation_words_to_choose_is_not_said_to_have_chosen(
    folds, capsys
) -> None:
    file = folds[0].words.weighed_text_file("tuned")
    row = json.loads(file.read_text())
    file.write_text(json.dumps(row | {"chosen": row["chosen"] | {"weight": 0.1, "words": 30}}))
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    assert (
        "weight of each fold, by its own validation clips, the usual one where these have fewer "
        "than 200 words: 0.1, 0, 0.05"
    ) in capsys.readouterr().out


def test_a_cross_validation_pools_the_folds_each_by_its_own_weight(folds, capsys) -> None:
    *parts, run = folds
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    assert "weight of each fold, by its own validation clips: 0.2, 0, 0.05" in (
        capsys.readouterr().out
    )
    comparison = Comparison.from_json(run.read("crossval.json")["comparison"])
    change = comparison.domain_text
    assert change is not None
    rows = [fold.predictions("tuned") for fold in parts]
    words = sum(row["edits"]["words"] for fold in rows for row in fold)
    right = sum(fold[0]["edits"]["words"] for fold in rows)
    assert change.change.after.before == 1
    assert change.change.after.after == pytest.approx(1 - right / words)
    assert change.change.after.difference_interval is not None
    seed = str(run.config().output.seed)
    assert main(["score", "outputs/cv", "--json", "s.json", "--seed", seed]) == 0
    pooled = run.read("crossval.json")["comparison"]["domain_text"]
    assert json.loads(Path("s.json").read_text())["domain_text"] == pooled
    public = Path("outputs/training_report.md").read_text().partition("cv, cross-validation")[2]
    assert "| WER, consensus with your text |" in public
    assert "harbour" not in public


def test_runs_that_are_pooled_have_the_row_where_all_have_a_text(folds, capsys) -> None:
    parts = [str(fold.path) for fold in folds[:2]]
    assert main(["score", *parts, "--json", "s.json"]) == 0
    assert "weight of each run, by its own validation clips: 0.2, 0" in capsys.readouterr().out
    change = json.loads(Path("s.json").read_text())["domain_text"]["change"]["after"]
    rows = [fold.predictions("tuned") for fold in folds[:2]]
    right = sum(fold[0]["edits"]["words"] for fold in rows)
    words = sum(row["edits"]["words"] for fold in rows for row in fold)
    assert change["after"] == pytest.approx(1 - right / words)
    config = folds[1].config()
    folds[1].save_config(replace(config, terms=TermsConfig()))
    assert main(["score", *parts]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Not all were measured with a text of the domain" in told
    assert "with your text" not in told


def test_an_adapter_on_all_clips_tells_what_the_folds_did_and_has_their_median(folds) -> None:
    run = folds[-1]
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    pooled = run.read("crossval.json")["comparison"]["domain_text"]
    assert main(["final", "outputs/cv", "--anyway"]) == 1
    final = RunDir(run.path / "final")
    assert final.read("final.json")["expected"]["comparison"]["domain_text"] == pooled
    found = final.words.weighed_text("tuned")
    assert found is not None
    assert found.chosen.says == "weight 0.05: as the lower median of the folds (0.2, 0, 0.05)"
    for place in (final / "report.md", final / "report.html"):
        assert "Your text in the consensus of the tuned model" in place.read_text()


def test_where_most_folds_do_not_use_it_neither_does_the_adapter_on_all_clips(folds) -> None:
    *parts, run = folds
    take_over_weight(run, parts[:2])
    found = run.words.weighed_text("base")
    assert found is not None
    assert found.chosen.says == "not used: as the lower median of the folds (0.2, 0)"
    for fold in parts[:2]:
        row = fold.read("domain_text_tuned.json")
        chosen = asdict(ChosenWeight(0.0, "no"))
        write_json(fold.words.weighed_text_file("tuned"), row | {"chosen": chosen})
    take_over_weight(run, parts)
    found = run.words.weighed_text("tuned")
    assert found is not None
    assert found.chosen.says == "not used: as the lower median of the folds (0, 0, 0.05)"


def test_what_a_fold_chose_and_lost_is_asked_for_again(folds) -> None:
    *parts, run = folds
    for fold in parts:
        fold.words.weighed_text_file("tuned").unlink()
    with pytest.raises(UserError, match="again: moontune evaluate outputs/cv/fold-1 --overwrite"):
        take_over_weight(run, parts)


def test_a_fold_with_another_text_is_not_pooled(folds, capsys) -> None:
    folds[1].words.domain_text.write_text("Rain fell.\n")
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    told = capsys.readouterr().err
    assert "fold-2: has another text than the cross-validation; redo it with --domain-text" in told


def test_a_fold_by_its_own_transcripts_is_not_pooled_with_others(folds, capsys) -> None:
    config = folds[1].config()
    folds[1].save_config(replace(config, terms=replace(config.terms, own_text=True)))
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    assert "fold-2: has another --own-text than the cross-validation" in capsys.readouterr().err


def test_a_fork_of_a_run_has_its_text(folds) -> None:
    """As a trial of a sweep is one."""
    fold = folds[0]
    fork = fork_run(fold, Path("outputs/fork"), fold.config(), ["sample", "clean", "split"])
    assert fork.words.domain_text.read_text() == fold.words.domain_text.read_text()
    assert fork.config().terms.domain_text == Path("outputs/fork/domain_text.txt").absolute()
