"""The reviewed manifest: rows of which nothing changes stay as they are, the others are usable."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from review_desk import Opened, data_of, rows_of, write_set

from moontune.data.audio import read_audio
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.review import files
from moontune.system.files import write_bytes

TEXTS = ("one", "two", "three")


def test_rows_stay_as_they_are_to_the_byte(tmp_path: Path) -> None:
    write_set(tmp_path, TEXTS)
    lines = [
        b'{ "text":"caf\\u00e9",  "audio":"audio/c0.flac","mine":[1,2.50] }\r',
        b"no row",
        b'{"path": "audio\\\\c1.flac", "sentence": "two", "target": "Two."}',
        b'{"text": "no audio"}',
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    with Opened(data_of(manifest)) as opened:
        assert "2 rows of the manifest cannot be used" in opened.told[0]
        opened.review.decide(opened.keys[1], "keep", "too")
        opened.desk.writer.write()
    written = (tmp_path / "reviewed.jsonl").read_bytes().split(b"\n")
    assert (written[:2], written[3:]) == (lines[:2], [lines[3], b""])
    assert json.loads(written[2]) == {
        "path": "audio\\c1.flac",
        "sentence": "too",
        "original_text": "two",
        "reviewed": True,
    }


def test_half_of_a_character_in_another_field_stops_no_review(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    rows = (json.dumps(row | {"note": "\ud83d"}) + "\n" for row in rows_of(manifest))
    manifest.write_text("".join(rows))
    with Opened(data_of(manifest)) as opened:
        opened.review.decide(opened.keys[0], "keep")
        opened.review.split(opened.keys[1], 0.5, 1.1, ("tw", "o"))
        assert [row["note"] for row in opened.write()] == ["\ud83d"] * 4
    with Opened(data_of(manifest)) as again:
        assert len(again.review.clips()) == 4


def test_a_manifest_that_is_moved_meanwhile_stops_no_writing(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    with Opened(data_of(manifest)) as opened:
        manifest.rename(tmp_path / "moved.jsonl")
        opened.review.decide(opened.keys[0], "drop")
        assert len(opened.write()) == 2
        assert opened.desk.writer.error == ""


def test_of_two_writings_at_once_the_later_decision_stands(tmp_path: Path, monkeypatch) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS))) as opened:
        slow, go_on = threading.Event(), threading.Event()

        def slowly(path: Path, content: bytes, mode: int | None) -> None:
            if not slow.is_set():
                slow.set()
                assert go_on.wait(30)
            write_bytes(path, content, mode)

        monkeypatch.setattr(files, "write_bytes", slowly)
        writers = [threading.Thread(target=opened.desk.writer.write) for _ in range(2)]
        writers[0].start()
        assert slow.wait(30)
        opened.review.decide(opened.keys[0], "keep", "later")
        writers[1].start()
        writers[1].join(0.5)  # it waits for the first
        go_on.set()
        for writer in writers:
            writer.join(30)
        assert rows_of(tmp_path / "reviewed.jsonl")[0]["text"] == "later"


def test_audio_is_found_from_wherever_it_is_written(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "data", TEXTS)
    rows = rows_of(manifest)
    rows[1]["audio_filepath"] = {"path": "audio/c1.flac", "bytes": None}
    rows[2]["audio_filepath"] = "audio\\c2.flac"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "elsewhere/mine.jsonl"
    with Opened(data_of(manifest, output)) as opened:
        opened.review.decide(opened.keys[0], "keep")
        opened.write()
    found, bad = read_manifest(output)
    assert not bad
    assert [u.audio_filepath.is_file() for u in found] == [True] * 3
    names = {path.name for path in output.parent.iterdir()}
    assert names == {"mine.jsonl", "mine.review.jsonl", "mine.review.heard.jsonl"}


def test_a_draft_is_one_until_it_is_kept_or_edited(tmp_path: Path) -> None:
    draft = {"draft": True, "priority": 2.5, "confidences": [0.5]}
    manifest = write_set(tmp_path, TEXTS, **draft)
    with Opened(data_of(manifest)) as opened:
        opened.review.decide(opened.keys[0], "keep")
        opened.review.decide(opened.keys[1], "edit", "zwei")
        kept, edited, untouched = opened.write()
    assert not {*draft} & {*kept, *edited}
    assert {*draft} <= {*untouched}


@pytest.mark.parametrize(
    "stretch",
    [
        {},
        {"start": 0.1, "end": 0.9},
        {"offset": 0.1, "channel": 0},
        {"start_ms": 100, "end_ms": 900},
    ],
)
def test_both_parts_of_a_split_are_the_clip(tmp_path: Path, stretch: dict) -> None:
    manifest = write_set(tmp_path, TEXTS, target="One", **stretch)
    rows = rows_of(manifest)
    for row in rows:
        row["duration"] = 0.8 if stretch else row["duration"]
        row |= {} if stretch else {"duration": None}
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [whole, *_], _ = read_manifest(manifest)
    sound = read_audio(whole.audio)
    with Opened(data_of(manifest)) as opened:
        opened.review.split(opened.keys[0], 0.3, len(sound) / 16_000, (" on ", "e"))
        parts = opened.review.clips()[:2]
        assert [opened.review.is_changed(part) for part in parts] == [True, True]
        opened.review.decide(parts[1].key, "keep")
        written = opened.write()
    usable, bad = read_manifest(tmp_path / "reviewed.jsonl")
    first, second = usable[:2]
    assert not bad
    assert (first.text, second.text, first.id, second.id) == ("on", "e", "c0a", "c0b")
    assert (first.channel, first.target) == (whole.channel, None)
    assert [row["original_text"] for row in written[:2]] == ["one", "one"]
    assert [row.get("reviewed") for row in written[:2]] == [None, True]
    heard = [read_audio(u.audio) for u in (first, second)]
    assert len(heard[0]) == 4_800
    assert [*heard[0], *heard[1]] == pytest.approx(sound, abs=1e-6)


def test_a_part_can_be_split_again(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    with Opened(data_of(manifest)) as opened:
        opened.review.split(opened.keys[2], 0.7, 1.2, ("th", "ree"))
        part = opened.review.clips()[2]
        opened.review.split(part.key, 0.3, 0.7, ("t", "h"))
        opened.write()
    found, _ = read_manifest(tmp_path / "reviewed.jsonl")
    places = [(u.text, u.offset, u.duration) for u in found[2:]]
    assert places == [("t", 0.0, 0.3), ("h", 0.3, 0.4), ("ree", 0.7, 0.5)]


@pytest.mark.parametrize("at_s", [0.0, 0.1, 0.95, 1.0, 7.0, -1.0, float("nan")])
def test_a_cut_that_leaves_nothing_is_refused(tmp_path: Path, at_s: float) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS))) as opened:
        with pytest.raises(UserError, match="shorter than"):
            opened.review.split(opened.keys[0], at_s, 1.0, ("a", "b"))
        assert opened.write() == rows_of(tmp_path / "manifest.jsonl")
