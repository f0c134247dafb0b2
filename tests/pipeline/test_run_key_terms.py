"""A run that takes a list of key terms: checked before any work, copied, and gone on with."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from moontune.cli import new_run
from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.config.schema import TermsConfig
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.errors import UserError
from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.counting import TermCounts
from moontune.evaluation.key_terms.results import KeyTermResults, WrittenTerms
from moontune.evaluation.measures import Sides
from moontune.languages.table import language_named, speaking
from moontune.models.decoding import Transcript
from moontune.models.transcriber import Transcriber
from moontune.pipeline.experiments import sweep_report as swept
from moontune.pipeline.experiments.trial import Trial
from moontune.pipeline.key_terms import writing
from moontune.pipeline.run_folder.creating import fork_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import file_sha256, write_json

LIST = "# to know\nHarbour Bridge\nDrascula | dracula\n"


@pytest.fixture
def sampled(tmp_path, monkeypatch, tiny_model, noise_manifest) -> list[str]:
    """The words by which a run was sampled, its list in a folder below."""
    monkeypatch.chdir(tmp_path)
    Path("lists").mkdir()
    Path("lists/terms.txt").write_text(LIST)
    words = ["--manifest", str(noise_manifest), "--model-id", str(tiny_model)]
    words += ["--run-name", "r", "--general", "off"]
    assert main(["sample", *words, "--key-terms", "lists/terms.txt"]) == 0
    return words


def test_the_list_is_copied_and_the_run_is_whole_without_it(sampled, tmp_path, monkeypatch) -> None:
    Path("lists/terms.txt").unlink()
    monkeypatch.chdir("lists")
    run = RunDir(Path("../outputs/r"))
    named = run.config().terms.key_terms
    assert named is not None
    assert named.is_absolute()
    assert named.read_text() == LIST
    os.rename(tmp_path / "outputs", tmp_path / "moved")
    moved = RunDir(tmp_path / "moved/r").config().terms.key_terms
    assert moved == tmp_path / "moved/r/key_terms.txt"
    assert main(["clean", str(tmp_path / "moved/r")]) == 0


def test_another_list_is_a_changed_setting_and_the_same_one_is_none(sampled, capsys) -> None:
    resumed = ["run", "--resume", "--run-name", "r"]
    Path("same.txt").write_text("Harbour   Bridge\n\nDrascula | dracula\n")
    Path("other.txt").write_text("Harbour Bridge\n")
    stopped: list[str] = []

    def stop(run, config, left, group) -> int:
        stopped.append(str(config.terms.key_terms))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_run, "do_stages", stop)
        assert main([*resumed, "--key-terms", "same.txt"]) == 0
        assert main(resumed) == 0
    assert stopped == [str(Path("outputs/r/key_terms.txt").absolute())] * 2
    assert main([*resumed, "--key-terms", "other.txt"]) == 2
    told = capsys.readouterr().err.strip()
    assert told.count("\n") == 0
    assert "other.txt differs from the run's" in told
    assert "leave it out, or start another run" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Drascula\ndrascula!\n", "terms.txt:2: drascula! sounds like Drascula above"),
        ("Drascula | x | much\n", "terms.txt:1: weight 'much' is not a number"),
        ("# none\n", "terms.txt: holds no term"),
        (None, "terms.txt: cannot be read"),
    ],
)
def test_a_bad_list_ends_it_in_a_line_before_any_work(
    tmp_path, monkeypatch, tiny_model, noise_manifest, capsys, content, told
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("terms.txt").write_text(content)
    words = ["--manifest", str(noise_manifest), "--model-id", str(tiny_model), "--run-name", "r"]
    for verb in ("run", "crossval", "sweep"):
        assert main([verb, *words, "--key-terms", "terms.txt"]) == 2
        shown = capsys.readouterr().err.strip().splitlines()
        assert len(shown) == 1
        assert told in shown[0]
    assert not Path("outputs").exists()


def test_a_list_given_to_evaluate_takes_the_place_of_the_runs(sampled, capsys) -> None:
    """A bad one leaves the old, and nothing is forgotten."""
    Path("bad.txt").write_text("a | b | c | d\n")
    assert main(["evaluate", "outputs/r", "--key-terms", "bad.txt"]) == 2
    assert "bad.txt:1" in capsys.readouterr().err
    assert RunDir(Path("outputs/r")).words.key_terms.read_text() == LIST


def test_the_helps_of_all_verbs_that_begin_a_run_tell_of_it(capsys) -> None:
    for verb in ("run", "crossval", "sweep", "evaluate"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "--key-terms FILE" in capsys.readouterr().out


HEARD, WITH = "A cold win blows north.", "A cold wind blows north."


@pytest.fixture
def evaluated(finished_run, tmp_path, monkeypatch) -> RunDir:
    """A run that was measured again with a list; both models hear one thing, and their losses are
    their own. No other clip than those of validation and test is transcribed."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")

    def heard(self: Transcriber, tokens: Sequence[object], *_: object):
        return [Transcript(HEARD, self._label(HEARD), truncated=False) for _ in tokens]

    monkeypatch.setattr(Transcriber, "of_tokens", heard)
    Path("terms.txt").write_text("wind | | 5\nHarbour Bridge\n")
    assert main(["baseline", "outputs/r", "--overwrite"]) == 0
    assert main(["evaluate", "outputs/r", "--overwrite", "--key-terms", "terms.txt"]) == 0
    return RunDir(Path("outputs/r"))


