"""A run that takes a list of key terms: checked before any work, copied, and gone on with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moontune.cli import new_run
from moontune.cli.dispatch import main
from moontune.pipeline.run_dir import RunDir

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
    assert RunDir(Path("outputs/r")).key_terms.read_text() == LIST


def test_the_helps_of_all_verbs_that_begin_a_run_tell_of_it(capsys) -> None:
    for verb in ("run", "crossval", "sweep", "evaluate"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "--key-terms FILE" in capsys.readouterr().out
