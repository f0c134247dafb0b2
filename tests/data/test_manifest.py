from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moontune.data.manifest import Utterance, manifest_hash, read_manifest, write_manifest
from moontune.errors import UserError


def written(tmp_path: Path, *lines: str, name: str = "m.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_relative_paths_are_resolved_against_the_manifest(tmp_path: Path) -> None:
    row = {"audio_filepath": "audio/a.wav", "text": "hi", "duration": 1, "speaker": "x", "id": "a"}
    rows, bad = read_manifest(written(tmp_path, json.dumps(row)))
    assert bad == []
    assert rows[0].audio_filepath == tmp_path / "audio/a.wav"
    assert (rows[0].text, rows[0].duration, rows[0].speaker, rows[0].id) == ("hi", 1.0, "x", "a")


@pytest.mark.parametrize(
    "row",
    [
        {"audio": "a.wav", "transcript": "hi", "seconds": 2, "speaker_id": 7},
        {"path": "a.wav", "sentence": "hi", "duration": 2, "client_id": "7"},
        {"wav": "a.wav", "text": "hi", "duration": "2.0", "speaker": 7},
        {"audio": {"path": "a.wav", "bytes": None}, "text": "hi", "seconds": 2, "speaker": "7"},
    ],
)
def test_spellings_of_other_tools_are_read(tmp_path: Path, row: dict) -> None:
    rows, _ = read_manifest(written(tmp_path, json.dumps(row)))
    u = rows[0]
    assert (u.audio_filepath.name, u.text, u.duration, u.speaker) == ("a.wav", "hi", 2.0, "7")


def test_broken_rows_are_listed_by_file_and_line_and_good_ones_used(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"audio": "a.wav", "text": "one"}',
        "",
        "{oops",
        '{"text": "no audio"}',
        '{"audio": "b.wav", "text": 5}',
        '{"audio": "b.wav", "text": "x", "duration": "long"}',
        '{"audio": "c.wav", "text": "two"}',
        "[1]",
        '{"audio": "d.wav", "text": "\\ud800"}',
        '{"audio": "~nosuchuser/e.wav", "text": "x"}',
        "[" * 100_000,
    )
    rows, bad = read_manifest(path)
    assert [u.text for u in rows] == ["one", "two"]
    assert [d.where for d in bad] == [f"{path}:{n}" for n in (3, 4, 5, 6, 8, 9, 10, 11)]
    assert "no audio path" in bad[1].detail


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"audio": "a.wav", "text": "x"}\r\n{"audio":"b.wav"}\r\n')
    rows, bad = read_manifest(path)
    assert len(rows) == 2
    assert bad == []


def test_duplicate_ids_stay_apart(tmp_path: Path) -> None:
    rows, _ = read_manifest(written(tmp_path, *['{"audio": "d/a.wav", "text": "x"}'] * 3))
    assert len({u.id for u in rows}) == 3


@pytest.mark.parametrize(("content", "what"), [("", "empty"), ("{bad", "m.jsonl:1")])
def test_nothing_usable_is_a_users_mistake(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        read_manifest(written(tmp_path, content))


def test_missing_file_and_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such manifest"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        read_manifest(tmp_path)


@given(
    st.lists(
        st.builds(
            Utterance,
            id=st.text(min_size=1),
            audio_filepath=st.just(Path("/audio/a.flac")),
            text=st.text(),
            duration=st.floats(0, 1e4),
            speaker=st.none() | st.text(min_size=1),
            target=st.none() | st.text(),
        ),
        min_size=1,
        unique_by=lambda u: u.id,
    )
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    write_manifest(path, rows)
    back, bad = read_manifest(path)
    assert bad == []
    assert back == rows
    assert manifest_hash(back) == manifest_hash(rows)