def test_both_models_write_the_list_and_greedy_stays_as_it_is(evaluated: RunDir) -> None:
    count = len(evaluated.fitting("test"))
    for which in ("base", "tuned"):
        rows = evaluated.predictions(which)
        assert {row["hypothesis"] for row in rows} == {HEARD}
        found = evaluated.words.written_terms(which)
        assert found is not None
        assert found.chosen.bonus == 2.0  # three clips choose nothing
        assert [one.bonus for one in found.chosen.tried] == [None, 0.5, 1.0, 2.0, 3.0]
        assert found.texts == {row["id"]: WITH for row in rows}
        assert len(rows) == count
    assert evaluated.words.key_terms.read_text() == Path("terms.txt").read_text()


def test_metrics_have_the_tuning_and_apart_from_it_the_writing(evaluated: RunDir) -> None:
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    found, rare = evaluated.metrics().key_terms, evaluated.metrics().rare_words
    assert found is not None
    clips = len(evaluated.fitting("test"))
    assert found.tuning.counts == Sides(TermCounts(clips), TermCounts(clips))
    for side in (found.writing.before, found.writing.after):
        assert side.counts == Sides(TermCounts(clips), TermCounts(clips, clips, clips))
        assert side.other_rate.difference == 0
    assert found.tuning.terms == 2
    assert rare is not None
    assert (rare.never.words, rare.never.said) == (4, 4 * clips)  # no other speaker said them
    assert rare.never.written == Sides(3 * clips, 3 * clips)


def test_another_list_in_the_runs_folder_is_not_counted_by_old_transcripts(
    evaluated: RunDir, capsys
) -> None:
    evaluated.words.key_terms.write_text("north\n")
    assert main(["artifact", "outputs/r"]) == 0
    assert main(["verdict", "outputs/r"]) == 2
    told = capsys.readouterr().err
    assert "is not the list that was measured; again: moontune evaluate outputs/r" in told


def test_a_language_without_spaces_counts_alone(evaluated: RunDir, monkeypatch) -> None:
    with speaking(language_named("ja")):
        assert "Japanese has no spaces" in writing._not_written([KeyTerm("x")])
    assert "weight 0" in writing._not_written([KeyTerm("x", (), 0.0)])


def with_list(run: RunDir, terms: str, bonus: float) -> None:
    """Give a run that was evaluated without a list one, which changes nothing but its first test
    clip: there, it writes the first term."""
    Path("list.txt").write_text(terms)
    run.save_config(run.words.keep(replace(run.config(), terms=TermsConfig(Path("list.txt")))))
    first = run.fitting("test")[0].id
    for which in ("base", "tuned"):
        chosen = ChosenBonus(bonus, "so it is", 3)
        found = WrittenTerms(chosen, {first: terms.split()[0]}, file_sha256(run.words.key_terms))
        write_json(run.words.written_terms_file(which), found.to_json())


