from __future__ import annotations

import html
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sample_page

from moontune.cli.dispatch import main
from moontune.evaluation.acceptance import (
    ArtifactEvidence,
    Evidence,
    ModelFigures,
    Verdict,
    judge,
)
from moontune.evaluation.comparison import compare
from moontune.evaluation.measures import (
    Comparison,
    Habits,
    Interval,
    Measure,
    SameSpeakers,
    StyleRetention,
)
from moontune.evaluation.phrasing import plainly, typography


def figures(loss: float, wer: float | None) -> ModelFigures:
    return ModelFigures(loss, wer)


SAME = ArtifactEvidence(identical_tokens=True, clips_identical=5, clips_compared=5)


def comparison(base, tuned, words=0.8, sure=None, habits=(0.9, 0.9), collapsed=None) -> Comparison:
    """A real comparison with these figures: `words` is the share of the loss's change in words."""
    loss = tuned.loss - base.loss
    interval: Any = {"difference_interval": Interval(-0.1, 0.1), "outcome": sure}
    change = tuned.rate - base.rate if base.rate is not None else 0.0
    relative = change / base.rate if base.rate else None
    measures = {
        "wer": Measure(base.rate, tuned.rate, change, relative, **interval),
        "loss": Measure(difference=loss, **interval | {"outcome": "better"}),
        "loss_words": Measure(difference=words * loss, **interval),
        "loss_typography": Measure(difference=(1 - words) * loss, **interval),
    }
    rows = [sample_page.row(f"c{i}", "Some words.", "Some words.") for i in range(50)]
    sentences = {"wer": "WER says this.", "loss": "Loss says that."}
    return replace(
        compare(rows, rows, seed=1),
        collapsed=collapsed,
        measures=measures,
        style=StyleRetention(Habits(0.9, habits[0]), Habits(0.9, habits[1]), 100, 1.0, 1.0),
        sentences=sentences | {"typography": typography(measures)},
    )


def verdict(base, tuned, smoke=False, found=None, **changes: Any) -> Verdict:
    evidence = Evidence(
        base=base,
        tuned=tuned,
        comparison=found or comparison(base, tuned),
        general=None,
        meaning="",
        shared_recordings=0,
        artifact=SAME,
    )
    return judge(replace(evidence, **changes), smoke)


@pytest.mark.parametrize(
    ("base", "tuned", "accepted"),
    [
        (figures(1.0, 0.30), figures(0.89, 0.30), True),  # loss alone
        (figures(1.0, 0.30), figures(1.0, 0.28), True),  # WER alone, 6.7 %
        (figures(1.0, 0.30), figures(0.95, 0.29), False),  # neither enough
        (figures(2.24, 0.262), figures(1.515, 0.565), False),  # the ALL-CAPS run
        (figures(1.0, 0.30), figures(0.8, 0.31), True),  # a little worse, loss much better
        (figures(1.0, 0.30), figures(0.8, 0.32), False),  # clearly worse
        (figures(1.0, 0.0), figures(0.8, 0.1), False),  # a base without errors got worse
        (figures(1.0, None), figures(0.8, None), True),
        (figures(1.0, 20 / 60), figures(1.0, 19 / 60), True),  # 5 % to the letter, not to a float
        (figures(0.7, 0.3), figures(0.6, 0.3), True),  # 0.1 likewise
    ],
)
def test_gain_and_loss_rules(base, tuned, accepted) -> None:
    v = verdict(base, tuned)
    assert v.accepted == accepted
    assert v.rule.startswith(f"By the plan's rule: {'' if accepted else 'not '}accepted")
    assert "words alone" in v.rule
    assert "; needs -0.1, half of it in words)" in v.rule


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"skipped_updates": 1}, "stable training"),
        ({"aborted": "aborted: x"}, "stable training"),
        ({"unsteady": ["gradients exploded"]}, "stable training"),
        ({"mps_fallbacks": {"aten::foo": 2}}, "no MPS fallback"),
        ({"missing_artifacts": ["processor"]}, "artifacts complete"),
        ({"artifact": ArtifactEvidence(False, 4, 5)}, "same words in a fresh process"),
        ({"discarded": "transcripts loop"}, "best update kept"),
    ],
)
def test_anything_missing_or_unclean_is_not_accepted(change, name) -> None:
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.1), **change)
    assert not v.accepted
    [failed] = [c for c in v.checks if not c.passed]
    assert failed.name == name
    assert v.state == "not accepted"
    assert f"{failed.says}: " in v.rule


def test_recordings_that_training_saw_are_not_held_out() -> None:
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.1), shared_recordings=2)
    assert [c.name for c in v.checks if not c.passed] == ["test clips unseen"]


