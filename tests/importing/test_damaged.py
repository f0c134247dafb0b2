"""Sources that are damaged, odd or meant to harm: one line, nothing half made, nothing changed."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from imports import TEXTS, clips, run_import, sound, write

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.importing import unpacking
from moontune.importing.script.listening import Listener
from moontune.importing.unpacking import unpack
from moontune.importing.values import DamagedSourceError


def table(folder: Path, *rows: tuple[str, str]) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / "t.csv"
    file.write_text("path,text\n" + "".join(f"{path},{text}\n" for path, text in rows))
    return file


def packed(kind: str, folder: Path, archive: Path) -> Path:
    if kind == "zip":
        with zipfile.ZipFile(archive.with_suffix(".zip"), "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder.parent))
        return archive.with_suffix(".zip")
    name = archive.with_suffix(f".tar{'.gz' if kind == 'tgz' else ''}")
    with tarfile.open(name, "w:gz" if kind == "tgz" else "w") as file:
        file.add(folder, folder.name)
    return name


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_an_archive_is_unpacked_and_its_audio_copied(tmp_path: Path, kind: str) -> None:
    sounds = clips(tmp_path / "d/clips", "a.wav", "b.wav")
    table(tmp_path / "d", ("a.wav", TEXTS[0]), ("b.wav", TEXTS[1]))
    archive = packed(kind, tmp_path / "d", tmp_path / "data")
    result = run_import(archive, link=True, output=tmp_path / "out")
    result.holds(TEXTS[:2], sounds)
    assert {p.name for p in result.folder.iterdir()} == {
        "audio", "import.json", "left_out.jsonl", "manifest.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["../evil.wav", "/tmp/evil.wav", "a/../../evil.wav", "C:\\evil.wav"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    archive = tmp_path / f"evil.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(name.replace("\\", "/") if name[1] != ":" else name, b"x")
    else:
        with tarfile.open(archive, "w") as file:
            member = tarfile.TarInfo(name)
            member.size = 1
            file.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="names a file outside of itself"):
        run_import(archive, output=tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {archive.name}


def test_links_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    """Neither a link nor a path in a table opens a file that was not packed."""
    secret = write(tmp_path / "secret/private.wav", sound(5))
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as file:
        link = tarfile.TarInfo("d/link.wav")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        file.addfile(link)
        rows = f"path,text\nlink.wav,A link.\n{secret},A path.\n../../../secret/private.wav,Up.\n"
        member = tarfile.TarInfo("d/t.csv")
        member.size = len(rows.encode())
        file.addfile(member, io.BytesIO(rows.encode()))
    with pytest.raises(UserError, match=r"none of the 3 rows is usable: d/t\.csv:2: no audio"):
        run_import(archive, output=tmp_path / "out")


def test_an_archive_does_not_fill_the_disk(tmp_path: Path, monkeypatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.wav", bytes(3_000_000))
    monkeypatch.setattr(unpacking, "_ALWAYS_BYTES", 1_000_000)
    (tmp_path / "into").mkdir()
    with pytest.raises(DamagedSourceError, match="which is no data set's"):
        unpack(tmp_path / "bomb.zip", tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())


def test_a_tar_cut_in_the_middle(tmp_path: Path) -> None:
    """With --keep-going as far as it goes, else nothing."""
    sounds = clips(tmp_path / "d", "a.wav", "b.wav")
    (tmp_path / "d/a.txt").write_text(TEXTS[0])
    (tmp_path / "d/b.txt").write_text(TEXTS[1])
    archive = packed("tar", tmp_path / "d", tmp_path / "data")
    whole = archive.read_bytes()
    at = whole.index(b"d/b.wav")
    archive.write_bytes(whole[: at + 2000])
    with pytest.raises(UserError, match=r"cannot be unpacked.*--keep-going takes what can be read"):
        run_import(archive, output=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    result = run_import(archive, output=tmp_path / "out", keep_going=True)
    result.holds(TEXTS[:1], sounds[:1])
    assert "cannot be unpacked" in result.imported.sources[0].damaged[0]


def test_a_table_cut_in_the_middle(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "d", "a.wav", "b.wav")
    rows = [{"audio_filepath": f"{name}.wav", "text": TEXTS[i]} for i, name in enumerate("ab")]
    cut = gzip.compress("".join(f"{json.dumps(row)}\n" for row in rows).encode())[:-9]
    (tmp_path / "d/m.jsonl.gz").write_bytes(cut)
    with pytest.raises(UserError, match="damaged gzip"):
        run_import(tmp_path / "d/m.jsonl.gz", output=tmp_path / "out")
    supervision = {"id": "s", "recording_id": "a", "start": 0, "duration": 0.4, "text": TEXTS[0]}
    source = {"type": "file", "channels": [0], "source": "a.wav"}
    recording = {"id": "a", "duration": 0.4, "sources": [source]}
    cuts = [
        {"id": i, "start": 0, "duration": 0.4, "recording": recording, "supervisions": [s]}
        for i in range(2000)
        for s in [supervision | {"text": f"{TEXTS[0]} {i}"}]
    ]
    whole = gzip.compress("".join(f"{json.dumps(cut)}\n" for cut in cuts).encode())
    (tmp_path / "d/m.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    result = run_import(tmp_path / "d", output=tmp_path / "kept", keep_going=True, link=True)
    assert 100 < len(result.rows) < 1900
    assert result.texts[0] == f"{TEXTS[0]} 0"
    assert "damaged gzip" in result.imported.sources[0].damaged[0]
    assert len(sounds[0]) == 6400


def test_one_of_several_files_is_damaged(tmp_path: Path) -> None:
    audio = [{"bytes": b"no sound", "path": "a.wav"}]
    columns = {"audio": audio, "text": ["x"]}
    good = {"audio": [{"bytes": (write(tmp_path / "x.wav", sound(0))).read_bytes(), "path": "a"}]}
    folder = tmp_path / "p"
    folder.mkdir()
    pq.write_table(pa.table(good | {"text": [TEXTS[0]]}), folder / "1.parquet")
    (folder / "2.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table(columns), folder / "3.parquet")
    with pytest.raises(UserError, match=r"2\.parquet: behind row 0"):
        run_import(folder, output=tmp_path / "none")
    result = run_import(folder, output=tmp_path / "out", keep_going=True)
    result.holds(TEXTS[:1], [sound(0)])
    assert result.reasons == [("3.parquet:1", "unreadable")]
    assert len(result.imported.sources[0].damaged) == 1


def test_a_damaged_table_among_others(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "d", "a.wav", "long/b.wav")
    table(tmp_path / "d", ("a.wav", TEXTS[0]))
    (tmp_path / "d/u.xlsx").write_bytes(b"PK and no more")
    with pytest.raises(UserError, match=r"u\.xlsx: is no Excel file.*--keep-going takes"):
        run_import(tmp_path / "d", output=tmp_path / "none")
    run_import(tmp_path / "d", output=tmp_path / "out", keep_going=True).holds(
        TEXTS[:1], sounds[:1]
    )
    both = (tmp_path / "d/u.xlsx", tmp_path / "d/t.csv")
    result = run_import(*both, output=tmp_path / "both", keep_going=True)
    result.holds(TEXTS[:1], sounds[:1])
    assert [s.recognised for s in result.imported.sources] == ["damaged", "table (CSV, TSV, XLSX)"]


def test_a_recording_in_which_the_script_is_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "hear", lambda self, recording, longest_s: [])
    write(tmp_path / "talk.wav", sound(1, 61))
    (tmp_path / "talk.txt").write_text("All that was said.")
    with pytest.raises(UserError, match="no words were heard in the recording"):
        run_import(tmp_path, output=tmp_path.parent / "out")


ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("head", [ENTITY, BOMB])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_of_an_eaf_are_not_opened(tmp_path: Path, head: str, encoding: str) -> None:
    clips(tmp_path, "talk.wav")
    content = f'<?xml version="1.0" encoding="{encoding}"?>{head}<ANNOTATION_DOCUMENT/>'
    (tmp_path / "talk.eaf").write_bytes(content.encode(encoding))
    with pytest.raises(UserError, match=r"entities, which ELAN does not write|UTF-16"):
        run_import(tmp_path / "talk.eaf", output=tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("talk.eaf", b"<ANNOTATION_DOCUMENT", "open it in ELAN"),
        ("talk.TextGrid", b"no grid", "open it in Praat"),
        ("talk.vtt", b"00:01 --> nothing", "as subtitles"),
        ("talk.json", b'{"segments": [{"start": 0,', "nothing that is known"),
        ("talk.srt", b"", "no rows|as subtitles"),
        ("talk.stm", b"one two\n", "bad row: has 2 fields"),
        ("t.csv", b"\0\0\0\0", "nothing that is known"),
        ("t.csv", b"", "nothing that is known"),
        ("t.zip", b"PK and no more", "cannot be unpacked"),
        ("t.parquet", b"PAR1", "no whole parquet"),
        ("t.bin", os.urandom(1000), "nothing that is known"),
    ],
)
def test_a_file_that_is_none_is_one_line(
    tmp_path: Path, capsys, name: str, content: bytes, says: str
) -> None:
    clips(tmp_path, "talk.wav")
    (tmp_path / name).write_bytes(content)
    assert main(["import", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert any(part in err for part in says.split("|")), err
    assert {p.name for p in tmp_path.iterdir()} == {"talk.wav", name}


def test_where_it_would_be_written_is_looked_at_first(tmp_path: Path, capsys) -> None:
    clips(tmp_path / "d", "a.wav")
    source = str(table(tmp_path / "d", ("a.wav", TEXTS[0])))
    (tmp_path / "there").mkdir()
    for words, says in (
        ([source], "--output is missing"),
        ([source, "--output", str(tmp_path / "there")], "is there already"),
        (["--output", "x"], "names no source"),
        ([str(tmp_path / "d"), "--output", str(tmp_path / "d/out")], "lies inside"),
        ([source, "--output", "x", "--max-clip-s", "40"], "give 1 to 30 seconds"),
        ([source, "--output", "x", "--format", "cvs"], "--format cvs: is unknown"),
        ([str(tmp_path / "gone"), "--output", "x"], "no such file or folder"),
    ):
        assert main(["import", *words]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert not list((tmp_path / "there").iterdir())
    assert not Path("x").exists()


def test_names_of_files_are_made_safe_and_stay_apart(tmp_path: Path) -> None:
    names = ("ä ö.wav", "A.wav", "a.flac", "x/a.wav", "CON?.wav", "..hidden .wav")
    sounds = clips(tmp_path / "d", *names)
    table(tmp_path / "d", *((name, f"Text {i}.") for i, name in enumerate(names)))
    result = run_import(tmp_path / "d")
    result.holds([f"Text {i}." for i in range(len(names))], sounds)
    files = [u.audio_filepath.relative_to(result.folder).as_posix() for u in result.rows]
    assert len({name.casefold() for name in files}) == len(names)
    assert files[4:] == ["audio/CON.flac", "audio/hidden.flac"]


def test_a_killed_import_leaves_no_half_data_set(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav", "b.wav")
    table(tmp_path / "d", ("a.wav", TEXTS[0]), ("b.wav", TEXTS[1]))
    code = f"""
        import os
        from moontune.importing import clips
        from moontune.cli import main
        written = clips.write_flac
        def killed(path, samples):
            written(path, samples)
            if path.name == "b.flac":
                os._exit(9)
        clips.write_flac = killed
        main(["import", {str(tmp_path / "d")!r}, "--output", {str(tmp_path / "out")!r}])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    assert done.returncode == 9
    assert not (tmp_path / "out").exists()
    left = {p.suffix for p in tmp_path.iterdir() if p.name != "d"}
    assert left == {".unfinished", ".lock"}
    run_import(tmp_path / "d", output=tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"d", "out"}