@pytest.fixture
def folds(finished_crossval, tmp_path, monkeypatch) -> list[RunDir]:
    """The folds of a cross-validation that has a list; the run itself comes last."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    run = RunDir(Path("outputs/cv"))
    runs = [RunDir(run / f"fold-{n}") for n in (1, 2, 3)]
    for number, fold in enumerate(runs):
        with_list(fold, "bay\nharbour\n", float(number))
    run.save_config(run.words.keep(replace(run.config(), terms=TermsConfig(Path("list.txt")))))
    return [*runs, run]


def test_a_cross_validation_pools_the_folds_each_by_its_own_bonus(folds, capsys) -> None:
    *parts, run = folds
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    out = capsys.readouterr().out
    row = run.read("crossval.json")
    found = KeyTermResults.from_json(row["key_terms"])
    assert found is not None
    said = sum("bay" in u.text.split() for fold in parts for u in fold.fitting("test"))
    assert found.tuning.counts.after == TermCounts(said)
    written = found.writing.after.counts.after
    firsts = sum("bay" in fold.fitting("test")[0].text.split() for fold in parts)
    assert (written.said, written.found, written.written) == (said, firsts, 3)
    assert row["rare_words"]["never"]["said"] > 0
    assert (
        "bonus of each fold, by its own validation clips: 0, 1, 2"
        in (run / "report.md").read_text()
    )
    assert '<section id="terms"' in (run / "report.html").read_text()
    assert f"{said} key terms said, of a list of 2" in out
    public = Path("outputs/training_report.md").read_text().partition("cv, cross-validation")[2]
    assert "### Key terms" in public
    assert "harbour" not in public


def test_an_adapter_on_all_clips_tells_what_the_folds_did_with_the_list(folds, capsys) -> None:
    run = folds[-1]
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    pooled = run.read("crossval.json")["key_terms"]
    capsys.readouterr()
    assert main(["final", "outputs/cv", "--anyway"]) == 1
    [said] = [line for line in capsys.readouterr().out.splitlines() if "of a list of 2" in line]
    final = run.path / "final"
    assert json.loads((final / "final.json").read_text())["expected"]["key_terms"] == pooled
    for place in (final / "report.md", Path("outputs/training_report.md")):
        section = place.read_text().partition("an adapter trained on all clips")[2]
        assert "### Key terms" in section
        assert said in section
        assert "harbour" not in section
    page = (final / "report.html").read_text()
    assert '<a href="#terms">Key terms</a>' in page
    assert re.search(r"<t[dh][^>]*>bay</t[dh]>", page)  # term by term, as it is one's own


def test_a_sweep_tells_what_its_winner_does_with_the_list(folds, capsys) -> None:
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    terms = KeyTermResults.from_json(folds[-1].read("crossval.json")["key_terms"])
    trials = [Trial(0, {"lr": 1e-4}, "finished", 3.0, 6, 6, {6: 3.0})]
    tested = {
        "trial-0": swept.TestedTrial("As it was.", "wer", (0.2, 0.2), (1.0, 1.0), accepted=False)
    }
    found = swept.SweepResult("s", trials, 0, {"lr": "1e-4"}, tested, [], None, terms)
    capsys.readouterr()
    ConsoleUi().sweep(found, ("own settings", "trial-0"))
    assert "key terms said, of a list of 2" in capsys.readouterr().out
    assert KeyTermResults.from_json(found.to_json()["key_terms"]) == terms


def test_a_fold_with_another_list_is_not_pooled(folds, capsys) -> None:
    folds[1].words.key_terms.write_text("bay\n")
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    told = capsys.readouterr().err
    assert "fold-2: has another list of key terms than the cross-validation; redo it" in told


def test_an_adapter_on_all_clips_takes_over_the_lower_median_of_the_bonuses(folds) -> None:
    *parts, run = folds
    writing.take_over_bonus(run, parts)
    found = run.words.written_terms("tuned")
    assert found is not None
    assert found.chosen.says == "bonus 1: as the lower median of the folds (0, 1, 2)"
    for fold in parts[:2]:
        file = fold.words.written_terms_file("tuned")
        write_json(file, fold.read(file.name) | {"chosen": ChosenBonus(None, "no").to_json()})
    writing.take_over_bonus(run, parts)
    found = run.words.written_terms("tuned")
    assert found is not None
    assert found.chosen.says == "not written: as most of the folds (none, none, 2)"


@pytest.mark.parametrize("lost", [1, 3])
def test_no_adapter_on_all_clips_is_trained_where_a_fold_has_no_bonus(folds, capsys, lost) -> None:
    *parts, run = folds
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    for fold in parts[-lost:]:
        fold.words.written_terms_file("tuned").unlink()
    first = parts[-lost].path
    told = f"{first}/key_terms_tuned.json: is missing; again: moontune evaluate {first} --overwrite"
    capsys.readouterr()
    assert main(["final", "outputs/cv", "--anyway"]) == 2
    assert told in capsys.readouterr().err
    assert not (run / "final").exists()
    with pytest.raises(UserError, match=told):
        writing.take_over_bonus(run, parts)
    assert not run.words.written_terms_file("tuned").is_file()


def test_a_fork_of_a_run_has_its_list(folds) -> None:
    """As a trial of a sweep is one."""
    fold = folds[0]
    fork = fork_run(fold, Path("outputs/fork"), fold.config(), ["sample", "clean", "split"])
    assert fork.words.key_terms.read_text() == fold.words.key_terms.read_text()
    assert fork.config().terms.key_terms == Path("outputs/fork/key_terms.txt").absolute()