def test_a_loss_that_fell_by_typography_alone_is_no_gain() -> None:
    """The run on ALL-CAPS labels: much loss gone, nothing heard better."""
    pair = (figures(2.24, 0.262), figures(1.515, 0.26))
    v = verdict(*pair, found=comparison(*pair, words=0.1))
    assert [c.name for c in v.checks if not c.passed] == ["improved"]
    assert "-0.0725 is words" in v.findings[0]
    assert "most of it is typography" in v.findings[0]
    assert "typography" not in verdict(*pair).findings[0]


def test_surely_worse_is_not_accepted_however_little_worse() -> None:
    pair = (figures(1.0, 0.30), figures(0.8, 0.31))
    assert verdict(*pair).accepted
    assert not verdict(*pair, found=comparison(*pair, sure="worse")).accepted


def test_a_wer_that_says_nothing_is_not_said_to_be_chance() -> None:
    unmeasured = verdict(figures(1.0, None), figures(0.8, None))
    assert unmeasured.state == "undecided"
    assert unmeasured.sentence.startswith("Undecided. There were no words to count")
    assert "chance" not in unmeasured.sentence + unmeasured.rule
    details = {c.name: c.detail for c in verdict(figures(1.0, 0.0), figures(0.8, 0.0)).checks}
    assert "no error in the base's words to mend" in details["improved"]
    assert "not measured" not in details["improved"]
    worse = {c.name: c.detail for c in verdict(figures(1.0, 0.3), figures(0.8, 0.36)).checks}
    assert "WER 20.0 % higher, relative (needs 5 % lower)" in worse["improved"]


def judged(before, after, outcome, needed=None, **changes: Any) -> Verdict:
    """The verdict on clips of which some changed, whose WER has this outcome."""
    found = comparison(before, after, sure=outcome)
    wer = replace(
        found.error_rate,
        difference=(after.rate or 0) - (before.rate or 0),
        utterances_needed=needed,
    )
    measures = found.measures | {"wer": wer}
    found = replace(found, measures=measures, clips=replace(found.clips, fixed=9, broken=3))
    return verdict(before, after, found=found, **changes)


@pytest.mark.parametrize(
    ("tuned", "outcome", "state", "accepted"),
    [
        (figures(0.5, 0.20), "better", "better", True),
        (figures(0.5, 0.20), "undecided", "undecided", True),
        (figures(0.99, 0.295), "undecided", "undecided", False),  # too little, and not sure
        (figures(0.99, 0.33), "undecided", "undecided", False),  # clearly worse, and not sure
        (figures(0.5, 0.33), "worse", "worse", False),
        (figures(0.99, 0.295), "better", "not accepted", False),  # sure, and too little
    ],
)
def test_the_state_follows_the_interval_and_the_rule_the_plan(
    tuned, outcome, state, accepted
) -> None:
    v = judged(figures(1.0, 0.30), tuned, outcome)
    assert (v.state, v.accepted) == (state, accepted)
    assert v.sentence.startswith(v.badge)
    assert ("By the plan's rule: accepted" in v.rule) == accepted
    chance = "cannot be told from chance on 50 clips" in v.rule
    assert chance == (accepted and outcome == "undecided")


def test_nothing_says_worse_where_the_interval_says_undecided() -> None:
    """Where it is worse for these speakers alone, the rule and the caution say just that."""
    before, after = figures(1.0, 0.3), figures(0.5, 0.33)
    for_these = SameSpeakers(Interval(0.01, 0.05), "worse")
    found = comparison(before, after, sure="undecided")
    wer = replace(found.error_rate, same_speakers=for_these, difference=0.03)
    found = replace(found, measures=found.measures | {"wer": wer}, speakers=6)
    found = replace(found, clips=replace(found.clips, broken=4))
    v = verdict(before, after, found=found, general=found)
    assert (v.state, v.accepted) == ("undecided", False)
    assert "interval for these speakers" in v.rule
    [caution] = v.cautions
    assert "for 6 speakers of general speech it is worse, for others not surely" in caution
    assert "forgot" not in caution


def test_a_failed_check_is_never_only_undecided() -> None:
    v = judged(figures(1.0, 0.3), figures(0.5, 0.1), "undecided", skipped_updates=1)
    assert v.state == "not accepted"


def test_a_run_that_kept_the_base_gained_nothing() -> None:
    pair = figures(1.0, 0.3), figures(1.0, 0.3)
    v = verdict(*pair, found=comparison(*pair, sure="undecided"))
    assert (v.state, v.accepted) == ("not accepted", False)


