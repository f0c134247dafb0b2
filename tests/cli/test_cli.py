"""Messages and exit codes, as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moontune.cli.dispatch import main
from moontune.pipeline.stages import STAGE_NAMES


def mistake(capsys, *argv: str) -> str:
    """Run, expect exit code 2 and exactly one line on stderr; returns the line."""
    assert main(list(argv)) == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert err.startswith("moontune: ")
    return err


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_names_every_verb(capsys) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in ("run", *STAGE_NAMES):
        assert f"\n  {verb} " in shown


@pytest.mark.parametrize("verb", [*STAGE_NAMES, "run"])
def test_every_verb_has_help(verb, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"moontune {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["rum"], "did you mean run?"),
        (["run", "--lrr", "4"], "--lr"),
        (["run", "--lr", "fast"], "--lr"),
        (["run", "--lr", "1"], "lr = 1.0 is outside 1e-07..0.01"),
        (["run", "--max-steps", "0"], "max_steps = 0"),
        (["run", "--source", "tape"], "--source"),
        (
            ["run", "--config", "none.toml"],
            "none.toml: cannot be read (No such file or directory); give",
        ),
        (["run", "--preset", "magic"], "known are offline"),
        (["run", "--source", "manifest"], "--manifest FILE.jsonl"),
        (["run", "--manifest", "none.jsonl"], "no such manifest"),
        (["run", "--run-name", "../up"], "cannot name a folder"),
        (["run", "--resume"], "--run-name NAME"),
        (["run", "--revision", "v1", "--model-id", "bundled", "--source", "silence"], "drop it"),
        (["run", "--source", "librispeech", "--manifest", "m.jsonl"], "exclude each other"),
        (["run", "--resume", "--run-name", "gone"], "there is no such folder; if it was moved"),
        (["run", "--resume", "--overwrite", "--run-name", "x"], "exclude each other"),
        (["run", "--smoke"], "not for --source librispeech"),
        (["train"], "usage: moontune train RUN"),
        (["train", "nowhere"], "is not a run of moontune"),
    ],
)
def test_mistakes_have_one_line_and_exit_code_2(capsys, argv, message) -> None:
    assert message in mistake(capsys, *argv)


def test_a_wrong_model_is_found_before_anything_is_lost(capsys, noise_manifest) -> None:
    err = mistake(
        capsys, "run", "--manifest", str(noise_manifest), "--model-id", "./none", "--run-name", "r"
    )
    assert "--model-id ./none: no such folder" in err
    assert "bundled" in err
    assert not Path("outputs").exists()


def test_a_mistyped_folder_is_not_sought_on_the_hub(capsys, noise_manifest) -> None:
    Path("models").mkdir()
    err = mistake(capsys, "run", "--manifest", str(noise_manifest), "--model-id", "models/nix")
    assert "--model-id models/nix: no such folder" in err


def test_config_file_is_under_flags_and_over_defaults(noise_manifest) -> None:
    Path("c.yaml").write_text("lr: 4e-4\nmax_steps: 600\nrun_name: a\n")
    given = ["sample", "--manifest", str(noise_manifest), "--config", "c.yaml"]
    assert main([*given, "--max-steps", "700"]) == 0
    saved = Path("outputs/a/config.toml").read_text()
    assert "lr = 0.0004" in saved
    assert "max_steps = 700" in saved
    assert "grad_accum = 8" in saved


def test_remarks_on_values_outside_the_plan(capsys, noise_manifest) -> None:
    argv = ["sample", "--manifest", str(noise_manifest), "--run-name", "r", "--grad-accum", "4"]
    assert main(argv) == 0
    assert (
        "remark: grad_accum = 4 is outside 8..16, what moontune is meant for"
        in capsys.readouterr().out
    )


def test_one_voice_needs_no_flag_and_may_not_be_held_out(capsys, noise_manifest) -> None:
    rows = [json.loads(line) for line in noise_manifest.read_text().splitlines()]
    for row in rows:
        row["speaker"] = "only one"
        row["audio_filepath"] = str(noise_manifest.parent / row["audio_filepath"])
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    begun = ["sample", "--manifest", "m.jsonl", "--run-name", "r"]
    assert main(begun) == 0
    for verb in ("clean", "split"):
        assert main([verb, "outputs/r"]) == 0
    assert "split by recording: the figures are for this one voice" in capsys.readouterr().out
    split = json.loads(Path("outputs/r/split.json").read_text())
    assert (split["split_by"], split["voices"]) == ("utterance", 1)
    assert split["leakage"]["counts"]["sentence"] == 0
    err = mistake(capsys, *begun, "--split-by", "speaker", "--overwrite")
    assert "3 speakers are needed" in err
    assert "--split-by utterance" in err


def test_unreachable_hub_says_so_at_once_and_names_the_offline_choices(noise_manifest) -> None:
    """A closed port on this machine stands in for the hub."""
    env = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(Path("hf").resolve()),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "*",
    }
    run = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "moontune",
                "run",
                "--manifest",
                str(noise_manifest),
            ),
            *("--run-name", "r"),
        ],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "moontune: UsefulSensors/moonshine-tiny: not on this machine, and the hub "
    )
    assert last.count("the hub ") == 1
    assert "--model-id bundled" in last
    assert "Traceback" not in run.stderr
    assert not Path("outputs").exists()


def test_installed_command_answers() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "moontune", "--version"], capture_output=True, text=True
    )
    assert run.stdout.startswith("moontune 0.")


def test_a_working_folder_that_is_gone_is_said(tmp_path) -> None:
    code = (
        "import os, sys; from moontune.cli import main; os.mkdir('gone'); os.chdir('gone'); "
        "os.rmdir('../gone'); sys.exit(main(['score', 'x.jsonl']))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert found.returncode == 2
    assert found.stderr.decode().startswith("moontune: the folder that this was started in is gone")


def test_ctrl_c_while_the_program_loads_is_no_traceback(monkeypatch, capsys) -> None:
    import moontune.cli

    class Interrupted:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "moontune.cli.dispatch":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "moontune.cli.dispatch")
    monkeypatch.delattr(moontune.cli, "dispatch")
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    assert moontune.cli.main(["--help"]) == 130
    assert capsys.readouterr().err == "moontune: interrupted\n"


def scored(**kwargs) -> subprocess.CompletedProcess:
    """`moontune score` of a clip whose speaker is not written in ASCII, in a shell of its own."""
    row = {"reference": "one", "hypothesis": "one", "speaker": "Zo\u00eb", "id": "1"}
    Path("p.jsonl").write_text(json.dumps(row))
    command = f'"{sys.executable}" -m moontune score p.jsonl {kwargs.pop("closing", "")}'
    return subprocess.run(["sh", "-c", command], capture_output=True, check=False, **kwargs)


_IN_ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("said", [{"PYTHONIOENCODING": "ascii"}, _IN_ASCII])
def test_a_terminal_without_the_letters_that_are_said_gets_escapes(said: dict[str, str]) -> None:
    run = scored(env=os.environ | said)
    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"Zo\xeb" in run.stdout


@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_shell_closed_end_nothing(closing: str) -> None:
    run = scored(closing=closing)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
