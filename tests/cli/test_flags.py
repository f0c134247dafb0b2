"""Words of the command line as values, and what is said of words that are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from moontune.cli.arguments import parse
from moontune.cli.dispatch import main
from moontune.cli.run_args import CrossvalArgs, NewRunArgs
from moontune.config.flag_marks import OneEach, Positional
from moontune.config.schema import DataConfig, RunConfig, TrainConfig
from moontune.errors import UserError
from moontune.export.command import ExportArgs
from moontune.transcribe.command import TranscribeArgs


@dataclass(frozen=True)
class Inner:
    rate: float | None = None
    kinds: tuple[Literal["a", "b"], ...] = ()


@dataclass(frozen=True)
class Outer:
    place: Positional[Path]
    pair: Positional[tuple[int, int]]
    form: OneEach[tuple[str, ...]] = ()
    open_page: bool = True
    count: int | Literal["all"] = 5
    inner: Inner = field(default_factory=Inner)


def outer(*words: str) -> Outer:
    return parse(Outer, words, prog="tool")


def test_words_become_the_values_of_their_types() -> None:
    assert outer("here", "1", "2") == Outer(Path("here"), (1, 2))
    words = ["--kinds", "a", "b", "--rate", "-1e-3", "x", "--form", "f", "3", "--form=g", "4"]
    done = outer(*words, "--no-open-page", "--count", "all")
    assert done == Outer(Path("x"), (3, 4), ("f", "g"), False, "all", Inner(-1e-3, ("a", "b")))
    assert outer("--count=7", "--", "-odd", "1", "2") == Outer(Path("-odd"), (1, 2), count=7)


def test_underscores_are_as_good_as_dashes_and_a_value_may_begin_with_one() -> None:
    args = parse(NewRunArgs, ["--run_name=-x", "--max-steps", "9"], prog="tool")
    assert (args.settings.output.run_name, args.settings.train.max_steps) == ("-x", 9)


def test_a_flag_may_be_called_as_its_section() -> None:
    settings = parse(NewRunArgs, ["--device", "cpu", "--general", "off"], prog="t").settings
    assert (settings.device.device, settings.general.general) == ("cpu", "off")


def test_a_default_instance_stays_where_nothing_is_given() -> None:
    usual = NewRunArgs(settings=RunConfig(train=TrainConfig(lr=2e-4, max_steps=7)))
    train = parse(NewRunArgs, ["--max-steps", "8"], prog="t", default=usual).settings.train
    assert (train.lr, train.max_steps) == (2e-4, 8)
    assert parse(NewRunArgs, ["--lr", "None"], prog="t", default=usual).settings.train.lr is None


def test_a_flag_that_takes_several_may_be_given_several_times() -> None:
    args = parse(NewRunArgs, ["--manifest", "a", "b", "--lr", "1e-4", "--manifest", "c"], prog="t")
    assert args.settings.data == DataConfig(manifest=(Path("a"), Path("b"), Path("c")))
    files = ["--format", "srt", "a.mp3", "--format", "vtt", "b.mp3"]
    heard = parse(TranscribeArgs, files, prog="t")
    assert (heard.format, heard.files) == (("srt", "vtt"), ("a.mp3", "b.mp3"))


def test_a_list_that_has_a_default_may_be_emptied() -> None:
    assert parse(ExportArgs, ["run", "--spare"], prog="t").spare == ()
    assert parse(CrossvalArgs, ["--folds", "speaker"], prog="t").folds == "speaker"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--lr", "abc"], "--lr abc: expected a number "),
        (["--utterances", "2.5"], "--utterances 2.5: expected a whole number "),
        (["--device", "gpu"], "--device gpu: did you mean cuda? It is one of auto, cuda, mps, cpu"),
        (["--device", "CPU"], "--device CPU: did you mean cpu?"),
        (["--source", "tape"], "expected one of librispeech, manifest, synthetic, silence "),
        (["--lora-targets", "q_proj", "vproj"], "--lora-targets vproj: did you mean v_proj?"),
        (["--manifst", "a.jsonl"], "unknown flag --manifst; did you mean --manifest? "),
        (["--max-updates", "5"], "unknown flag --max-updates; did you mean --max-steps? "),
        (["--epochs", "3"], "did you mean --max-steps? (it counts updates)"),
        (["--learning_rate=1e-4"], "unknown flag --learning_rate; did you mean --lr?"),
        (["--no-keep-suspect"], "did you mean --keep-suspects?"),
        (["-x"], "unknown flag -x "),
        (["--lr", "1e-4", "--lr", "2e-4"], "--lr: given twice, as 1e-4 and 2e-4; give it once"),
        (["--resume", "--no-resume"], "--resume and --no-resume: given twice"),
        (["--resume=yes"], "--resume takes no value"),
        (["--resume", "true"], "--resume takes no value"),
        (["--lr"], "--lr needs a value: --lr NUMBER"),
        (["--manifest", "--lr", "1"], "--manifest needs a value: --manifest FILE..."),
        (["my.jsonl"], "unexpected 'my.jsonl'; did you mean --manifest my.jsonl?"),
        (["extra"], "unexpected 'extra'; take it out"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_nearest(capsys, words, says) -> None:
    assert main(["run", *words]) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("moontune: ")
    assert says in err
    assert err.endswith("(flags: moontune run --help)")
    assert "\n" not in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["push", "outputs/a"], "ORG/NAME is missing"),
        (
            ["evaluate", "outputs/a", "--decoding", "consensus"],
            "give it to another stage: moontune baseline RUN --decoding",
        ),
        (["transcribe", "a.wav", "--token-margin", "3"], "a setting of a new run, as in"),
        (["train", "outputs/a", "--manifest", "a.jsonl"], "a setting of a new run, as in moontune"),
        (["compare", "a"], "RUN RUN: 2 are needed, and 1 is given"),
        (["export"], "RUN is missing: a run's folder, outputs/NAME (usage: moontune export RUN"),
        (["crossval", "--folds", "x"], "--folds x: expected a whole number or speaker"),
        (["sweep", "--tune", "rank=1,2"], "did you mean lora_r?"),
        (["transcribe", ""], "FILE: its value is empty; give one, or leave it out"),
        (["serve", " "], "MODEL: its value is empty"),
        (["run", "--run-name", ""], "--run-name: its value is empty"),
        (["run", "--manifest", "a.jsonl", ""], "--manifest: its value is empty"),
    ],
)
def test_other_verbs_say_it_alike(capsys, words, says) -> None:
    assert main(words) == 2
    assert says in capsys.readouterr().err


def test_secrets_are_refused_before_anything_is_said_of_them(capsys) -> None:
    token = "hf_" + "a" * 34
    with pytest.raises(UserError) as stop:
        parse(NewRunArgs, ["--lr", token], prog="t")
    assert token not in str(stop.value)
