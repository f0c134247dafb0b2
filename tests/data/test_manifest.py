from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from moontune.data.audio import AudioError, read_audio, write_flac
from moontune.data.manifest import (
    Utterance,
    manifest_hash,
    read_manifest,
    read_run_manifest,
    write_manifest,
)
from moontune.data.rows.empty_texts import SPELLINGS
from moontune.errors import UserError


def written(tmp_path: Path, *lines: str, name: str = "m.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    return path


def test_relative_paths_are_resolved_against_the_manifest(tmp_path: Path) -> None:
    row = {"audio_filepath": "audio/a.wav", "text": "hi", "duration": 1, "speaker": "x", "id": "a"}
    rows, bad = read_manifest(written(tmp_path, json.dumps(row)))
    assert bad == []
    assert rows[0].audio_filepath == tmp_path / "audio/a.wav"
    assert (rows[0].text, rows[0].duration, rows[0].speaker, rows[0].id) == ("hi", 1.0, "x", "a")


def test_lines_that_end_as_on_old_macs_are_told(tmp_path: Path) -> None:
    line = json.dumps({"audio": "a.wav", "text": "hi"})
    with pytest.raises(UserError, match="its lines end in CR alone; save it with line feeds"):
        read_manifest(written(tmp_path, f"{line}\r{line}\r"))
    assert len(read_manifest(written(tmp_path, f"{line}\r\n{line}\r"))[0]) == 2


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
        '{"audio": "~nosuchuser/e.wav", "text": "three"}',
        "[" * 100_000,
    )
    rows, bad = read_manifest(path)
    assert [u.text for u in rows] == ["one", "two", "three"]
    assert rows[2].audio_filepath == tmp_path / "~nosuchuser/e.wav"  # nobody's home is a name
    assert [d.where for d in bad] == [f"{path}:{n}" for n in (3, 4, 5, 6, 8, 9, 11)]
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


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"path,sentence\na.wav,Hello there\n", "a CSV table (first line: path, sentence)"),
        (b"path\tsentence\na.wav\tHello\n", "a TSV table (first line: path, sentence)"),
        (b"LJ1|In being|In being\nLJ2|x|x\n", "a |-separated table"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nHello there.\n", "subtitles"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello there.\n", "subtitles"),
        (b"Hello there and welcome.\nAnd this.\n", "plain text"),
        (b"RIFF\x24\x08\x00\x00WAVEfmt ", "a recording (wav)"),
        (
            b"PK\x03\x04\x14\x00\n",
            "a zip archive, a Word file or a table of a spreadsheet (docx, xlsx)",
        ),
        (b"PAR1\x15\x04\x15\n", "a parquet file"),
        (b"\x01\x02\x00\x03\n\n", "a binary file"),
        (b"<!DOCTYPE html>\n<html>\n", "a web page"),
    ],
)
def test_a_file_of_another_kind_is_refused_as_what_it_looks_like(tmp_path, content, looks) -> None:
    path = tmp_path / "my.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_manifest(path)
    assert f"{path}: is no manifest, it looks like {looks}" in str(refused.value)
    assert '{"audio_filepath": "a.wav", "text": "..."}' in str(refused.value)
    assert "\n" not in str(refused.value)


def test_prose_with_one_row_in_it_is_no_manifest(tmp_path: Path) -> None:
    prose = ["# A title", "", "Some words here.", *["More."] * 3, '{"audio": "a.wav"}', "[1]"]
    with pytest.raises(UserError) as refused:
        read_manifest(written(tmp_path, *prose))
    says = "is no manifest: 6 of 7 lines are not JSON objects (line 1: not JSON, "
    assert says in str(refused.value)
    rows, bad = read_manifest(written(tmp_path, "a, comment", *['{"audio": "a.wav"}'] * 2))
    assert (len(rows), len(bad)) == (2, 1)


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
            speaker=st.none() | st.text(min_size=1).filter(lambda name: name not in SPELLINGS),
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


def long_recording(folder: Path) -> np.ndarray:
    """Three seconds at three pitches, as `long.flac`."""
    places = np.arange(16_000) / 16_000
    parts = [0.3 * np.sin(2 * np.pi * f * places).astype(np.float32) for f in (300, 600, 900)]
    samples = np.concatenate(parts)
    write_flac(folder / "long.flac", samples)
    return samples


@pytest.mark.parametrize(
    "row",
    [
        {"offset": 1.0, "duration": 0.5},
        {"start": 1, "end": 1.5},
        {"start_time": "1.0", "end_time": "1.5", "duration": 0.5},
        {"start_s": 1, "end_sec": 1.5},
        {"start_ms": 1000, "end_ms": "1500", "duration_ms": 500.0},
        {"offset_ms": 1000, "duration": 0.5},
    ],
)
def test_a_stretch_of_a_longer_file_is_what_is_heard(tmp_path: Path, row: dict) -> None:
    samples = long_recording(tmp_path)
    [u] = rows_of(tmp_path, row | {"audio": "long.flac", "text": "one"})
    assert u.duration == 0.5
    assert u.id == "long@1"
    heard = read_audio(u.audio)
    assert np.abs(heard - samples[16_000:24_000]).max() < 1e-3
    write_manifest(tmp_path / "again.jsonl", [u])
    [again] = read_manifest(tmp_path / "again.jsonl")[0]
    assert again.audio == u.audio


