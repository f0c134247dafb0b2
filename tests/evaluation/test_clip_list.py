from __future__ import annotations

import json
from pathlib import Path

import pytest

from moontune.cli import build_manifest, run_stt
from moontune.data.manifest import read_manifest


def transcribe(model: Path, audio_list: Path, output: Path, *more: str) -> int:
    given = ["--model-id", str(model), "--audio-list", str(audio_list), "--output", str(output)]
    return run_stt.main([*given, "--device", "cpu", *more])


def test_manifest_gives_references_and_wer(tmp_path, tiny_model, noise_manifest) -> None:
    out = tmp_path / "deep/result.json"
    assert transcribe(tiny_model, noise_manifest, out) == 0
    result = json.loads(out.read_text())
    assert len(result["clips"]) == 24
    assert result["wer"] is not None
    assert result["adapter_dir"] is None
    assert result["clips"][0]["reference"] == "The red boat sails home 2 times."
    assert "EnglishTextNormalizer" in result["normalizer"]
    assert (result["tokens_per_second"], result["token_margin"]) == (6.5, 8)


def test_the_token_cap_is_obeyed_and_checked(tmp_path, tiny_model, noise_manifest, capsys) -> None:
    out = tmp_path / "o.json"
    cap = ["--tokens-per-second", "1", "--token-margin", "3"]
    assert transcribe(tiny_model, noise_manifest, out, *cap) == 0
    result = json.loads(out.read_text())
    assert result["token_margin"] == 3
    for clip in result["clips"]:
        assert len(clip["tokens"]) <= int(clip["duration"]) + 3
    assert any(len(clip["tokens"]) == int(clip["duration"]) + 3 for clip in result["clips"])
    assert transcribe(tiny_model, noise_manifest, out, "--token-margin", "65") == 2
    assert "0..64" in capsys.readouterr().err


def test_plain_list_of_paths_has_neither(tmp_path, tiny_model, noise_manifest) -> None:
    audio = [u.audio_filepath for u in read_manifest(noise_manifest)[0][:2]]
    (tmp_path / "rel.flac").write_bytes(audio[1].read_bytes())
    (tmp_path / "list.txt").write_text(f"{audio[0]}\n\n# a remark\nrel.flac\n")
    assert transcribe(tiny_model, tmp_path / "list.txt", tmp_path / "o.json") == 0
    result = json.loads((tmp_path / "o.json").read_text())
    assert result["wer"] is None
    assert len(result["clips"]) == 2
    assert "reference" not in result["clips"][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [("missing.flac\n", "no such file"), ("", "names no audio file")],
)
def test_bad_lists(tmp_path, tiny_model, capsys, content, message) -> None:
    (tmp_path / "l.txt").write_text(content)
    assert transcribe(tiny_model, tmp_path / "l.txt", tmp_path / "o.json") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.json").exists()


def test_bad_adapter_and_processor_folders(tmp_path, tiny_model, noise_manifest, capsys) -> None:
    for flag, message in (("--adapter-dir", "adapter_config"), ("--processor-dir", "processor")):
        out = tmp_path / "o.json"
        assert transcribe(tiny_model, noise_manifest, out, flag, str(tmp_path)) == 2
        assert message in capsys.readouterr().err


def test_build_manifest_samples_into_one_folder(tmp_path, noise_manifest) -> None:
    out = tmp_path / "data/heldout.jsonl"
    given = ["--source", "manifest", "--manifest", str(noise_manifest), "--output", str(out)]
    assert build_manifest.main([*given, "--samples", "4", "--seed", "3"]) == 0
    rows, _ = read_manifest(out)
    assert len(rows) == 4
    assert all(u.audio_filepath.is_file() for u in rows)
    first = out.read_text()
    assert build_manifest.main([*given, "--samples", "4", "--seed", "3"]) == 0
    assert out.read_text() == first
    assert build_manifest.main([*given, "--samples", "0"]) == 2
