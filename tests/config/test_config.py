from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import pytest

from moontune.cli.dispatch import main
from moontune.config.loading import read_settings, to_dict, to_toml, with_settings
from moontune.config.presets import PRESETS
from moontune.config.recommended import unset
from moontune.config.schema import RunConfig
from moontune.config.validation import in_effect, remarks, resolve
from moontune.errors import UserError
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.stages import STAGE_NAMES
from moontune.report.provenance import setting_facts


def settings(**values) -> RunConfig:
    return with_settings(RunConfig(), values, "test")


def test_defaults_leave_to_the_data_what_depends_on_it() -> None:
    c = resolve(RunConfig())
    assert c.model.model_id == "UsefulSensors/moonshine-tiny"
    assert (c.data.source, c.data.dataset) == ("librispeech", "openslr/librispeech_asr")
    assert (c.data.utterances, c.split.val_share, c.split.test_share) == (300, 0.1, 0.1)
    assert unset(c) == ["max_steps", "lr"]
    assert remarks(c) == []


def test_off_is_a_word_in_yaml_too(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("general: off\n")
    read = read_settings(tmp_path / "c.yaml")
    assert with_settings(RunConfig(), read, "c.yaml").general.general == "off"


@pytest.mark.parametrize("suffix", ["toml", "yaml"])
@pytest.mark.parametrize("sectioned", [True, False])
def test_files_flat_or_sectioned_toml_or_yaml(tmp_path: Path, suffix: str, sectioned: bool) -> None:
    text = {
        ("toml", False): 'lr = 3e-4\nlora_targets = ["q_proj"]\nmanifest = "m.jsonl"\n',
        ("toml", True): "[train]\nlr = 3e-4\n"
        '[lora]\nlora_targets = ["q_proj"]\n[data]\nmanifest = "m.jsonl"\n',
        # YAML 1.1 reads 3e-4 as text; it must still be a number
        ("yaml", False): "lr: 3e-4\nlora_targets: [q_proj]\nmanifest: m.jsonl\n",
        ("yaml", True): "train: {lr: 3e-4}\nlora: {lora_targets: q_proj}\n"
        "data: {manifest: m.jsonl}\n",
    }[suffix, sectioned]
    file = tmp_path / f"c.{suffix}"
    file.write_text(text)
    c = resolve(with_settings(RunConfig(), read_settings(file), str(file)))
    assert c.train.lr == 3e-4
    assert c.lora.lora_targets == ("q_proj",)
    assert (c.data.manifest, c.data.source) == ((Path("m.jsonl"),), "manifest")


def test_saved_config_reads_back_the_same(tmp_path: Path) -> None:
    c = resolve(settings(manifest="a b/m.jsonl", lr=2e-4, lora_targets=["fc1", "fc2"], seed=7))
    (tmp_path / "config.toml").write_text(to_toml(c))
    back = with_settings(RunConfig(), read_settings(tmp_path / "config.toml"), "saved")
    assert back == c


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("lr", 1.0, "does not train"),
        ("lr", float("nan"), "does not train"),
        ("lora_r", 0, "rank"),
        ("lora_dropout", 1.0, "probability"),
        ("max_steps", 0, "optimizer update"),
        ("val_share", 0.6, "larger part"),
        ("min_duration_s", 0.01, "895 samples"),
    ],
)
def test_outside_a_sane_range_is_refused_with_the_reason(name, value, why) -> None:
    with pytest.raises(UserError, match=rf"{name} = .*{why}"):
        resolve(settings(**{name: value}))