@pytest.mark.parametrize(
    ("wers", "outcome", "needed", "says"),
    [
        (
            (0.30, 0.21),
            "undecided",
            1300,
            "Of 100 words it got 70 right before and 79 now; with 50 clips that may be chance; "
            "about 1,300 would tell.",
        ),
        (
            (0.21, 0.30),
            "undecided",
            130,
            "Of 100 words it got 79 right before and 70 now; with 50 clips that may be chance; "
            "about 130 would tell.",
        ),
        (
            (0.30, 0.31),
            "undecided",
            130,
            "Of 100 words it got 70 right before and 69 now; with 50 clips that may be chance; "
            "about 130 would show a gain of 5 %.",
        ),
        (
            (0.052, 0.049),
            "better",
            None,
            "Of 100 words it got 94.8 right before and 95.1 now; with 50 clips that is hardly "
            "chance.",
        ),
        (
            (0.3, 0.3),
            "undecided",
            None,
            "Of 100 words it got 70 right before and as many now; with 50 clips that may be "
            "chance.",
        ),
        (
            (1.08, 0.95),
            "undecided",
            None,
            "In 100 words it made 108 errors before and 95 now; with 50 clips that may be chance.",
        ),
    ],
)
def test_the_first_line_is_plain(wers, outcome, needed, says) -> None:
    before, after = (figures(1.0, wer) for wer in wers)
    assert says in judged(before, after, outcome, needed).sentence


def test_more_clips_are_to_be_of_more_speakers_where_these_were_resampled() -> None:
    found = comparison(figures(1.0, 0.3), figures(1.0, 0.21), sure="undecided")
    wer = replace(found.error_rate, difference=-0.09, utterances_needed=130)
    found = replace(found, measures=found.measures | {"wer": wer}, speakers=6)
    found = replace(found, clips=replace(found.clips, fixed=4))
    for unit, units, who in (("speaker", 6, "6 speakers"), ("session", 9, "9 sessions")):
        note = replace(found.bootstrap, unit=unit, units=units)
        said = plainly(replace(found, bootstrap=note))
        assert f"with 50 clips of {who} that may be chance" in said
        assert f"about 130, of more {unit}s in proportion, would tell" in said


def test_verdicts_of_before_there_were_states_are_read() -> None:
    row = judged(figures(1.0, 0.3), figures(0.5, 0.1), "better").row()
    assert Verdict.from_json(json.loads(json.dumps(row))).row() == row
    for name in ("state", "rule"):
        del row[name]
    assert Verdict.from_json(row | {"sure": True}).state == "better"
    assert Verdict.from_json(row | {"sure": False}).state == "undecided"
    assert Verdict.from_json(row | {"accepted": False}).state == "not accepted"


def test_forgetting_lost_habits_and_mixed_speakers_are_cautioned_of() -> None:
    pair = (figures(1.0, 0.3), figures(0.5, 0.1))
    assert verdict(*pair).cautions == []
    assert verdict(*pair, general=comparison(*pair)).cautions == []
    [forgot] = verdict(*pair, general=comparison(*pair, sure="worse")).cautions
    assert "forgot general speech: WER on 50 clips" in forgot
    [unpunctuated] = verdict(*pair, found=comparison(*pair, habits=(0.9, 0.4))).cautions
    assert "40 % of the tuned model's transcripts end in punctuation, 90 %" in unpunctuated
    [mixed] = verdict(*pair, meaning="the figures are for this one voice").cautions
    assert "for this one voice" in mixed


def test_what_its_card_calls_undecided_is_not_called_forgotten() -> None:
    """Also where the loss of words on general speech is surely worse."""
    pair = (figures(1.0, 0.3), figures(0.5, 0.1))
    general = comparison(*pair, sure="undecided")
    words = Measure(0.15, 0.17, 0.02, difference_interval=Interval(0.01, 0.03), outcome="worse")
    less_sure = replace(general, measures=general.measures | {"loss_words": words})
    [told] = verdict(*pair, general=less_sure).cautions
    assert "forgot" not in told
    assert (
        "less sure of the words, though its WER cannot be told apart: loss of words on 50" in told
    )
    unread = less_sure.measures | {"wer": Measure()}
    [told] = verdict(*pair, general=replace(less_sure, measures=unread)).cautions
    assert "forgot general speech: loss of words" in told


def test_labels_as_written_say_what_they_cost_in_words() -> None:
    """Where most of what was learnt is typography."""
    before, after = figures(2.0, 0.2), figures(1.0, 0.19)
    found = comparison(before, after, words=0.1)
    words = Measure(0.5, 0.4, -0.1)
    found = replace(found, measures=found.measures | {"loss_words": words})
    told = verdict(before, after, found=found, as_written=True).cautions
    assert any("the loss of words goes 0.5000 -> 0.4000" in text for text in told)
    assert not verdict(before, after, found=found).cautions
    mostly = found.measures | {"loss_words": Measure(1.5, 0.6, -0.9)}
    kept = replace(found, measures=mostly)
    assert not verdict(before, after, found=kept, as_written=True).cautions


