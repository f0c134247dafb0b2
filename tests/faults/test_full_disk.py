"""Room is looked for before anything is spent; a full disk loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from builders import flags
from imports import clips
from run_outcome import left

from moontune.cli.dispatch import main
from moontune.config.schema import DeviceConfig, RunConfig
from moontune.errors import UserError
from moontune.pipeline import preflight as room
from moontune.system.files import write_text


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def refused(capsys, *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_disk_without_room_is_told_before_anything_is_spent(
    small_disk, tiny_model, noise_manifest, capsys
) -> None:
    asked = flags(tiny_model, noise_manifest, output_dir=small_disk / "outputs")
    said = refused(capsys, "run", *asked)
    assert "4 MB are free" in said
    assert "--output-dir" in said
    assert not list(small_disk.iterdir())


def test_a_folder_that_cannot_be_written_to_is_told(
    tmp_path, tiny_model, noise_manifest, capsys
) -> None:
    (tmp_path / "file").write_text("")
    asked = flags(tiny_model, noise_manifest, output_dir=tmp_path / "file/outputs")
    assert "is no folder" in refused(capsys, "run", *asked)
    asked = flags(tiny_model, noise_manifest, output_dir="/proc/outputs")
    assert "cannot be written to" in refused(capsys, "run", *asked)


def test_memory_that_will_not_do_is_told(monkeypatch, capsys, tiny_model, noise_manifest) -> None:
    import psutil

    free = SimpleNamespace(available=300_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    said = refused(capsys, "run", *flags(tiny_model, noise_manifest))
    assert "300 MB of memory are free and about 1,30" in said
    free.available = 1_000_000_000
    [said] = room.check_memory(tiny_model, RunConfig())
    assert said.startswith(
        "1,000 MB of memory are free, and a run on this base may take about 1,30"
    )


def test_a_larger_base_needs_more_memory(tmp_path, monkeypatch) -> None:
    """By its weights, whatever files they lie in."""
    import psutil
    from safetensors.numpy import save_file

    free = SimpleNamespace(available=2_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    on_cpu = RunConfig(device=DeviceConfig(device="cpu"))
    parts = {f"part-{i}.safetensors": np.zeros((1000, 30_000), np.float16) for i in (1, 2)}
    for file, weights in parts.items():
        save_file({file: weights}, tmp_path / file)
    assert not room.check_memory(tmp_path, on_cpu)  # without the index they are no model
    index = {"weight_map": {file: file for file in parts}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    [said] = room.check_memory(tmp_path, on_cpu)
    assert "a run on this base may take about 2,320" in said  # 1,300 MB and 17 bytes a weight
    free.available = 1_000_000_000
    with pytest.raises(UserError, match="about 2,320 are needed with this base"):
        room.check_memory(tmp_path, on_cpu)


def test_a_disk_that_fills_up_loses_nothing_and_the_run_goes_on_from_there(
    small_disk, tmp_path, tiny_model, noise_manifest, monkeypatch, capsys
) -> None:
    from moontune.training import checkpoint

    monkeypatch.setattr(room, "RUN_BYTES", 0)
    monkeypatch.setattr(room, "_REST_BYTES", 0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    monkeypatch.chdir(tmp_path)
    asked = flags(tiny_model, noise_manifest, report_file="report.md", max_steps=8, lora_r=8)
    whole = tmp_path / "whole"
    assert main(["run", *asked, "--output-dir", str(whole / "outputs")]) in (0, 1)
    filler = small_disk / "filler"

    def fill_up(event: dict, updates: int, first=[True]) -> None:  # noqa: B006
        if event.get("step") == 3 and first.pop():
            first.append(False)
            filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 20_000))

    from moontune.cli.console import ConsoleUi

    monkeypatch.setattr(ConsoleUi, "training", lambda self, e, n: fill_up(e, n))
    capsys.readouterr()
    asked += ["--output-dir", str(small_disk / "outputs")]
    said = refused(capsys, "run", *asked)
    assert "No space left on device" in said
    assert "--resume" in said
    filler.unlink()
    assert main(["run", *asked, "--resume"]) in (0, 1)
    assert "going on after update" in capsys.readouterr().out
    for name, found in left(whole).items():
        assert left(small_disk)[name] == found, name


def test_which_disk_is_full_is_told(small_disk, tmp_path, monkeypatch, capsys) -> None:
    """Of an import and of transcripts too: the work's, the home's or that of the results."""
    clips(tmp_path / "in", "a.wav", "b.wav")
    for name in "ab":
        (tmp_path / f"in/{name}.txt").write_text("The red boat sails home.")
    (small_disk / "filler").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096))
    said = refused(capsys, "import", tmp_path / "in", "--output", small_disk / "data")
    assert "No space left on device" in said
    assert f"{small_disk}/" in said
    with pytest.raises(OSError, match="No space left") as error:
        write_text(small_disk / "talk.srt", "1\n" * 9_000)
    assert error.value.filename == str(small_disk / "talk.srt")