def test_outside_the_plans_range_is_only_remarked_on() -> None:
    c = resolve(settings(utterances=30, grad_accum=4))
    assert sorted(r.split(" = ")[0] for r in remarks(c)) == ["grad_accum", "utterances"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 1e-4}, "unknown setting 'learning_rate'"),
        ({"max_step": 9}, "did you mean max_steps"),
        ({"lr": "fast"}, "lr = 'fast'"),
        ({"max_steps": 1.5}, "whole number"),
        ({"source": "youtube"}, "expected one of librispeech"),
        ({"smoke": "yes"}, "true or false"),
        ({"source": "synthetic", "manifest": "m.jsonl"}, "exclude each other"),
        ({"source": "librispeech", "manifest": "m.jsonl"}, "exclude each other"),
        ({"val_share": 0.4, "test_share": 0.4}, "less than 0.4 for training"),
        ({1: 2}, "unknown setting 1"),
        ({"source": "manifest"}, "--manifest FILE"),
        ({"smoke": True}, "not for --source librispeech"),
        ({"min_duration_s": 5, "max_duration_s": 4}, "not below"),
        ({"lora_targets": []}, "empty"),
    ],
)
def test_mistakes_have_one_clear_line(values, message) -> None:
    with pytest.raises(UserError) as caught:
        resolve(with_settings(RunConfig(), values, "test"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", "lr = "), ("a.yaml", "a: [1"), ("a.json", "{}"), ("a.toml", "[nope]\nx = 1")],
)
def test_broken_files_are_a_users_mistake(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name):
        read_settings(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        read_settings(tmp_path / "missing.toml")


def test_presets_are_valid() -> None:
    for name, values in PRESETS.items():
        resolve(with_settings(RunConfig(), values, name))


def test_setting_names_are_unique_so_that_files_may_be_flat() -> None:
    names = [n for section in to_dict(RunConfig()).values() for n in section]
    assert len(names) == len(set(names))
    fields = [
        f.name
        for s in dataclasses.fields(RunConfig())
        for f in dataclasses.fields(getattr(RunConfig(), s.name))
    ]
    assert len(fields) == len(set(fields))


def test_the_scale_stays_when_only_the_rank_is_given() -> None:
    for rank in (4, RunConfig().lora.lora_r):
        assert settings(lora_r=rank).lora.alpha == 2 * rank
        assert ["lora_alpha", f"{2 * rank}"] in setting_facts(settings(lora_r=rank)).rows
    assert settings(lora_r=4, lora_alpha=16).lora.alpha == 16


def test_the_plans_preset_is_the_plan_to_the_letter() -> None:
    config = resolve(with_settings(RunConfig(), PRESETS["plan"], "preset plan"))
    assert unset(config) == []
    t, lora, split = config.train, config.lora, config.split
    assert (t.batch_size, t.grad_accum, t.max_steps, t.lr) == (1, 8, 500, 3e-4)
    assert (lora.lora_r, lora.lora_alpha, lora.lora_dropout) == (8, 16, 0.05)
    assert (split.val_share, split.test_share) == (0.1, 0.1)
    assert (t.ema_decay, t.wise_ft) == (0.0, 1.0)
    assert config.general.replay_share == 0.0


def test_the_defaults_are_the_same_when_saved_and_read_again(tmp_path) -> None:
    """To the type: a training is gone on with only where its settings are the same."""
    config = resolve(RunConfig())
    (tmp_path / "c.toml").write_text(to_toml(config))
    again = with_settings(RunConfig(), read_settings(tmp_path / "c.toml"), "c.toml")
    assert repr(again) == repr(config)


def test_what_follows_from_other_settings_is_there_to_show_once_it_is_known() -> None:
    shown = in_effect(settings(max_steps=118))
    assert (shown.lora.lora_alpha, shown.train.warmup_steps) == (64, 11)
    assert shown.train.eval_every_steps == 11
    assert in_effect(settings()).train.warmup_steps is None  # before the updates are picked
    given = settings(max_steps=118, warmup_steps=0, eval_every_steps=5, lora_alpha=7)
    assert in_effect(given) == given


@pytest.mark.parametrize(
    ("name", "value"),
    [("keep_best_by", "wer"), ("keep_best_by", "both"), ("keep_best_by", "lss"),
     ("lora_variant", "dora"), ("lora_variant", "pissa"), ("augment", ["speed", "mask"])],
)  # fmt: skip
def test_what_is_no_more_is_refused_and_never_ignored(name: str, value: str | list[str]) -> None:
    told = re.escape(f"test: {name} = {value!r} is no more: ")
    with pytest.raises(UserError, match=f"{told}.*take it out"):
        settings(**{name: value})


def test_a_file_that_asks_for_what_is_done_anyway_is_read() -> None:
    assert settings(keep_best_by="loss", augment=["none"], lora_r=4).lora.lora_r == 4
    assert settings(augment=[]) == settings()


def test_a_run_of_older_settings_opens_and_is_not_trained_again(tmp_path: Path) -> None:
    run = create_run(RunConfig(), tmp_path, "r", ["run"])
    text = (tmp_path / "config.toml").read_text().replace('"lora"', '"dora"')
    (tmp_path / "config.toml").write_text(text.replace("[train]", '[train]\nkeep_best_by = "wer"'))
    older = run.config()
    assert (older.model.language, older.eval.tokens_per_second) == ("en", 6.5)
    assert replace(older, model=RunConfig().model, eval=RunConfig().eval) == RunConfig()
    with pytest.raises(UserError, match="keep_best_by = 'wer' is no more"):
        run.refuse_retired()
    (tmp_path / "config.toml").write_text(text.replace('"dora"', '"lora"'))
    run.refuse_retired()


def test_no_verb_trains_what_an_older_run_asked_for_otherwise(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    """Nor does one drop the setting from the run's file, so that another would."""
    monkeypatch.chdir(tmp_path)
    run = create_run(RunConfig(), tmp_path / "outputs/r", "r", ["run"])
    text = (run / "config.toml").read_text().replace('"lora"', '"dora"')
    (run / "config.toml").write_text(text)
    for stage in STAGE_NAMES[: STAGE_NAMES.index("train")]:
        run.finish_stage(stage, {})
    monkeypatch.setattr("moontune.pipeline.new_run.check_room", lambda *a, **b: [])
    for words in (["train", "outputs/r"], ["run", "--resume", "--run-name", "r"]):
        assert main(words) == 2
        assert "lora_variant = 'dora' is no more" in capsys.readouterr().err
        assert run.retired_settings() == {"lora_variant": "dora"}


@pytest.mark.parametrize(
    "words", [["--lora-variant", "pissa"], ["--keep-best-by", "wer"], ["--augment", "speed"]]
)
def test_a_flag_that_is_no_more_says_why(words: list[str], capsys) -> None:
    assert main(["run", *words]) == 2
    assert "is no more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("s.toml", "lr = 1e-4\n[train]\nlr = 2e-4\n", "lr is set twice"),
        ("s.yaml", "train:\n  lr: 1e-4\ntrain:\n  lora_r: 4\n", "s.yaml:3: .*train stands twice"),
        ("s.toml", f"lr = {'9' * 400}\n", "lr = 9+.*too large"),
        ("s.yaml", "lr: " + "[" * 3000, "nested too deep"),
        ("s.toml", 'manifest = "a\\u0000b"\n', "no path has such a character"),
        ("s.toml", 'max_steps = "many"\n', "max_steps = 'many': expected a whole number"),
    ],
)
def test_a_file_that_says_two_things_or_nonsense_is_one_line(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=says) as refusal:
        with_settings(RunConfig(), read_settings(tmp_path / name), name)
    assert "\n" not in str(refusal.value)


def test_a_flag_given_twice_is_refused(capsys) -> None:
    assert main(["run", "--preset", "plan", "--preset", "offline"]) == 2
    assert "--preset: given twice, as plan and offline" in capsys.readouterr().err


def test_a_path_in_a_file_may_begin_at_home_and_is_never_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    file = tmp_path / "c.toml"
    file.write_text('manifest = ["~/a.jsonl", "~no.such.user/b.jsonl"]\noutput_dir = "~/runs"\n')
    config = with_settings(RunConfig(), read_settings(file), "c")
    assert config.data.manifest == (tmp_path / "a.jsonl", Path("~no.such.user/b.jsonl"))
    assert config.output.output_dir == tmp_path / "runs"
    for text in ('output_dir = ""', 'manifest = [""]'):
        file.write_text(text)
        with pytest.raises(UserError, match="expected a path, and it is empty"):
            with_settings(RunConfig(), read_settings(file), "c")
