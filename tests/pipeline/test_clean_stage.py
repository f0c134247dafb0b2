"""What the stage that cleans tells of transcripts."""

from __future__ import annotations

import json
from pathlib import Path

from builders import SENTENCES, noise

from moontune.cli.dispatch import main
from moontune.data.audio import write_flac


def test_what_was_taken_for_speakers_labels_is_shown(
    tmp_path: Path, tiny_model, capsys, monkeypatch
) -> None:
    """A doctor's `Diagnosis:` is dictated: who sees it keeps it by --keep-annotations."""
    rows = []
    for i, sentence in enumerate(SENTENCES):
        write_flac(tmp_path / f"{i}.flac", noise(i, 1.5))
        label = "Diagnosis: " if i < 4 else "Plan: " if i < 7 else ""
        rows.append({"audio_filepath": f"{i}.flac", "text": f"{label}{sentence}"})
    (tmp_path / "my.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    given = ["--manifest", "my.jsonl", "--model-id", str(tiny_model), "--general", "off"]
    assert main(["sample", *given, "--run-name", "r"]) == 0
    capsys.readouterr()
    assert main(["clean", "outputs/r"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert 'speaker labels in 7, as "Diagnosis:", as "Plan:" (--keep-annotations)' in said