def test_a_stretch_to_the_end_and_a_channel(tmp_path: Path) -> None:
    samples = long_recording(tmp_path)
    stereo = np.stack([samples, -samples], axis=1)
    soundfile.write(tmp_path / "call.wav", stereo, 16_000)
    [u] = rows_of(tmp_path, {"audio": "long.flac", "text": "one", "offset": 2.5})
    assert len(read_audio(u.audio)) == 8_000
    [u] = rows_of(tmp_path, {"audio": "call.wav", "text": "one", "channel": "Right"})
    assert u.channel == 1
    [u] = rows_of(tmp_path, {"audio": "call.wav", "text": "one", "channel": 1})
    assert np.abs(read_audio(u.audio) + samples).max() < 1e-3


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"offset": 9.0, "duration": 1.0}, r"lasts 3.00 s, and the offset is 9 s"),
        ({"offset": 2.0, "duration": 2.0}, r"ends 1.00 s before the row's offset and duration"),
        ({"channel": 2}, r"has 1 channel, and channel 2 .*name none"),
    ],
)
def test_a_stretch_that_is_not_there_is_no_audio(tmp_path: Path, row: dict, wrong: str) -> None:
    long_recording(tmp_path)
    [u] = rows_of(tmp_path, row | {"audio": "long.flac", "text": "one"})
    with pytest.raises(AudioError, match=wrong):
        read_audio(u.audio)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"start": 2.0, "end": 1.0}, "end 1 is not behind the offset 2"),
        ({"offset": 1.0, "duration": 1.0, "end": 4.0}, "give two of them"),
        ({"offset": "soon"}, "offset must be seconds"),
        ({"start_ms": "soon"}, "start_ms must be milliseconds"),
        ({"audio_filepath": "https://example.org/a.wav"}, "is an address; download it"),
        ({"channel": "middle"}, "channel must be a number from 0 on, left or right"),
    ],
)
def test_what_changes_the_audio_is_never_ignored(tmp_path: Path, row: dict, wrong: str) -> None:
    rows = [row | {"audio": "long.flac", "text": "one"}, {"audio": "long.flac", "text": "one"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, [bad] = read_manifest(tmp_path / "m.jsonl")
    assert wrong in bad.detail
    assert bad.where.endswith("m.jsonl:1")


@pytest.mark.parametrize(
    ("named", "there"), [("Caf\u00e9", "Cafe\u0301"), ("Cafe\u0301", "Caf\u00e9")]
)
def test_an_accent_as_a_mac_writes_it_is_the_same(tmp_path: Path, named: str, there: str) -> None:
    (tmp_path / there).mkdir()
    long_recording(tmp_path / there)
    [u] = rows_of(tmp_path, {"audio": f"{named}/long.flac", "text": "one"})
    assert u.audio_filepath.is_file()


@pytest.mark.parametrize(("read", "looks"), [(read_manifest, 1), (read_run_manifest, 0)])
def test_names_with_accents_are_looked_for_no_more_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable, looks: int
) -> None:
    """Of large sets on slow disks each look counts; a run's own rows are as they were found."""
    (tmp_path / "Caf\u00e9").mkdir()
    long_recording(tmp_path / "Caf\u00e9")
    file = written(tmp_path, json.dumps({"audio": "Caf\u00e9/long.flac", "text": "one"}))
    asked, exists = [], os.path.exists
    monkeypatch.setattr(
        "moontune.data.manifest.os.path.exists", lambda path: asked.append(path) or exists(path)
    )
    read(file)
    assert sum(str(path).endswith("long.flac") for path in asked) == looks


def test_paths_as_windows_writes_them(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    long_recording(tmp_path / "clips")
    [u] = rows_of(tmp_path, {"audio": "clips\\long.flac", "text": "one"})
    assert u.audio_filepath == tmp_path / "clips/long.flac"


def rows_of(folder: Path, *rows: dict) -> list[Utterance]:
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_manifest(folder / "m.jsonl")[0]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_and_gzip_are_read(tmp_path: Path, indent: int | None, packed: bool) -> None:
    rows = [{"audio": f"{i}.wav", "text": "one"} for i in range(3)]
    text = json.dumps(rows, indent=indent).encode()
    path = tmp_path / "m.json.gz"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert [u.id for u in read_manifest(path)[0]] == ["0", "1", "2"]
    lines = "\n".join(map(json.dumps, rows)).encode()
    path.write_bytes(gzip.compress(lines) if packed else lines)
    assert [u.id for u in read_manifest(path)[0]] == ["0", "1", "2"]
    if packed:
        path.write_bytes(path.read_bytes()[:-12])
        with pytest.raises(UserError, match="damaged gzip file"):
            read_manifest(path)


def test_what_pandas_writes_for_nothing_is_nothing(tmp_path: Path) -> None:
    """NaN; and a whole number as 1.0, where some rows have none."""
    rows, bad = read_manifest(
        written(
            tmp_path,
            '{"audio": "a.wav", "text": "x", "speaker": NaN, "id": NaN, "offset": NaN}',
            '{"audio": "b.wav", "text": "x", "speaker": 7.0, "channel": 1.0, "duration": NaN}',
            '{"audio": "c.wav", "text": "x", "channel": "1"}',
        )
    )
    assert not bad
    assert [(u.id, u.speaker, u.offset) for u in rows[:1]] == [("a", None, None)]
    assert (rows[1].speaker, rows[1].channel, rows[1].duration) == ("7", 1, None)
    assert rows[2].channel == 1


def test_one_bad_item_costs_an_array_itself_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "", '[{"audio": "a.wav", "text": "x"}, 5, {"audio": "b.wav"}]')
    rows, bad = read_manifest(path)
    assert [u.id for u in rows] == ["a", "b"]
    assert [b.detail for b in bad] == ["expected a JSON object, found int"]
