"""The folder of kept clips: what is listed, changed and deleted, and what nothing can lose."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from builders import noise

from moontune.data.audio import write_flac
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.web.corrected_clips import CorrectedClips, GoneError

CLIP = noise(1, 0.5)


def texts(clips) -> list[str]:
    return [clip.utterance.text for clip in clips]


@pytest.fixture
def kept(tmp_path: Path) -> CorrectedClips:
    made = CorrectedClips(tmp_path / "kept")
    for text in ("one", "two", "three"):
        made.add(CLIP, text, "ann")
    return made


def test_what_others_wrote_is_listed_and_changed_in_its_own_words(tmp_path: Path) -> None:
    write_flac(tmp_path / "a.flac", CLIP)
    rows = [
        b'\xef\xbb\xbf{"path": "a.flac", "sentence": "olde", "client_id": 7, "up_votes": 2}',
        b'{"half": ',
        b"",
        b'{"audio": "gone.flac",  "transcript": "there", "target": "There."}',
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(b"\r\n".join(rows))
    kept = CorrectedClips(tmp_path)
    listed = kept.listed()
    assert texts(listed.clips) == ["olde", "there"]
    assert [clip.has_audio for clip in listed.clips] == [True, False]
    assert listed.unreadable == 1
    kept.change(listed.clips[0].key, "old", "7")
    kept.change(listed.clips[1].key, "their", "ben")
    lines = manifest.read_bytes().split(b"\n")
    assert json.loads(lines[0]) == {
        "path": "a.flac",
        "sentence": "old",
        "client_id": "7",
        "up_votes": 2,
    }
    assert lines[1:3] == [b'{"half": \r', b"\r"]  # to the byte
    assert json.loads(lines[3]) == {"audio": "gone.flac", "transcript": "their", "speaker": "ben"}


def test_a_deletion_can_be_undone_and_leaves_the_very_file(kept: CorrectedClips) -> None:
    before = kept.manifest.read_bytes()
    middle = kept.listed().clips[1]
    kept.delete(middle.key)
    assert texts(kept.listed().clips) == ["one", "three"]
    assert [u.text for u in read_manifest(kept.manifest)[0]] == ["one", "three"]
    assert middle.has_audio
    again = CorrectedClips(kept.folder)  # another start
    assert texts(again.listed().deleted) == ["two"]
    again.restore(middle.key)
    assert kept.manifest.read_bytes() == before
    assert again.listed().deleted == []
    with pytest.raises(GoneError):
        again.restore(middle.key)


def test_what_is_erased_is_gone_and_nothing_else(kept: CorrectedClips, tmp_path: Path) -> None:
    outside, shared = tmp_path / "mine.flac", kept.folder / "audio/shared.flac"
    link = kept.folder / "audio/link.flac"
    for file in (outside, shared):
        write_flac(file, CLIP)
    link.symlink_to(outside)
    with kept.manifest.open("a") as stream:
        for name in (str(outside), "audio/shared.flac", "audio/shared.flac", "audio/link.flac"):
            text = f"{name} {stream.tell()}"
            stream.write(json.dumps({"audio": name, "text": text, "duration": 0.5}) + "\n")
    one, _, _, *others = kept.listed().clips
    for clip in (one, others[0], others[1], others[3]):
        kept.delete(clip.key)
    assert kept.erase() == 1
    assert not one.has_audio
    assert outside.is_file()
    assert shared.is_file()  # another row names it
    assert link.is_symlink()
    assert kept.listed().deleted == []
    assert [clip.has_audio for clip in kept.listed().clips] == [True] * 3


@pytest.mark.parametrize("work", ["add", "change", "delete", "restore"])
@pytest.mark.parametrize("ends_at", [1, 2])
def test_a_crash_in_the_middle_loses_nothing(
    kept: CorrectedClips, monkeypatch: pytest.MonkeyPatch, work: str, ends_at: int
) -> None:
    kept.delete(kept.listed().clips[0].key)
    first, gone = kept.listed().clips[0], kept.listed().deleted[0]
    replace, calls = os.replace, []

    def dies(*words) -> None:
        calls.append(words)
        if len(calls) == ends_at:
            raise KeyboardInterrupt
        replace(*words)

    works = {
        "add": lambda: kept.add(CLIP, "four", ""),
        "change": lambda: kept.change(first.key, "five", ""),
        "delete": lambda: kept.delete(first.key),
        "restore": lambda: kept.restore(gone.key),
    }
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(os, "replace", dies)
        works[work]()
    listed = CorrectedClips(kept.folder).listed()
    known = texts(listed.clips) + texts(listed.deleted)
    assert {"one", "three"} <= set(known)
    assert len({"two", "five"} & set(known)) == 1
    assert len(known) == len(set(known))
    for clip in listed.deleted:  # and it can be gone on with
        kept.restore(clip.key)
    assert kept.add(CLIP, "six", "") == len(known) + 1
    assert len(calls) == ends_at or work == "change"  # which writes one file
    assert not list(kept.folder.rglob("*.unfinished"))


def test_several_write_at_once_and_no_row_is_lost(kept: CorrectedClips) -> None:
    """Also those of another process: each of these has no thread's lock of the other's."""

    def work(number: int) -> None:
        own = CorrectedClips(kept.folder)
        for i in range(4):
            own.add(CLIP, f"{number} {i}", "")
            clip = next(c for c in own.listed().clips if c.utterance.text == f"{number} {i}")
            clip = own.change(clip.key, f"{number} {i} mended", "")
            if i == 3:
                own.delete(clip.key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = kept.listed()
    expected = {f"{n} {i} mended" for n in range(6) for i in range(4)}
    assert set(texts(listed.clips)) == {"one", "two", "three"} | {
        t for t in expected if " 3 " not in t
    }
    assert set(texts(listed.deleted)) == {t for t in expected if " 3 " in t}


def test_a_row_that_was_changed_meanwhile_is_not_overwritten(kept: CorrectedClips) -> None:
    key = kept.listed().clips[0].key
    CorrectedClips(kept.folder).change(key, "by another page", "")
    for work in (lambda: kept.change(key, "mine", ""), lambda: kept.delete(key)):
        with pytest.raises(GoneError, match="changed meanwhile"):
            work()
    assert texts(kept.listed().clips)[0] == "by another page"


@pytest.mark.parametrize(("text", "speaker"), [("", ""), ("a\u202eb", ""), ("a", "b\0")])
def test_a_change_takes_what_keeping_takes(kept: CorrectedClips, text: str, speaker: str) -> None:
    before = kept.manifest.read_bytes()
    with pytest.raises(UserError):
        kept.change(kept.listed().clips[0].key, text, speaker)
    assert kept.manifest.read_bytes() == before


def test_the_files_stay_their_owners_alone(kept: CorrectedClips) -> None:
    kept.delete(kept.listed().clips[0].key)
    for name in ("manifest.jsonl", "deleted.jsonl"):
        assert (kept.folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b' [\n{"audio": "a.wav"}]', b"\x1f\x8b\x08 packed"])
def test_a_manifest_that_rows_cannot_be_added_to_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(content)
    with pytest.raises(UserError, match="give another folder"):
        CorrectedClips(tmp_path)


def test_pipes_and_links_are_answers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.jsonl")
    with pytest.raises(UserError, match="no regular file"):
        CorrectedClips(tmp_path).listed()
    (tmp_path / "manifest.jsonl").unlink()
    (tmp_path / "deleted.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link"):
        CorrectedClips(tmp_path).listed()