def test_a_collapsed_model_is_not_accepted_whatever_its_loss() -> None:
    pair = (figures(1.0, 0.3), figures(0.5, 0.2))
    v = verdict(*pair, found=comparison(*pair, collapsed="of 50 transcripts 30 are empty"))
    assert [c.name for c in v.checks if not c.passed] == ["transcripts are speech"]
    assert "transcripts are not speech: of 50 transcripts 30 are empty; though improved" in v.rule


def test_a_model_that_collapsed_on_general_speech_is_cautioned_of() -> None:
    pair = (figures(1.0, 0.3), figures(0.5, 0.2))
    v = verdict(*pair, general=comparison(*pair, collapsed="of 50 transcripts 30 are empty"))
    assert v.accepted
    [told] = v.cautions
    assert "general speech, of 50 transcripts 30 are empty; try --replay-share" in told


@pytest.mark.parametrize("loss", [math.nan, math.inf])
@pytest.mark.parametrize("broken", ["base", "tuned"])
def test_a_loss_that_is_no_number_is_not_accepted_for_a_better_wer(loss, broken) -> None:
    base = figures(loss if broken == "base" else 1.0, 0.3)
    tuned = figures(loss if broken == "tuned" else 0.9, 0.1)
    v = verdict(base, tuned, found=comparison(figures(1.0, 0.3), figures(0.9, 0.1)))
    assert not v.accepted
    assert f"the {broken}{'' if broken == 'base' else ' model'}'s loss is not finite" in v.rule


def test_why_a_run_is_not_accepted_is_told_once_and_reads_true() -> None:
    v = verdict(figures(1.0, 0.3), figures(1.0, 0.3), missing_artifacts=["processor"])
    assert v.sentence.startswith("Not accepted. ")
    assert "needs" not in v.sentence
    gained = "not improved: loss 1.000 -> 1.000 (+0.000, words alone +0.000; needs -0.1"
    assert v.rule.count(gained) == 1
    assert v.rule.endswith("; artifacts missing: processor.")
    smoke = verdict(figures(1.0, 0.3), figures(1.0, 0.3), smoke=True, missing_artifacts=["it"])
    assert smoke.rule == "Not accepted as a smoke run; artifacts missing: it."
    failed = [check.says for check in v.checks if not check.passed]
    assert failed == ["not improved", "artifacts missing"]


def test_smoke_looks_at_artifacts_alone() -> None:
    worse = (figures(1.0, 0.3), figures(2.0, 0.9))
    assert verdict(*worse, smoke=True).accepted
    assert "smoke" in verdict(*worse, smoke=True).sentence
    assert verdict(*worse, smoke=True).state == "smoke"
    assert not verdict(*worse, smoke=True, missing_artifacts=["processor"]).accepted


def spoil(run: Path, file: str, change) -> None:
    """Change every row of a JSONL file of a run."""
    rows = [json.loads(line) for line in (run / file).read_text().splitlines()]
    (run / file).write_text("".join(json.dumps(change(row)) + "\n" for row in rows))


def exploded(run: Path) -> None:
    spoil(run, "train_log.jsonl", lambda e: e | ({"grad_norm": 4e5} if "loss" in e else {}))


def risen(run: Path) -> None:
    spoil(run, "train_log.jsonl", lambda e: e | ({"val_loss": 40.0} if e["step"] == 4 else {}))


def unending(run: Path) -> None:
    change = {"hypothesis": "the the the", "truncated": True}
    spoil(run, "predictions_tuned.jsonl", lambda row: row | change)


def no_number(run: Path) -> None:
    change = {"loss": math.nan, "loss_words": math.nan}
    spoil(run, "predictions_tuned.jsonl", lambda row: row | change)
    path = run / "eval_tuned.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (exploded, "gradients exploded in 4 updates (norm 4e+05 at update 1)"),
        (risen, "to 40.00 (update 4)"),
        (unending, "3 loop or never end; of the base's 0 and 0"),
        (no_number, "the tuned model's loss is not finite"),
    ],
)
def test_numbers_that_went_wrong_are_in_the_runs_report(
    finished_run, tmp_path, monkeypatch, capsys, wrong, told
) -> None:
    shutil.copytree(finished_run[0], tmp_path / "user")
    monkeypatch.chdir(tmp_path / "user")
    run = Path("outputs/r")
    for which in ("base", "tuned"):
        change = {"hypothesis": "a b", "truncated": False}
        spoil(run, f"predictions_{which}.jsonl", lambda row, change=change: row | change)
    wrong(run)
    assert main(["verdict", str(run)]) == 1
    assert main(["report", str(run)]) == 1
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in (run / "report.md").read_text()
    assert told in html.unescape((run / "report.html").read_text())
