"""The threat model, docs/threats.md: that each line has its test; code, tokens, temporary files."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from builders import HUB_TOKEN, flags
from hostile import TOKEN

from moontune.cli.dispatch import main
from moontune.config.loading import read_settings
from moontune.data.audio import seekable_copy
from moontune.errors import UserError
from moontune.system import cache as paths
from moontune.system import files
from moontune.system.redaction import redacted

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for d in ("src", "scripts", "benchmarks") for p in (ROOT / d).rglob("*.py"))


def test_each_line_of_the_threat_model_has_its_test() -> None:
    rows = re.findall(r"^\| (?!threat|---)(.*) \|$", (ROOT / "docs/threats.md").read_text(), re.M)
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.split(" | ")[-1])
        assert named, row
        for file, test in named:
            (path,) = (ROOT / "tests").rglob(file)
            assert f"\ndef {test}(" in path.read_text(), test


MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
    *("jsonpickle", "telnetlib", "ftplib", "xmlrpc", "pty", "code"),
}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp"),
    *("os.spawnv", "os.spawnvp", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "tempfile.mktemp"),
    *("asyncio.create_subprocess_shell", "np.loads", "pd.read_pickle", "shutil.unpack_archive"),
    *("ssl._create_unverified_context", "torch.hub.load"),
}
ALLOWING = {  # keyword arguments that switch a guard off
    "shell": True,
    "trust_remote_code": True,
    "allow_pickle": True,
    "verify": False,
    "weights_only": False,
    "autoescape": False,
}


def dangers(code: str) -> list[str]:
    """What in a module loads code from data, starts a shell or switches a guard off."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [name for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            found += _of_call(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] * node.value.startswith(("/tmp", "/var/tmp", "/dev/shm"))
    return found


def _of_call(node: ast.Call) -> list[str]:
    name = ast.unparse(node.func)
    given = {k.arg: k.value for k in node.keywords}
    found = [name] * (name in CALLS or name.endswith((".extractall", ".extract")))
    found += [
        f"{name}({key}={value})"
        for key, value in ALLOWING.items()
        if isinstance(v := given.get(key), ast.Constant) and v.value is value
    ]
    found += [name] * (name == "torch.load" and "weights_only" not in given)
    if name.startswith("subprocess.") and node.args:  # a string would be one program, or a shell's
        found += [name] * isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    return found


def test_no_code_is_loaded_from_data_and_no_shell_started() -> None:
    assert len(SOURCES) > 90
    found = {p.relative_to(ROOT).as_posix(): dangers(p.read_text()) for p in SOURCES}
    assert {path: what for path, what in found.items() if what} == {}
    pages = list((ROOT / "src/moontune").rglob("templates/*"))
    assert len(pages) > 12
    for page in pages:
        text = page.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape|innerHTML|outerHTML|insertAdjacent", text)
        assert not re.search(r"document\.write|\beval\b|new Function|srcdoc", text)


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from pickle import loads", "import a, joblib", "eval(x)", "exec(x)"),
        *("torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)"),
        *("A.from_pretrained(x, trust_remote_code=True)", "subprocess.run(x, shell=True)"),
        *("subprocess.run('ls -l')", "subprocess.Popen(f'ls {x}')", "os.system(x)"),
        *("yaml.load(f)", "httpx.get(u, verify=False)", "tar.extractall(d)", "open('/tmp/x', 'w')"),
        *("Environment(autoescape=False)", "tempfile.mktemp()"),
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    assert dangers(code)


