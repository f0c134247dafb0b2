"""What bad rows cost: themselves, each named by file and row, while the others are used."""

from __future__ import annotations

import codecs
import itertools
import json
import os
from pathlib import Path

import pytest
import soundfile
from builders import noise

from moontune.cli import run_stt
from moontune.cli.dispatch import main
from moontune.data.manifest import each_utterance, read_manifest
from moontune.data.splitting import check_groups
from moontune.errors import UserError
from moontune.system.files import read_jsonl

GOOD = {"audio_filepath": "/a.wav", "text": "Two words.", "speaker": "s1"}


def row(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


BROKEN: dict[str, tuple[bytes, str, str]] = {
    "broken": (b'{"audio": ', "not JSON", "at column"),
    "two on a line": (row() + row(), "not JSON", "Extra data"),
    "an array": (b"[1]", "bad row", "expected a JSON object, found list"),
    "bytes": (b'{"audio": "\xff.wav"}', "not UTF-8", "at byte 11 of the line"),
    "no audio": (b'{"text": "x"}', "bad row", "no audio path"),
    "a zero byte": (row(audio_filepath="a\0.wav"), "bad row", "zero byte"),
    "text a number": (row(text=7), "bad row", "text must be a string, found int"),
    "text a list": (row(text=["a"]), "bad row", "text must be a string, found list"),
    "a megabyte": (row(text="word " * 200_000), "bad row", "1000000 characters, at most 20000"),
    "speaker a list": (row(speaker=["ann"]), "bad row", "speaker must be a string or a number"),
    "speaker a flag": (row(speaker=True), "bad row", "found bool"),
    "id a list": (row(id=[1]), "bad row", "id must be a string or a number, found list"),
    "duration a word": (row(duration="long"), "bad row", "must be seconds, found 'long'"),
    "duration below 0": (row(duration=-1), "bad row", "0 or more seconds"),
    "duration endless": (b'{"audio": "a", "duration": Infinity}', "bad row", "0 or more seconds"),
    "offset true": (b'{"audio": "a", "offset": true}', "bad row", "offset must be seconds"),
    "start a clock's": (b'{"audio": "a", "start": "0:01"}', "bad row", "start must be seconds"),
    "duration 1e400": (b'{"audio": "a", "duration": 1e400}', "bad row", "0 or more seconds"),
    "duration of 400 digits": (row(duration=10**400), "bad row", "must be seconds"),
    "an endless number": (b'{"audio": "a", "duration": ' + b"9" * 5000 + b"}", "bad row", "digits"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_row_costs_itself(tmp_path, fault) -> None:
    line, reason, detail = BROKEN[fault]
    file = tmp_path / "m.jsonl"
    file.write_bytes(row() + b"\n" + line + b"\n" + row(id="last"))
    rows, [dropped] = read_manifest(file)
    assert [u.id for u in rows] == ["a", "last"]
    assert (dropped.where, dropped.reason) == (f"{file}:2", reason)
    assert detail in dropped.detail
    assert len(dropped.detail) < 200
    file.write_bytes(line)
    with pytest.raises(UserError, match="none of the 1 rows is usable") as refused:
        read_manifest(file)
    assert f"{file}:1: {reason}: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_manifest_is_told_apart(tmp_path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(json.dumps({"rows": [GOOD]}, indent=1))
    with pytest.raises(UserError, match="is no manifest: 9 of 9 lines are not JSON objects"):
        read_manifest(file)
    file.write_bytes(codecs.BOM_UTF16_LE + row().decode().encode("utf-16-le"))
    with pytest.raises(UserError, match="is UTF-16 text; save it as UTF-8"):
        read_manifest(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_not_waited_for(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jsonl")
    os.mkfifo("pipe.txt")
    for file in ("pipe.jsonl", "/dev/zero", "/dev/null"):
        assert main(["sample", "--manifest", file, "--general", "off"]) == 2
        assert f"{file}: is a pipe or a device" in capsys.readouterr().err
    for file in ("pipe.jsonl", "pipe.txt", "/dev/zero"):
        assert run_stt.main(["--audio-list", file, "--output", "o.json"]) == 2
        assert f"{file}: is a pipe or a device" in capsys.readouterr().err
    assert not Path("outputs").exists() or not list(Path("outputs").iterdir())


def test_ids_stay_apart_whatever_they_are(tmp_path) -> None:
    file = tmp_path / "m.jsonl"
    ids = ["a", "a#3", "a", "a#3", "a", "a#5"]
    file.write_bytes(b"\n".join(row(id=i) for i in ids))
    rows, _ = read_manifest(file)
    assert len({u.id for u in rows}) == len(ids)
    assert [u.id for u in rows][:3] == ["a", "a#3", "a#3#3"]


def test_numbers_are_names_as_other_tools_write_them(tmp_path) -> None:
    """pandas writes 7.0 where some rows of the column are empty."""
    file = tmp_path / "m.jsonl"
    file.write_bytes(row(speaker=7) + b"\n" + row(speaker=7.0, id=3.0) + b"\n" + row(speaker="7"))
    rows, bad = read_manifest(file)
    assert ({u.speaker for u in rows}, bad, rows[1].id) == ({"7"}, [], "3")


def test_a_field_named_where_is_the_users_own(tmp_path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_bytes(row(where="in the kitchen"))
    assert read_manifest(file)[0][0].where == f"{file}:1"


def test_a_large_manifest_is_looked_at_no_further_than_needed(tmp_path) -> None:
    file = tmp_path / "m.jsonl"
    speakers = itertools.chain([None, "a", "b", None], itertools.repeat("c"))
    file.write_bytes(b"\n".join(row(id=i, speaker=s) for i, s in zip(range(99), speakers)))  # noqa: B905
    rest = each_utterance(file)
    check_groups(rest, "speaker")
    assert len(list(rest)) == 99 - 5


@pytest.mark.parametrize(
    "names",
    [["Ann", "ann", "Bob"], ["Ann", "Ann ", "Bob", "Bob "], ["\u00e9", "e\u0301", "B"]],
)
def test_speakers_spelt_alike_are_one_before_anything_is_computed(
    tmp_path: Path, names: list[str]
) -> None:
    file = tmp_path / "m.jsonl"
    file.write_bytes(b"\n".join(row(id=i, speaker=s) for i, s in enumerate(4 * names)))
    with pytest.raises(UserError, match=r"3 speakers are needed to hold some out, found 2"):
        check_groups(each_utterance(file), "speaker")


@pytest.fixture
def bad_set(tmp_path: Path, noise_manifest: Path) -> Path:
    """24 good rows, with a byte order mark and CRLF, and one of each fault behind them."""
    clip = noise(1, 1.0)
    soundfile.write(tmp_path / "whole.flac", clip, 16_000)
    for seed, name in ((901, "other"), (902, "third")):
        soundfile.write(tmp_path / f"{name}.flac", noise(seed, 1.0), 16_000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "secret").write_text("root:x:0:0")
    rows = [json.loads(line) for line in noise_manifest.read_text().splitlines()]
    for u in rows:
        u["audio_filepath"] = str(noise_manifest.parent / u["audio_filepath"])
        u["duration"] = 12_345  # a manifest may say anything
    faults = [
        {"audio": "gone.flac", "id": "gone"},
        {"audio": "cut.flac", "id": "cut"},
        {"audio": "folder.wav", "id": "folder"},
        {"audio": "../" + tmp_path.name + "/sub/../secret", "id": "secret"},
        {"audio": "/dev/zero", "id": "device"},
        {"audio": "whole.flac", "id": "nothing", "text": ""},
        {"audio": "whole.flac", "id": "marks", "text": "?! ..."},
        {"audio": "whole.flac", "id": "nobody", "speaker": None, "text": "Three words more."},
        {"audio": "other.flac", "id": "cyrillic", "text": "Привет, мир"},
        {"audio": "third.flac", "id": "controls", "text": "\ufefftwo\0 \x1b[31mwo\u00adrds\n"},
        {"audio": "whole.flac", "id": "c0"},
    ]
    lines = rows + [{"text": "Two words.", "speaker": "s1"} | fault for fault in faults]
    text = "\r\n".join(json.dumps(line) for line in lines)
    file = tmp_path / "my.jsonl"
    file.write_bytes(codecs.BOM_UTF8 + text.encode() + b"\r\n{broken\r\n\xff\r\n")
    return file


def test_a_run_uses_the_good_rows_and_lists_the_bad(bad_set, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--manifest", "my.jsonl", "--general", "off", "--run-name", "r"]
    assert main(["sample", *given]) == 0
    said = capsys.readouterr().out
    assert "remark: 1 id was used before, e.g. my.jsonl:35, now c0#35" in said
    for verb in ("clean", "split"):
        assert main([verb, "outputs/r"]) == 0
    said = capsys.readouterr().out
    assert "Traceback" not in said
    found = read_jsonl(Path("outputs/r/manifests/dropped.jsonl"))
    assert {(d["where"], d["reason"]) for d in found} == {
        *((f"my.jsonl:{n}", "unreadable") for n in (25, 26, 27, 28, 29)),
        *((f"my.jsonl:{n}", "empty text") for n in (30, 31)),
        ("my.jsonl:32", "no speaker"),
        ("my.jsonl:36", "not JSON"),
        ("my.jsonl:37", "not UTF-8"),
    }
    assert f"dropped 5: unreadable, e.g. my.jsonl:25: {tmp_path}/gone.flac: no such file" in said
    assert "remark: not in Latin script: 1 text, e.g. my.jsonl:33" in said
    assert "WARNING" not in said  # a few of many
    assert "27 usable utterances, 0.6 minutes" in said
    assert "root:x" not in said + Path("outputs/r/manifests/dropped.jsonl").read_text()
    kept, _ = read_manifest(Path("outputs/r/manifests/clean.jsonl"))
    assert {u.id for u in kept} == {*(f"c{i}" for i in range(24)), "cyrillic", "controls", "c0#35"}
    assert all(u.duration is not None and u.duration < 2 for u in kept)


def test_a_refusal_says_how_many_are_there_and_how_many_are_needed(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [row(audio_filepath=f"no/{i}.wav", speaker=f"s{i % 5}") for i in range(30)]
    Path("m.jsonl").write_bytes(b"\n".join(lines))
    given = ["--manifest", "m.jsonl", "--general", "off"]
    assert main(["sample", *given, "--run-name", "r"]) == 0
    capsys.readouterr()
    assert main(["clean", "outputs/r"]) == 2
    out, err = capsys.readouterr()
    assert f"dropped 30: unreadable, e.g. m.jsonl:1: {tmp_path}/no/0.wav: no such file" in out
    listed = Path("outputs/r/manifests/dropped.jsonl")
    assert f"30 dropped rows in all: {listed}" in out
    assert "WARNING: 30 of 30 recordings are missing or cannot be read" in out
    assert out.rstrip().endswith(f"in {listed}")
    assert "0 of 30 utterances are usable and at least 3 are needed" in err
    assert err.strip().count("\n") == 0
    assert len(Path("outputs/r/manifests/dropped.jsonl").read_text().splitlines()) == 30
    Path("m.jsonl").write_bytes(b"\n".join([row(speaker=None)] * 9 + [row()]))
    assert main(["sample", *given, "--split-by", "speaker"]) == 2
    assert "9 of 10 utterances name no speaker (first: m.jsonl:1)" in capsys.readouterr().err
