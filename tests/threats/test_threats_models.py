"""Models and runs of others: no code of theirs is run, nothing of ours is taken along."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from moontune.errors import UserError
from moontune.export.push import _not_ours
from moontune.models.base_model import load_base, load_processor


@pytest.mark.parametrize("file", ["processor_config.json", "tokenizer_config.json"])
def test_code_in_a_folder_is_not_offered_to_be_run(
    file: str, tiny_model: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / file).read_text())
    evil = "evil.Evil"
    config |= {"auto_map": {"AutoProcessor": evil, "AutoTokenizer": [evil, evil]}}
    config |= {"processor_class": "Evil", "tokenizer_class": "Evil"}
    (folder / file).write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(UserError, match="custom code"):
        load_processor(folder)
    assert not (tmp_path / "ran").exists()
    assert "[y/N]" not in capsys.readouterr().out


def test_a_config_picks_no_kernel(tiny_model: Path, tmp_path: Path) -> None:
    for key in ("attn_implementation", "_attn_implementation"):
        folder = tmp_path / key
        shutil.copytree(tiny_model, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {key: "evil/kernel"}))
        assert load_base(str(folder), None, "cpu").net.config._attn_implementation == "sdpa"


def test_a_runs_files_follow_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; os.umask(int(sys.argv[1], 8))\n"
        "from moontune.system.files import new_folder, write_text\n"
        "with new_folder(Path(sys.argv[2])) as folder: write_text(folder / 'a', 'x')\n"
    )
    for mask, folder, file in (("077", 0o700, 0o600), ("027", 0o750, 0o640), ("22", 0o755, 0o644)):
        path = tmp_path / mask
        subprocess.run([sys.executable, "-c", code, mask, str(path)], check=True)
        assert [stat.S_IMODE(os.stat(p).st_mode) for p in (path, path / "a")] == [folder, file]


def test_links_and_strangers_are_not_pushed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    run = tmp_path / "lora_adapter"
    (run / "folder").mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors", "tokens.env", "voice.flac"):
        (run / name).write_text("x")
    (run / "tokenizer.json").symlink_to(tmp_path / "secret")
    shutil.copytree(run, tmp_path / "push", ignore=_not_ours)
    left = {p.name for p in (tmp_path / "push").iterdir()}
    assert left == {"adapter_config.json", "adapter_model.safetensors"}