def test_tokens_on_the_command_line_or_in_settings_are_refused(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(f'model_id = "{TOKEN}"\n')
    Path("s.yaml").write_text(f"lr: {TOKEN}\n")
    Path("t.toml").write_text(f'model_id = "{HUB_TOKEN}"\n')
    monkeypatch.setenv("HF_TOKEN", HUB_TOKEN)
    for token in (TOKEN, HUB_TOKEN):
        for words in (
            ["run", "--manifest", "m.jsonl", "--run-name", token],
            ["run", "--manifest", "m.jsonl", f"--model-id=https://anna:{token}@hub.example/x"],
            ["run", "--manifest", "m.jsonl", "--token", token],
            ["run", "--config", "s.toml"],
            ["run", "--config", "s.yaml"],
            ["run", "--config", "t.toml"],
            ["run", "--preset", token],
            ["train", f"outputs/{token}"],
            ["transcribe", "a.wav", "--model", token],
            ["push", "r", f"anna/{token}"],
            [token],
        ):
            assert main(words) == 2
            said = capsys.readouterr()
            assert token not in said.out + said.err
            if words[0] in ("run", "transcribe", "push") and "--preset" not in words:
                assert "holds an access token" in said.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.toml", "s.yaml", "t.toml"]
    with pytest.raises(UserError, match="revoke"):
        read_settings(Path("s.toml"))


def test_a_token_of_the_environment_is_in_no_file_of_a_run(finished_run) -> None:
    """The fixture's run was made with HF_TOKEN set."""
    kept = [p for p in finished_run[0].rglob("*") if p.is_file()]
    assert len(kept) > 20
    assert not [p for p in kept if HUB_TOKEN.encode() in p.read_bytes()]
    assert finished_run[1] in (0, 1)


def test_words_like_tokens_are_not_taken_for_them(monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "x")
    for text in ("hf_model-a", "openslr/librispeech_asr", "x", "hf_" + "a" * 20, "a" * 64):
        assert redacted(text) == text
    assert redacted(f"({TOKEN})") == "([token])"


def test_temporary_files_are_private(tmp_path: Path, monkeypatch) -> None:
    modes: list[int] = []

    def mode(path: str | Path) -> int:
        return stat.S_IMODE(os.stat(path).st_mode)

    replace = os.replace

    def replaced(old: str, new: Path) -> None:
        modes.append(mode(old))
        replace(old, new)

    def build(folder: Path) -> None:
        modes.append(mode(folder.parent))

    monkeypatch.setattr(os, "chmod", lambda *_: None)  # what it was while it was written
    monkeypatch.setattr(os, "replace", replaced)
    before = os.umask(0)
    try:
        files.write_text(tmp_path / "a", "x")
        paths.build_once(tmp_path / "cache", build)
        with files.new_folder(tmp_path / "run") as folder:
            modes.append(mode(folder))
        with open(tmp_path / "a", "rb") as pipe, seekable_copy(pipe) as file:
            modes.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
            assert os.fstat(file.fileno()).st_nlink == 0
    finally:
        os.umask(before)
    assert modes == [0o600, 0o700, 0o700, 0o600]


def test_programs_are_started_with_words_and_nothing_to_read(
    finished_run, tmp_path, monkeypatch, capsys
) -> None:
    """The fresh process of the artifact test, as it is started."""
    started: list[tuple] = []

    def run(words, **options):
        started.append((words, options))
        return subprocess.CompletedProcess(words, 1, "", f"\x1b]52;c;x\x07 {TOKEN}")

    shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("moontune.pipeline.stages.artifact.subprocess.run", run)
    assert main(["artifact", "r", "--overwrite"]) == 2
    [(words, options)] = started
    assert isinstance(words, list)
    assert "-P" in words  # nothing is imported from the folder it is started in
    assert options["stdin"] == subprocess.DEVNULL
    assert not options.get("shell")
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert TOKEN not in said


def test_a_run_names_nothing_of_its_own_on_the_command_line(tmp_path: Path, monkeypatch) -> None:
    """Run names that are options, paths or hidden are no names."""
    monkeypatch.chdir(tmp_path)
    Path("m.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "a"}) + "\n")
    for name in (
        "-x",
        "--output-dir",
        "../up",
        "a/b",
        ".hidden",
        "a\nb",
        "a b",
        "ä",
        "",
        "x" * 101,
    ):
        words = flags(Path("no"), Path("m.jsonl"))
        words[words.index("--run-name") + 1] = name
        assert main(["run", *words]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]
