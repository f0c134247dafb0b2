"""The verb, and `--manifest SOURCE`: one command stays one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import SENTENCES, flags, noise
from imports import TEXTS, clips, run_import

import moontune
from moontune.cli.dispatch import main
from moontune.data.audio import write_flac
from moontune.data.manifest import read_manifest
from moontune.system.files import read_jsonl

MODEL = Path("bundled")  # what is done here loads none


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 clips with a text each, of four speakers."""
    place = tmp_path / "recordings"
    rows = ["Datei;Satz;speaker"]
    for i in range(24):
        write_flac(place / f"clips/{i:02}.flac", noise(i, 1.0 + i % 3 / 4))
        rows.append(f"clips\\{i:02}.flac;{SENTENCES[i % 8].capitalize()}.;{'abcd'[i % 4]}nna")
    (place / "list.csv").write_text("\n".join(rows), encoding="cp1252")
    return place


def test_the_verb_says_what_it_did_and_what_is_next(tmp_path, folder, capsys) -> None:
    (folder / "list.csv").write_text((folder / "list.csv").read_text() + "\ngone.wav;Lost.;x")
    assert main(["import", str(folder), "--output", str(tmp_path / "data")]) == 0
    said = capsys.readouterr().out
    assert f"{folder}: taken for table (CSV, TSV, XLSX)" in said
    assert 'audio: "Datei", text: "Satz", speaker: "speaker", cells divided by ;' in said
    assert f"written: {tmp_path / 'data'}, 24 clips, 30.0 s, of 4 named speakers" in said
    assert "left out: 1 row (no audio 1)" in said
    assert f"next: moontune run --manifest {tmp_path / 'data/manifest.jsonl'}" in said
    record = json.loads((tmp_path / "data/import.json").read_text())
    assert record["sources"][0]["source"] == str(folder)
    assert record["left_out"] == {"no audio": 1}
    first = json.loads((tmp_path / "data/manifest.jsonl").read_text().splitlines()[0])
    assert first["where"] == "list.csv:2"
    assert first["audio_filepath"] == "audio/clips/00.flac"
    np.testing.assert_array_equal(
        moontune.data.audio.read_audio(tmp_path / "data/audio/clips/00.flac"),
        moontune.data.audio.read_audio(folder / "clips/00.flac"),
    )


def test_places_may_be_named_from_here(tmp_path, folder, monkeypatch) -> None:
    """Also the data set may then be moved, with its audio or without it."""
    monkeypatch.chdir(tmp_path)
    for link in (False, True):
        output = Path(f"out{link}")
        words = ["import", "recordings", "--output", str(output), *(["--link"] if link else [])]
        assert main(words) == 0
        output.rename(f"moved{link}")
        rows, _ = read_manifest(Path(f"moved{link}/manifest.jsonl"))
        assert len(rows) == 24
        assert all(u.audio_filepath.is_file() for u in rows)
    clips(Path("talks"), "talk.wav")
    Path("talks/talk.txt").write_text("0.0\t0.4\tA label.\n")
    assert main(["import", "talks/talk.wav", "--output", "talk", "--link"]) == 0
    [row], _ = read_manifest(Path("talk/manifest.jsonl"))
    assert row.audio_filepath == tmp_path / "talks/talk.wav"


def test_several_sources_are_one_data_set(tmp_path: Path) -> None:
    for name, text in (("one", TEXTS[0]), ("two", TEXTS[1])):
        clips(tmp_path / name, "a.wav")
        (tmp_path / name / "a.txt").write_text(text)
    result = run_import(tmp_path / "one", tmp_path / "two", output=tmp_path / "out")
    assert result.texts == list(TEXTS[:2])
    assert [u.id for u in result.rows] == ["a", "a-2"]
    rows = read_jsonl(result.folder / "manifest.jsonl")
    assert [row["where"] for row in rows] == ["one/a.txt", "two/a.txt"]
    assert [s.taken for s in result.imported.sources] == [1, 1]


def begun(words: list[str], capsys) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def sampled(run: Path) -> list[dict]:
    return read_jsonl(run / "manifests/sampled.jsonl")


def test_a_run_imports_what_is_no_manifest(tmp_path, monkeypatch, capsys, folder) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sample", *flags(MODEL, folder)[: 2 * 3], "--general", "off"]
    said = begun(words, capsys)
    [line] = [line for line in said.splitlines() if line.startswith("imported ")]
    assert f"imported {folder}: table (CSV, TSV, XLSX); 24 clips" in line
    rows = sampled(Path("outputs/r"))
    assert len(rows) == 24
    assert {row["audio_filepath"] for row in rows} == {str(p) for p in folder.glob("clips/*")}
    assert {row["speaker"] for row in rows} == {"anna", "bnna", "cnna", "dnna"}
    assert rows[0]["text"] == "The red boat sails home."
    # What did not change is not imported again; what did is, and the first run keeps its own.
    [made] = Path("outputs/imported").glob("recordings-*")
    before = (made / "import.json").stat().st_mtime_ns
    begun([*words[:-4], "--run-name", "again", "--general", "off"], capsys)
    assert (made / "import.json").stat().st_mtime_ns == before
    text = (folder / "list.csv").read_text().replace("The red", "The blue")
    (folder / "list.csv").write_text(text)
    begun([*words[:-4], "--run-name", "other", "--general", "off"], capsys)
    assert len([*Path("outputs/imported").glob("recordings-*")]) == 2
    assert sampled(Path("outputs/other"))[0]["text"] == "The blue boat sails home."


