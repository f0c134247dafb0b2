"""What the page asks: takes judged, kept at once, replaced, deleted; and going on another day."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile
from builders import noise, wav
from running import started
from serve_client import Page

from moontune.cli.dispatch import main
from moontune.data.manifest import read_manifest
from moontune.record.app import TAKE_PATHS, Recording, application
from moontune.record.session import progress
from moontune.system.files import read_jsonl
from moontune.web import corrected_clips
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.requests import Limits

SENTENCES = ["The first one.", "Second, here.", "<b>Third</b>."]


@dataclass
class Desk(Page):
    """The page of `moontune record`."""

    def send(self, path: str, audio: bytes, text: str, replaces: str | None = None, **headers: str):
        head = json.dumps({"text": text, "speaker": "Anna", "replaces": replaces}).encode()
        status, said, _ = self.ask("POST", path, head + b"\n" + audio, **headers)
        return status, json.loads(said)

    def take(self, text: str, replaces: str | None = None) -> dict[str, Any]:
        status, state = self.send("/take/keep", wav(2.0), text, replaces)
        assert status == 200, state
        return state

    def state(self) -> dict[str, Any]:
        return self.kept("/state")[1]

    def rows(self) -> list[dict[str, Any]]:
        return read_jsonl(self.folder / "manifest.jsonl")


def desk_of(folder: Path, sentences: list[str] | None = None) -> Desk:
    recording = Recording(sentences or SENTENCES, CorrectedClips(folder), "Anna")
    app = application(recording, Limits(1, 10.0), ["127.0.0.1", "localhost"])
    desk = Desk(started(app), folder, [])
    _, text, _ = desk.ask("GET", "/")
    desk.token = text.split('moontune-token" content="')[1].split('"')[0]
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path / "mine")


def test_a_folder_whose_name_is_no_text_is_one(tmp_path: Path) -> None:
    assert "caf\udce9" in desk_of(tmp_path / "caf\udce9").state()["command"]


def test_a_take_is_judged_and_nothing_is_written(desk: Desk) -> None:
    status, found = desk.send("/take", wav(1.0), "A sentence of which this noise is far too short.")
    assert status == 200
    assert any("Too short" in line for line in found["warnings"])
    assert not desk.folder.exists()


def test_a_kept_take_is_a_row_and_sound_of_a_data_set(desk: Desk) -> None:
    state = desk.take("The first one.")
    assert (state["line"], state["next"]) == ("1 of 3 sentences, 2 seconds", 1)
    [row] = desk.rows()
    assert row.keys() == {"audio_filepath", "text", "duration", "speaker", "id", "prompt"}
    assert (row["text"], row["speaker"], row["prompt"]) == ("The first one.", "Anna", row["text"])
    samples, rate = soundfile.read(desk.folder / row["audio_filepath"])
    assert (rate, len(samples) / rate) == (16_000, pytest.approx(2.0, abs=0.01))
    assert soundfile.info(desk.folder / row["audio_filepath"]).format == "FLAC"
    assert row["duration"] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("named", ["mine", "mine/manifest.jsonl"])
def test_a_run_takes_the_folder_or_its_manifest(
    desk: Desk, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    for text in SENTENCES:
        desk.take(text)
    monkeypatch.chdir(tmp_path)
    words = ["--manifest", named, "--model-id", str(tiny_model), "--run-name", "r"]
    assert main(["sample", *words]) == 0
    rows = read_jsonl(tmp_path / "outputs/r/manifests/sampled.jsonl")
    assert sorted(row["text"] for row in rows) == sorted(SENTENCES)


def test_a_redo_takes_the_place_of_the_take_and_the_other_can_be_had_back(desk: Desk) -> None:
    for text in SENTENCES:
        state = desk.take(text)
    before = desk.rows()
    old = state["takes"]["1"]["key"]
    state = desk.take(SENTENCES[1], replaces=old)
    assert [row["text"] for row in desk.rows()] == SENTENCES
    assert [row["id"] == b["id"] for row, b in zip(desk.rows(), before, strict=True)] == [1, 0, 1]
    assert state["deleted"] == [old]
    assert (desk.folder / before[1]["audio_filepath"]).is_file()
    assert desk.send("/take/keep", wav(2.0), SENTENCES[1], old)[0] == 410  # as it was shown before
    assert len(desk.rows()) == 3
    assert CorrectedClips(desk.folder).erase() == 1
    assert not (desk.folder / before[1]["audio_filepath"]).exists()


def test_takes_are_heard_deleted_and_put_back(desk: Desk) -> None:
    key = desk.take("The first one.")["takes"]["0"]["key"]
    body = json.dumps({"key": key}).encode()
    status, _, headers = desk.ask("POST", "/take/sound", body)
    assert (status, headers["Content-Type"]) == (200, "audio/wav")
    status, state = desk.kept("/take/delete", key=key)
    assert (state["takes"], state["next"], state["deleted"]) == ({}, 0, [key])
    assert desk.kept("/take/delete", key=key)[0] == 410
    state = desk.kept("/take/restore", key=key)[1]
    assert state["takes"]["0"]["key"] == key


def test_another_start_goes_on_where_it_stopped(desk: Desk) -> None:
    desk.take(SENTENCES[0])
    desk.take(SENTENCES[2])
    again = desk_of(desk.folder)
    assert again.state()["next"] == 1
    assert list(again.state()["takes"]) == ["0", "2"]
    more = desk_of(desk.folder, ["A new one.", *reversed(SENTENCES)])  # another list
    assert (more.state()["next"], sorted(more.state()["takes"])) == (0, ["1", "3"])
    assert more.state()["line"] == "2 of 4 sentences, 4 seconds"
    less = desk_of(desk.folder, SENTENCES[:1]).state()
    assert (less["next"], less["line"]) == (None, "1 of 1 sentence, 4 seconds, with 1 other clip")


def test_a_mended_text_is_still_the_take_of_its_sentence(desk: Desk) -> None:
    key = desk.take(SENTENCES[1])["takes"]["1"]["key"]
    kept = CorrectedClips(desk.folder)
    kept.change(key, "Something else that was said", "Anna")
    assert list(progress(kept.listed().clips, SENTENCES).takes) == [1]


def test_sentences_that_differ_in_their_marks_alone_each_have_a_take(tmp_path: Path) -> None:
    sentences = ["You are here.", "You are here?", "की", "कि", "…"]
    desk = desk_of(tmp_path / "mine", sentences)
    for place, text in enumerate(sentences):
        assert desk.state()["next"] == place
        desk.take(text)
    assert desk.state()["next"] is None


def test_what_is_enough_to_train_on_is_said_with_the_command(tmp_path: Path) -> None:
    sentences = [f"Sentence number {i}." for i in range(51)]
    kept = CorrectedClips(tmp_path / "mine")
    for text in sentences[:49]:
        kept.add(noise(1, 4.0), text, "Anna", text)
    desk = desk_of(tmp_path / "mine", sentences)
    assert not desk.state()["enough"]
    assert desk.state()["line"] == "49 of 51 sentences, 3.3 minutes"
    state = desk.take(sentences[49])
    assert state["enough"]
    assert state["command"] == f"moontune run --manifest {desk.folder}/manifest.jsonl"
    assert state["advice"].startswith("Enough for a first training.")


def test_a_full_disk_is_an_answer_and_the_take_can_be_kept_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.take(SENTENCES[0])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("write_flac", "write_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(corrected_clips, name, full)
            for text, replaces in ((SENTENCES[1], None), (SENTENCES[0], _key(first))):
                status, said = desk.send("/take/keep", wav(2.0), text, replaces)
                assert (status, "No space left" in said["error"]) == (422, True)
        rows, bad = read_manifest(desk.folder / "manifest.jsonl")
        assert ([u.text for u in rows], bad) == (SENTENCES[:1], [])
        assert rows[0].audio_filepath.is_file()
    desk.take(SENTENCES[1])
    desk.take(SENTENCES[0], _key(first))
    assert [row["text"] for row in desk.rows()] == SENTENCES[:2]


def _key(state: dict[str, Any]) -> str:
    return state["takes"]["0"]["key"]


@pytest.mark.parametrize("path", TAKE_PATHS)
def test_only_its_own_page_may_ask(desk: Desk, path: str) -> None:
    key = _key(desk.take(SENTENCES[0]))
    before = (desk.folder / "manifest.jsonl").read_bytes()
    asked = json.dumps({"key": key, "text": "theirs", "speaker": "", "replaces": key}).encode()
    for headers, expected in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X_Moontune": ""}, 403),
        ({"X_Moontune": "guess"}, 403),
        ({"Host": "evil.example"}, 400),
    ):
        status, said, _ = desk.ask("POST", path, asked + b"\n" + wav(0.5), **headers)
        assert (status, SENTENCES[0] in said) == (expected, False)
    assert desk.ask("GET", path)[0] == 405
    assert (desk.folder / "manifest.jsonl").read_bytes() == before


def test_what_is_no_take_is_refused(desk: Desk) -> None:
    for sent, expected in (
        (b"", 400),
        (b"[]\nRIFF", 400),
        (b'{"text": "x"}\n' + wav(0.5), 400),
        (b'{"text": null, "speaker": "", "replaces": null}\n' + wav(0.5), 400),
        (b'{"text": "x", "speaker": 7, "replaces": null}\n' + wav(0.5), 400),
        (b'{"text": "x", "speaker": "", "replaces": false}\n' + wav(0.5), 400),
        (b'{"text": "x", "speaker": "", "replaces": null}\nno sound', 415),
        (b'{"text": "x", "speaker": "", "replaces": null}\n' + wav(11.0, 8_000), 413),
        (b"x" * 1_100_000, 413),
        (b"[" * 500_000, 400),
        (b'{"text": " ", "speaker": "", "replaces": null}\n' + wav(0.5), 422),
        (b'{"text": "a\\u202eb", "speaker": "", "replaces": null}\n' + wav(0.5), 422),
    ):
        assert desk.ask("POST", "/take/keep", sent)[0] == expected, sent[:40]
    assert not (desk.folder / "manifest.jsonl").exists()


def test_the_page_holds_sentences_as_text(desk: Desk) -> None:
    _, page, headers = desk.ask("GET", "/")
    assert "&lt;b&gt;Third&lt;/b&gt;." in page
    assert "unsafe" not in headers["Content-Security-Policy"]
    for path in ("/../pyproject.toml", "/record.html.j2", "/manifest.jsonl", "/audio/", "/kept"):
        assert desk.ask("GET", path)[0] == 404
