"""Decisions are on the disk before they are answered, follow their rows, and can be taken back."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import pytest
from review_desk import Opened, data_of, rows_of, write_set

from moontune.data.manifest import read_run_manifest
from moontune.errors import UserError
from moontune.web.corrected_clips import GoneError

TEXTS = ("one", "two", "three", "four", "five")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_set(tmp_path, TEXTS)


def texts(opened: Opened) -> list[str]:
    return [row["text"] for row in opened.write()]


def test_what_was_decided_is_there_at_the_next_start(manifest: Path) -> None:
    before = manifest.read_bytes()
    with Opened(data_of(manifest)) as first:
        a, b, c, d, _ = first.keys
        first.review.decide(a, "keep")
        first.review.decide(b, "keep", "zwei")
        first.review.decide(c, "drop", reason="noise")
        first.review.decide(d, "edit", "vier")
    with Opened(data_of(manifest)) as second:
        rows = second.write()
        assert [row["text"] for row in rows] == ["one", "zwei", "vier", "five"]
        assert [row.get("reviewed") for row in rows] == [True, True, None, None]
        assert [row.get("original_text") for row in rows] == [None, "two", "four", None]
        figures = second.review.figures()
        assert (figures.clips, figures.reviewed, figures.changed, figures.dropped) == (5, 3, 2, 1)
        [gone] = rows_of(manifest.parent / "reviewed.left_out.jsonl")
        assert (gone["row"], gone["reason"], gone["text"]) == (3, "noise", "three")
        [clip] = read_run_manifest(manifest.parent / "reviewed.left_out.jsonl")
        assert clip.audio_filepath == second.review.clip(c).utterance.audio_filepath
    assert manifest.read_bytes() == before


def test_every_step_can_be_undone_also_after_a_restart(manifest: Path) -> None:
    with Opened(data_of(manifest)) as first:
        a, b, c, *_ = first.keys
        first.review.decide(a, "edit", "eins")
        first.review.decide(a, "keep")
        first.review.split(b, 0.5, 1.1, ("t", "wo"))
        part = first.review.clips()[1]
        first.review.decide(part.key, "keep", "tt")
        assert first.review.undo() == part.key
        first.review.decide(c, "drop")
    with Opened(data_of(manifest)) as second:
        assert texts(second) == ["eins", "t", "wo", "four", "five"]
        assert [second.review.undo() for _ in range(5)] == [c, b, a, a, None]
        assert second.write() == rows_of(manifest)
        assert second.review.figures().reviewed == 0
    with Opened(data_of(manifest)) as third:
        assert third.review.undo() is None
        assert texts(third) == list(TEXTS)


def test_a_part_of_another_cut_is_another_clip(manifest: Path) -> None:
    with Opened(data_of(manifest)) as opened:
        whole = opened.keys[0]
        opened.review.split(whole, 0.4, 1.0, ("a", "b"))
        first = opened.review.clips()[0]
        opened.review.decide(first.key, "drop")
        opened.review.undo()
        opened.review.undo()
        opened.review.split(whole, 0.6, 1.0, ("c", "d"))
        assert texts(opened)[:2] == ["c", "d"]
        with pytest.raises(GoneError):
            opened.review.decide(first.key, "keep")


def test_a_kill_at_any_byte_loses_nothing_that_was_answered(manifest: Path) -> None:
    with Opened(data_of(manifest)) as opened:
        for key, text in zip(opened.keys[:3], ("EINS", "ZWEI", "größer"), strict=True):
            opened.review.decide(key, "keep", text)
    journal = manifest.parent / "review.jsonl"
    whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(ends[0], len(whole) + 1, 7):
        journal.write_bytes(whole[:cut])
        answered = sum(end <= cut for end in ends[1:])
        with Opened(data_of(manifest)) as again:
            assert again.review.figures().reviewed == answered
            again.review.decide(again.keys[4], "drop")  # goes on behind what was cut off
        with Opened(data_of(manifest)) as again:
            assert again.review.figures().reviewed == answered + 1
            assert not again.told


def test_decisions_follow_their_rows_and_no_others(manifest: Path) -> None:
    with Opened(data_of(manifest)) as opened:
        opened.review.decide(opened.keys[1], "drop")
        opened.review.decide(opened.keys[2], "keep", "drei")
    lines = manifest.read_text().splitlines()
    other = json.dumps(json.loads(lines[2]) | {"text": "thirty"})
    manifest.write_text("\n".join([lines[4], lines[3], other, lines[1], lines[0]]) + "\n")
    with Opened(data_of(manifest)) as opened:
        assert texts(opened) == ["five", "four", "thirty", "one"]
        assert "1 row that was decided on is not in it any more" in opened.told[0]
        assert opened.review.undo() is not None  # of the row that is there
        assert opened.review.undo() is None
    manifest.write_text("\n".join(lines) + "\n")
    with Opened(data_of(manifest)) as opened:  # once it is back, its decision holds again
        assert texts(opened) == ["one", "two", "drei", "four", "five"]


def test_equal_rows_are_decided_on_one_by_one(manifest: Path) -> None:
    line = manifest.read_text().splitlines()[0]
    manifest.write_text(f"{line}\n{line}\n")
    with Opened(data_of(manifest)) as opened:
        assert len(set(opened.keys)) == 2
        opened.review.decide(opened.keys[1], "keep", "eins")
    with Opened(data_of(manifest)) as opened:
        assert texts(opened) == ["one", "eins"]


def test_two_reviews_at_once_are_refused_and_later_ones_are_not(manifest: Path) -> None:
    with Opened(data_of(manifest)):
        with pytest.raises(UserError, match="works on it; go on there") as refused:
            Opened(data_of(manifest))
        assert "\n" not in str(refused.value)
        Opened(data_of(manifest, manifest.parent / "other/mine.jsonl")).close()
    Opened(data_of(manifest)).close()


def test_what_cannot_be_saved_is_not_taken_for_done(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with Opened(data_of(manifest)) as opened:

        def full(handle: int, content: bytes) -> int:
            write(handle, content[:5])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("moontune.review.journal.os.write", full)
        with pytest.raises(UserError, match="not saved"):
            opened.review.decide(opened.keys[0], "drop")
        assert opened.review.figures().dropped == 0
        monkeypatch.undo()
        opened.review.decide(opened.keys[1], "drop")
    with Opened(data_of(manifest)) as opened:
        assert texts(opened) == ["one", "three", "four", "five"]
        assert not opened.told


def test_files_of_others_are_not_written_over(manifest: Path) -> None:
    folder = manifest.parent
    (folder / "reviewed.jsonl").write_text("mine\n")
    with pytest.raises(UserError, match="no review wrote it"):
        Opened(data_of(manifest))
    (folder / "reviewed.jsonl").unlink()
    other = folder / "other.jsonl"
    other.write_bytes(manifest.read_bytes())
    Opened(data_of(other)).close()
    for data, says in (
        (data_of(manifest), "is the review of other.jsonl"),
        (data_of(manifest, manifest), "is what a review writes"),
        (data_of(manifest, folder / "x.csv"), "ends in .jsonl"),
        (data_of(folder / "review.jsonl"), "is a file of a review"),
    ):
        with pytest.raises(UserError, match=says):
            Opened(data)
    (folder / "review.jsonl").write_text("mine\n")
    with pytest.raises(UserError, match="is no journal"):
        Opened(data_of(manifest))
    assert (folder / "review.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["review.jsonl", "review.heard.jsonl"])
def test_links_are_not_written_through(manifest: Path, name: str) -> None:
    victim = manifest.parent / "victim"
    victim.write_text("mine\n")
    (manifest.parent / name).symlink_to(victim)
    with pytest.raises(UserError, match="give --output another folder"):
        Opened(data_of(manifest))
    assert victim.read_text() == "mine\n"


def test_a_damaged_line_is_told_and_the_others_hold(manifest: Path) -> None:
    with Opened(data_of(manifest)) as opened:
        opened.review.decide(opened.keys[0], "drop")
    with open(manifest.parent / "review.jsonl", "a") as stream:
        stream.write("{}\n[1\n")
    with Opened(data_of(manifest)) as opened:
        assert "2 lines of" in opened.told[0]
        assert opened.review.figures().dropped == 1


@pytest.mark.parametrize("text", ["", " \n ", "a\u202eb", "x" * 6_000, "\ud800"])
def test_a_text_that_cannot_be_is_refused(manifest: Path, text: str) -> None:
    with Opened(data_of(manifest)) as opened:
        with pytest.raises(UserError):
            opened.review.decide(opened.keys[0], "keep", text)
        assert opened.review.figures().reviewed == 0


def test_the_files_are_as_private_as_the_manifest(manifest: Path) -> None:
    manifest.chmod(0o600)
    with Opened(data_of(manifest)) as opened:
        opened.review.decide(opened.keys[0], "drop")
        opened.write()
    names = ("review.jsonl", "reviewed.jsonl", "reviewed.left_out.jsonl", "review.heard.jsonl")
    assert {(manifest.parent / name).stat().st_mode & 0o777 for name in names} == {0o600}


def test_gzip_and_arrays_are_reviewed_too(manifest: Path) -> None:
    rows = rows_of(manifest)
    packed, array = manifest.parent / "p/m.jsonl.gz", manifest.parent / "a/m.json"
    for file, content in (
        (packed, gzip.compress(manifest.read_bytes())),
        (array, json.dumps(rows).encode()),
    ):
        file.parent.mkdir()
        file.write_bytes(content)
        with Opened(data_of(file)) as opened:
            opened.review.decide(opened.keys[1], "drop")
            assert opened.write() == [rows[0], *rows[2:]]


def test_a_journal_is_of_one_manifest_wherever_both_are_moved(tmp_path: Path) -> None:
    one, other = (write_set(tmp_path / name, TEXTS) for name in "ab")
    output = tmp_path / "out/reviewed.jsonl"
    with Opened(data_of(one, output)) as opened:
        opened.review.decide(opened.keys[0], "drop")
    with pytest.raises(UserError, match=r"is the review of \.\./a/"):
        Opened(data_of(other, output))
    (tmp_path / "a").rename(tmp_path / "moved")  # alone
    with Opened(data_of(tmp_path / "moved" / one.name, output)) as opened:
        assert opened.review.figures().dropped == 1
    (tmp_path / "together").mkdir()
    for name in ("b", "out"):
        (tmp_path / name).rename(tmp_path / "together" / name)
    (tmp_path / "together/b").rename(tmp_path / "together/a")
    with Opened(
        data_of(tmp_path / "together/a" / one.name, tmp_path / "together/out/reviewed.jsonl")
    ):
        pass