def test_a_run_goes_on_with_what_it_was_begun_with(tmp_path, monkeypatch, capsys, folder) -> None:
    monkeypatch.chdir(tmp_path)
    words = flags(MODEL, folder)
    begun(["sample", *words], capsys)
    (folder / "list.csv").write_text("damaged since")
    monkeypatch.setattr("moontune.cli.new_run.do_stages", lambda *args: 0)
    assert main(["run", "--resume", *words]) == 0
    other = tmp_path / "other"
    clips(other, "a.wav")
    (other / "a.txt").write_text("x")
    words[1] = str(other)
    assert main(["run", "--resume", *words]) == 2
    assert "differs from the run's" in capsys.readouterr().err


def test_manifests_and_data_sets_stay_what_they_are(tmp_path, monkeypatch, capsys, folder) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_import(folder, output=tmp_path / "data", link=True)
    for name, source in (("a", result.folder), ("b", result.folder / "manifest.jsonl")):
        words = flags(MODEL, source, name=name)
        assert "imported" not in begun(["sample", *words], capsys)
        assert len(sampled(Path("outputs") / name)) == 24
    assert not Path("outputs/imported").exists()
    for source, says in (
        ("gone.jsonl", "no such manifest"),
        ("gone", "no such manifest"),
        (str(tmp_path / "notes.txt"), "it looks like plain text"),
        (str(tmp_path / "empty"), "nothing in it is known; found no files"),
    ):
        (tmp_path / "notes.txt").write_text("Hello there and welcome.\nAnd this.\n")
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert main(["sample", *flags(MODEL, Path(source), name="n")]) == 2
        assert says in capsys.readouterr().err


def test_it_is_the_same_from_python(tmp_path, folder, monkeypatch) -> None:
    told: list[str] = []
    config = moontune.configure(
        manifest=folder, run_name="p",
        general="off", device="cpu", output_dir=tmp_path / "outputs",
    )  # fmt: skip
    monkeypatch.setattr("moontune.pipeline.new_run.check_model", lambda config: [])

    def stop(event) -> None:
        told.append(event.text)
        if event.stage == "clean":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moontune.run(config, on_progress=stop)
    assert any(text.startswith(f"imported {folder}: table") for text in told)
    assert len(sampled(tmp_path / "outputs/p")) == 24
    told.clear()
    (folder / "list.csv").write_text("damaged since")
    with pytest.raises(KeyboardInterrupt):  # in the stage after
        moontune.run(config, resume=True, on_progress=stop)
    assert not any(text.startswith("imported ") for text in told)


def test_numbers_of_seconds_are_those_of_the_audio(tmp_path, folder) -> None:
    for link in (False, True):
        result = run_import(folder, output=tmp_path / f"out{link}", link=link)
        rows, _ = read_manifest(result.folder / "manifest.jsonl")
        for u in rows:
            length = len(moontune.data.audio.read_audio(u.audio_filepath)) / 16_000
            assert u.duration == pytest.approx(length, abs=1e-3)


def test_what_is_named_twice_counts_once(tmp_path, folder, capsys) -> None:
    """Also a file of a folder that is named too."""
    output = ["--output", str(tmp_path / "data")]
    assert main(["import", str(folder), f"{folder}/../recordings", *output]) == 2
    assert "given twice" in capsys.readouterr().err
    result = run_import(folder, folder / "list.csv", output=tmp_path / "both")
    assert len(result.rows) == 24
    assert {reason for _, reason in result.reasons} == {"listed twice"}


def test_archives_with_clips_of_one_name_are_not_taken_for_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        clips(tmp_path / name / "d", "a.wav")
        (tmp_path / name / "d/a.txt").write_text(TEXTS[0])
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)
    assert (
        run_import(tmp_path / "one.zip", tmp_path / "two.zip", output=tmp_path / "out").texts
        == [TEXTS[0]] * 2
    )


def test_what_lies_beside_an_archive_does_not_change_it(tmp_path, folder, capsys) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    words = ["sample", "--manifest", archive, "--output-dir", str(tmp_path / "runs")]
    for name in ("one", "two"):
        assert main([*words, "--run-name", name]) == 0
        (tmp_path / "something else.txt").write_text("Something.")
    assert len(list((tmp_path / "runs/imported").glob("packed-*/manifest.jsonl"))) == 1


def test_a_link_that_leads_nowhere_is_passed_over(tmp_path, folder, capsys) -> None:
    (folder / "gone.wav").symlink_to(tmp_path / "nowhere")
    words = ["sample", "--manifest", str(folder), "--output-dir", str(tmp_path / "runs")]
    assert main([*words, "--run-name", "r"]) == 0


def test_a_name_that_cannot_be_is_told_before_anything_is_imported(
    tmp_path, folder, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", *flags(MODEL, folder, name="my voice")]) == 2
    assert "cannot name a folder" in capsys.readouterr().err
    (tmp_path / "outputs/r").mkdir(parents=True)
    (tmp_path / "outputs/r/thesis.txt").touch()
    assert main(["run", *flags(MODEL, folder)]) == 2
    assert "give another --run-name" in capsys.readouterr().err
    assert not (tmp_path / "outputs/imported").exists()