def test_nothing_of_the_users_is_changed(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav", "b.wav")
    table(tmp_path / "d", ("a.wav", TEXTS[0]), ("b.wav", TEXTS[1]))
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "d").iterdir()}
    for link in (False, True):
        run_import(tmp_path / "d", output=tmp_path / f"out{link}", link=link)
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "d").iterdir()}
    assert after == before


def test_what_a_run_is_given_damaged_is_told_as_what_it_is(tmp_path: Path, capsys) -> None:
    """It was read as a manifest, and found to be none."""
    for name, says in (("t.xlsx", "no Excel file"), ("t.parquet", "no whole parquet file")):
        (tmp_path / name).write_bytes(b"PK\3\4 and nothing else")
        runs = ["--output-dir", str(tmp_path / "runs"), "--run-name", "r"]
        assert main(["sample", "--manifest", str(tmp_path / name), *runs]) == 2
        assert says in capsys.readouterr().err
    (tmp_path / "t.zip").write_bytes(b"PK\3\4 and nothing else")
    assert main(["sample", "--manifest", str(tmp_path / "t.zip"), *runs]) == 2
    assert "moontune import --keep-going takes what can be read" in capsys.readouterr().err


def test_what_is_damaged_of_a_folder_does_not_hide_the_rest(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav")
    (tmp_path / "d/a.txt").write_text(TEXTS[0])
    (tmp_path / "d/t.xlsx").write_bytes(b"PK\3\4 and nothing else")
    with pytest.raises(UserError, match=r"t\.xlsx: is no Excel file"):
        run_import(tmp_path / "d", output=tmp_path / "out")
    result = run_import(tmp_path / "d", output=tmp_path / "out", keep_going=True)
    assert result.texts == [TEXTS[0]]
    assert "t.xlsx" in result.imported.sources[0].damaged[0]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("validated.tsv", "client_id\tpath\tsentence\nx\ta.wav\tOne.\nx\ta.wav\t"),
        ("metadata.csv", "a|One.\na|"),
        ("table.csv", "path,text\na.wav,One.\na.wav,"),
        ("notes.txt", "one,two\nthree,four\n"),
    ],
)
def test_a_line_without_end_costs_its_own_row(tmp_path: Path, name: str, before: str) -> None:
    clips(tmp_path / "d/wavs", "a.wav")
    (tmp_path / "d/wavs/a.txt").write_text("One.")
    (tmp_path / "d" / name).write_text(f"{before}{'word ' * 250_000}\n")
    result = run_import(tmp_path / "d")
    assert result.texts == ["One."]
    reasons = [row["detail"] for row in result.left_out if row["reason"] == "bad row"]
    assert reasons == (
        [] if name == "notes.txt" else ["text has 1249999 characters, at most 20000"]
    )


def test_of_several_members_of_one_name_the_last_is_meant(tmp_path: Path) -> None:
    """As `tar -r` appends what has changed."""
    sounds = clips(tmp_path / "d", "a.wav")
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        for text in ("Before.", "Afterwards."):
            (tmp_path / "d/a.txt").write_text(text)
            file.add(tmp_path / "d", "d")
    run_import(tmp_path / "x.tar", output=tmp_path / "out").holds(["Afterwards."], sounds)


def test_a_damaged_member_packed_by_lzma_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.wav", sound(0).tobytes())
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[60:200] = bytes(byte ^ 0x5A for byte in content[60:200])
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match="cannot be unpacked"):
        run_import(tmp_path / "x.zip", output=tmp_path / "out")


def test_where_nothing_is_left_of_what_is_damaged_that_is_told(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav")
    (tmp_path / "d/a.vtt").write_text("no subtitles\n")
    with pytest.raises(UserError, match=r"a\.vtt: cannot be read as subtitles.*nothing could be"):
        run_import(tmp_path / "d", keep_going=True)
