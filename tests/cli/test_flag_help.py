"""Help of every verb: in groups, within the terminal, one form for types and defaults."""

from __future__ import annotations

import re

import pytest

from moontune.cli.dispatch import main
from moontune.cli.flag_help import GROUPS
from moontune.cli.flags import flags_of
from moontune.cli.run_args import CrossvalArgs, NewRunArgs, SweepArgs
from moontune.pipeline.stages import STAGE_NAMES
from moontune.serve.command import ServeArgs
from moontune.transcribe.command import TranscribeArgs

BEGINNING = ["run", "sample", "crossval", "sweep"]
VERBS = [*BEGINNING, *STAGE_NAMES[1:], "final", "score", "compare", "export", "transcribe"]
VERBS += ["record", "review", "terms", "serve", "push", "doctor"]


@pytest.fixture
def shown(monkeypatch, capsys):
    """Help as a terminal of so many columns shows it."""

    def helped(*words: str, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as stop:
            main([*words])
        assert stop.value.code == 0
        return capsys.readouterr().out

    return helped


@pytest.mark.parametrize(("verb", "args"), [("transcribe", TranscribeArgs), ("serve", ServeArgs)])
def test_a_verb_whose_flags_are_no_settings_of_a_run_shows_all_of_them(verb, args, shown) -> None:
    text = shown(verb, "--help")
    flags = [flag for flag in flags_of(args) if not flag.positional]
    assert len(flags) > 12
    assert [flag.form for flag in flags if f"  {flag.form}" not in text] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_and_has_one_form(verb, shown) -> None:
    for words, columns in ((["--help"], 80), (["--help-all"], 60), (["-h"], 120)):
        text = shown(verb, *words, columns=columns)
        assert max(map(len, text.splitlines())) <= columns
        assert text.startswith(f"usage: moontune {verb}")
        assert len(re.findall("usage", text, re.IGNORECASE)) == 1
        assert not re.search(r"None|\[\w+ \[|\{|default: *\)|False|True", text)


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_and_positional_says_what_it_is(verb, shown) -> None:
    text = shown(verb, "--help-all")
    entries = re.split(r"\n  (?=\S)", re.sub(r"\n\n.*:\n|\n\n--no-.*", "\n", text))[1:]
    assert entries
    for entry in entries:
        words = entry.split()
        assert len(words) > 4, entry


@pytest.mark.parametrize("verb", BEGINNING)
def test_what_people_use_first_is_shown_and_the_rest_on_demand(verb, shown) -> None:
    short, full = shown(verb, "--help"), shown(verb, "--help-all")
    titles = re.findall(r"^(\w+):$", short, re.MULTILINE)
    assert titles == ["data", "model", "training", "measuring", "output"]
    assert titles == re.findall(r"^(\w+):$", full, re.MULTILINE)
    listed = [re.findall(r"^  (--\S+)", text, re.MULTILINE) for text in (short, full)]
    assert listed[0][0] == listed[1][0] == "--manifest"
    assert {"--lr", "--run-name", "--model-id", "--resume"} < {*listed[0]} < {*listed[1]}
    assert len(listed[0]) < 30
    assert "--ema-decay" in listed[1]
    assert "--ema-decay" not in short
    hidden = len(listed[1]) - len(listed[0])
    last = f"{hidden} more settings, for experts: moontune {verb} --help-all"
    assert short.splitlines()[-1] == last


@pytest.mark.parametrize("cls", [NewRunArgs, CrossvalArgs, SweepArgs])
def test_help_all_lists_every_flag_once(cls, shown) -> None:
    verb = {NewRunArgs: "run", CrossvalArgs: "crossval", SweepArgs: "sweep"}[cls]
    listed = re.findall(r"^  (--\S+)", shown(verb, "--help-all"), re.MULTILINE)
    assert sorted(listed) == sorted(flag.word for flag in flags_of(cls))
    first = [name for group in GROUPS for name in group.first]
    assert len(first) == len({*first})


def test_short_lists_are_shown_whole_and_long_ones_of_a_stage_are_not(shown) -> None:
    assert "--max-chars-per-s NUMBER" in shown("clean", "--help")
    train = shown("train", "--help")
    assert "--lora-alpha" not in train
    assert train.splitlines()[-1].endswith("moontune train --help-all")
    assert "RUN                   The run's folder, outputs/NAME." in train


def test_types_and_defaults_read_as_words(shown) -> None:
    text = shown("run", "--help-all")
    for form in ("--manifest FILE...", "--lr NUMBER", "--max-steps N", "--resume "):
        assert f"  {form}" in text
    assert "--device auto|cuda|mps|cpu\n" in text
    assert re.findall(r"--ema-decay NUMBER [^~]*? (0\.98)\.\n  --", text) == ["0.98"]
    assert "[no-]" not in text  # what is on by default alone has it
    assert "--[no-]open-page  Open the page in your browser. Default: on." in re.sub(
        " {3,}", "  ", shown("serve", "--help")
    )
    assert "--lr NUMBER           Peak learning rate. Default: picked for the data.\n" in text


def test_the_list_of_verbs_fits(capsys) -> None:
    assert main([]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_an_argument_that_may_be_left_out_stands_in_brackets(shown) -> None:
    assert shown("serve", "--help").startswith("usage: moontune serve [MODEL] [flags]")
    assert shown("train", "--help").startswith("usage: moontune train RUN [flags]")
