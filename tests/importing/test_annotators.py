"""Tables in which several annotators wrote of one recording, as Label Studio's CSV has them."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest
from imports import TEXTS, Result, clips, run_import

HEAD = ("audio", "id", "transcription", "annotator", "annotation_id", "updated_at")
FIRST, LATER = "2026-03-01T10:00:00.5Z", "2026-03-02T10:00:00Z"


def imported(folder: Path, *rows: tuple[str, ...], head: tuple[str, ...] = HEAD) -> Result:
    """What comes of a.wav, b.wav and a table, a row of which is of b.wav."""
    clips(folder, "a.wav", "b.wav")
    other = ("b.wav", "9", TEXTS[2], "1", "9", FIRST, "")[: len(head)]
    with open(folder / "export.csv", "w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([head, *rows, other])
    result = run_import(folder)
    assert result.texts[-1] == TEXTS[2]
    return result


def row(text: str, when: str, number: str = "1", audio: str = "a.wav") -> tuple[str, ...]:
    return audio, number, text, "ann@example.org", "17", when


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx"])
def test_of_several_annotators_the_latest_text_is_taken(tmp_path: Path, suffix: str) -> None:
    sounds = clips(tmp_path / "t", "a.wav", "b.wav")
    rows = [HEAD, row("Wrong.", FIRST), row(TEXTS[0], LATER), row("", "2026-04-01"),
            row(TEXTS[1], FIRST, "2", "/data/upload/1/0123abcd-b.wav")]  # fmt: skip
    file = tmp_path / f"t/export{suffix}"
    if suffix == ".xlsx":
        book = openpyxl.Workbook()
        assert book.active is not None
        for one in rows:
            book.active.append(one)
        book.save(file)
    else:
        with open(file, "w", encoding="utf-8", newline="") as out:
            csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",").writerows(rows)
    result = run_import(tmp_path / "t")
    result.holds(TEXTS[:2], sounds)
    assert sorted(reason for _, reason in result.reasons) == ["listed twice", "no text"]
    assert "annotated twice: 1 recording, the latest text is taken" in result.told[1]


def test_the_ground_truth_is_taken_before_the_latest(tmp_path: Path) -> None:
    head = (*HEAD, "ground_truth")
    rows = [(*row(TEXTS[0], FIRST), "True"), (*row("Wrong.", LATER), "False")]
    assert imported(tmp_path / "t", *rows, head=head).texts == [TEXTS[0], TEXTS[2]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (row(TEXTS[0], ""), row(TEXTS[1], "")),
        (row(TEXTS[0], FIRST), row(TEXTS[1], FIRST)),
        (row(TEXTS[0], "02.03.2026 10:00"), row(TEXTS[1], "01.04.2026 10:00")),  # days, as Excel's
        (row(TEXTS[0], FIRST, "1"), row(TEXTS[1], LATER, "2")),  # of two tasks
        (row(TEXTS[0], FIRST), row(TEXTS[1], LATER, audio="/data/upload/1/0123abcd-a.wav")),
    ],
)
def test_where_it_is_not_told_which_text_counts_none_is_taken(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    result = imported(tmp_path / "t", first, second)
    assert result.texts == [TEXTS[2]]
    assert result.reasons == [("export.csv:2", "another text"), ("export.csv:3", "another text")]
    assert "left out: 2 rows of recordings with several texts, keep one of each" in result.told[1]


def test_annotators_who_agree_are_one(tmp_path: Path) -> None:
    result = imported(tmp_path / "t", row(TEXTS[0], ""), row(TEXTS[0], ""))
    assert result.texts == [TEXTS[0], TEXTS[2]]
    assert [reason for _, reason in result.reasons] == ["listed twice"]


def test_stretches_of_one_recording_are_each_what_they_are(tmp_path: Path) -> None:
    head = ("audio", "transcription", "annotator", "start", "end")
    clips(tmp_path / "t", "a.wav")
    with open(tmp_path / "t/x.csv", "w", encoding="utf-8", newline="") as out:
        rows = [("a.wav", TEXTS[0], "ann", 0, 0.2), ("a.wav", TEXTS[1], "ann", 0.2, 0.4)]
        csv.writer(out).writerows([head, *rows])
    assert run_import(tmp_path / "t").texts == list(TEXTS[:2])
