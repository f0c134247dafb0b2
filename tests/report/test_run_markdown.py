"""A run as Markdown and as a page, from values: no run's folder is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from html_reader import Reader
from sample_page import AFTER, BEFORE, VERDICT, results, write_clips

from moontune.config.schema import RunConfig
from moontune.data.recordings import KeptTogether
from moontune.evaluation.acceptance import State, Verdict
from moontune.evaluation.comparison import compare
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.html.contents import comparison_page, crossval_page, run_page
from moontune.report.provenance import setting_facts, shared_text
from moontune.report.results.compared import ComparedRun, RunComparison
from moontune.report.results.crossval import CrossvalResults, FoldFigures
from moontune.report.results.metrics import GeneralSpeech, NextStep
from moontune.report.results.run import LossHistory, RunResults, StepLoss, ValidationLoss
from moontune.report.run_markdown import render


def without_check(run: RunResults, remark: str | None) -> RunResults:
    general = GeneralSpeech(None, remark=remark)
    return replace(run, metrics=replace(run.metrics, general=general))


def test_a_section_holds_what_the_run_came_to() -> None:
    text = render(results())
    assert "By the plan's rule: accepted" in text
    assert text.startswith("## first-run\n\n**Undecided. Of 100 words")
    for part in (
        "| improved | yes | WER -40 % |",
        "5 test clips of 3 speakers, 25 words, 30 target tokens.",
        "at most int(seconds x 6.5) + 8 tokens",
        "| a1 | The red boat sails home. | The bed boat sales home. | The red boat sails home. |",
        "On 5 clips of general speech that it was not trained on:",
        "Checked for forgetting on: source elsewhere, rows 5.",
        "| train | 9 | 2 | 1.0 | 80.0 %, 80 wanted |",
        "Picked for the data: lr: 5 clips.",
        "8 clips heard backwards too, with nothing to write for 3",
        "`moontune run --preset offline`",
    ):
        assert part in text, part


def test_training_losses_stand_beside_the_validation_that_follows() -> None:
    steps = [StepLoss(1, 2.0, 1), StepLoss(2, 1.0, 3), StepLoss(3, None, 9), StepLoss(4, 0.5, 1)]
    validations = [ValidationLoss(0, 3.0), ValidationLoss(3, 2.5), ValidationLoss(4, None)]
    text = render(replace(results(best_step=3), losses=LossHistory(steps, validations)))
    assert "| 0 | - | 3.0000 |  |" in text
    assert "| 3 | 1.2500 | 2.5000 | kept |" in text  # by tokens, the step without a loss left out
    assert "| 4 | 0.5000 | - |  |" in text


@pytest.mark.parametrize(
    ("remark", "section", "page"),
    [
        ("No clips were found.", "No clips were found.", "No clips were found."),
        (None, "General speech was not looked at", "The settings asked for none."),
    ],
)
def test_a_missing_forgetting_check_is_explained(remark, section, page) -> None:
    run = without_check(results(), remark)
    assert section in render(run)
    assert page in Reader(run_page(run, 0)).words


@pytest.mark.parametrize(
    ("accepted", "smoke", "caution"),
    [
        (True, False, None),
        (True, True, "Accepted as a smoke run, on its artifacts alone."),
        (False, False, "Not accepted: unstable training: 2 updates skipped."),
    ],
)
def test_a_page_says_what_its_chip_alone_does_not(accepted, smoke, caution) -> None:
    run = results()
    checks = [*run.metrics.verdict.checks]
    if not accepted:
        checks.append(replace(checks[0], name="stable training", passed=False))
        checks[-1] = replace(checks[-1], detail="2 updates skipped")
    state: State = "smoke" if smoke else "better" if accepted else "not accepted"
    verdict = replace(VERDICT, accepted=accepted, smoke=smoke, state=state, checks=checks)
    if not accepted:  # as of runs from before the rule had a line, which says why
        assert caution not in Reader(run_page(judged(run, verdict), 0)).words
        verdict = replace(verdict, rule="")
    page = run_page(judged(run, verdict), 0)
    listed = "notes" if smoke else "cautions"  # red is for what to beware of
    for kind in ("notes", "cautions"):
        shown = caution is not None and kind == listed
        assert (f'<ul class="{kind}"' in page) == shown
    if caution:
        assert caution in Reader(page).words


def test_where_nobody_is_named_nobody_is_counted() -> None:
    run = results()
    before, after = ([row | {"speaker": None} for row in rows] for rows in (BEFORE, AFTER))
    metrics = replace(run.metrics, comparison=compare(before, after, 1))
    metrics = replace(metrics, data=replace(metrics.data, kept=KeptTogether(5)))
    nameless = replace(run, metrics=metrics, before=before, after=after)
    words = Reader(run_page(nameless, 0)).words
    assert "Does it hear new recordings better?" in words
    assert "By speaker" not in words
    assert "By length of the clip" in words
    assert "speakers with the largest gain" not in words
    text = render(nameless)
    assert "### By length" in text
    assert "| test | 5 | - | 0.2 |" in text
    assert "By speaker" in Reader(run_page(run, 0)).words


def judged(run: RunResults, verdict: Verdict) -> RunResults:
    return replace(run, metrics=replace(run.metrics, verdict=verdict, accepted=verdict.accepted))


def test_two_runs_show_the_settings_that_differ_and_every_command_once() -> None:
    run = results()
    config = replace(run.config, train=replace(run.config.train, lr=1e-3))

    def side(name: str, config) -> ComparedRun:
        training = run.metrics.training.figures
        return ComparedRun(name, config, training, run.commands, run.after, {})

    found = run.metrics.comparison
    steps = [NextStep("Use two", "moontune transcribe a.wav --model two")]
    pair = RunComparison(side("one", run.config), side("two", config), found, [], "", steps)
    page = Reader(comparison_page(pair, 0))
    assert "≈ Cannot be told apart Of 100 words one got 64 right and two 88; with 5" in page.words
    assert "Use two moontune transcribe a.wav --model two" in page.words
    for outcome, name in (("better", "two"), ("worse", "one")):
        wer = replace(found.error_rate, outcome=outcome)
        decided = replace(found, measures=found.measures | {"wer": wer})
        sure = replace(pair, comparison=decided)
        assert f'chip better"><span aria-hidden="true">✓</span> {name} is better<' in (
            comparison_page(sure, 0)
        )
        other = comparison_page(replace(sure, bases="They adapt two different bases."), 0)
        assert f"</span> {name} is better, on another base<" in other
        assert 'chip better"' not in other
        assert "two different bases." in Reader(other).words
    assert "Settings that differ" in page.words
    assert "lr not set 0.001" in page.words
    assert "kept update 20 20" in page.words
    assert page.words.count("moontune run --preset offline") == 1


def test_a_cross_validation_has_a_page_of_its_own() -> None:
    run = results()
    folds = [
        FoldFigures(
            f"fold-{n}", 1, 1, 4, "wer", (0.2, 0.1), (1.0, 0.9), None, 9, 3, 0, "max_steps", 1.0, {}
        )
        for n in range(1, 6)
    ]
    voices = CrossvalResults(
        "voices", folds, run.metrics.comparison, ["Caution: few."], run.before, run.after, {}
    )
    words = Reader(crossval_page(voices, [], 0)).words
    assert "cross-validation, 5 folds" in words
    assert "Caution: few." in words
    assert "other speech" not in words


def test_transcripts_that_look_wrong_are_listed_with_what_was_heard_and_their_audio(
    tmp_path: Path,
) -> None:
    found = [suspect("a1", "train", set_aside=True), suspect("c1", "test", set_aside=False)]
    run = replace(results(), suspects=found, audio=write_clips(tmp_path))
    text = render(run)
    assert "2 transcripts do not seem to be what is said" in text
    assert "1 was set aside" in text
    assert "1 is a test clip, which counts in every figure as it is" in text
    assert "| m.jsonl:7 | Text of a1. | Heard in a1. | Tuned in a1. | set aside |" in text
    assert "/home/me" not in text
    read = Reader(run_page(run, 12))
    assert "Heard in a1." in " ".join(read.text)
    assert "/home/me" not in " ".join(read.text)
    clips = [a for a in read.of("audio") if a["aria-label"] == "Recording a1"]
    assert len(clips) == 2  # among those that changed, and here
    assert "look wrong" not in run_page(results(), 12)
    assert "look wrong" not in render(results())


def suspect(name: str, split: str, *, set_aside: bool) -> Suspect:
    return Suspect(
        id=name,
        split=split,
        where="/home/me/m.jsonl:7",
        speaker="anna",
        text=f"Text of {name}.",
        base=f"Heard in {name}.",
        tuned=f"Tuned in {name}.",
        fit=0.1,
        threshold=0.8,
        judge="base",
        set_aside=set_aside,
    )


def test_settings_that_differ_stand_first_and_are_counted_as_far_as_they_are_shown() -> None:
    usual = RunConfig()
    train = replace(usual.train, lr=1e-3)
    config = replace(usual, train=train, output=replace(usual.output, run_name="mine"))
    whole = setting_facts(config)
    assert {row[0] for row in whole.rows[:2]} == {"lr", "run_name"}
    assert whole.note.startswith("The first 2 differ")
    some = setting_facts(config, shown={"lr", "seed"})
    assert [row[0] for row in some.rows] == ["lr", "seed"]
    assert (some.title, some.note) == ("Settings: lr", "The first differs from the defaults.")
    assert setting_facts(usual).note.startswith("All by default.")


def test_settings_that_change_nothing_in_a_run_are_not_listed() -> None:
    usual = RunConfig()
    spoken = replace(usual, data=replace(usual.data, source="synthetic"))
    replayed = replace(usual, general=replace(usual.general, replay_share=0.1))

    def names(config: RunConfig) -> set[str]:
        return {row[0] for row in setting_facts(config).rows}

    streamed = replace(usual, data=replace(usual.data, source="librispeech"))
    assert "dataset_split" in names(streamed)
    assert not {"dataset", "dataset_split", "rows_per_speaker", "manifest"} & names(spoken)
    assert "replay_utterances" in names(replayed) - names(usual)


def test_what_stands_in_two_splits_is_counted_as_far_as_there_is_any() -> None:
    assert shared_text({"speaker": 0, "audio": 0, "sentence": 0}) == "nothing"
    assert shared_text({"speaker": 1, "audio": 2, "sentence": 0}) == "1 speaker, 2 recordings"
