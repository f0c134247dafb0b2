"""Label Studio's exports as JSON lines, where they are taken for a manifest, and as tables."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from imports import TEXTS, Result, clips, run_import

from moontune.config.schema import DataConfig, OutputConfig, RunConfig
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.importing.formats.manifest import is_manifest
from moontune.importing.on_the_way import with_imported


def stretched(audio: str, number: int = 1, name: str = "labels", **more: Any) -> dict[str, Any]:
    """A record of JSON_MIN with two stretches and their texts."""
    stretches = [
        {"start": 0.0, "end": 0.2, "channel": 0, "labels": ["Speech"]},
        {"start": 0.2, "end": 0.4, "channel": 0, "labels": ["Speech"]},
    ]
    return {
        "audio": audio, "id": number, name: stretches, "transcription": list(TEXTS[:2]),
        "annotator": 1, "annotation_id": number, "updated_at": "2026-03-01T10:00:00Z",
    } | more  # fmt: skip


def one_text(audio: str, text: str, when: str = "2026-03-01", **more: Any) -> dict[str, Any]:
    """A record of JSON_MIN whose only stretch has a text."""
    made = stretched(audio, transcription=text, updated_at=when, **more)
    made["labels"] = made["labels"][:1]
    return made


def task(number: int, audio: str, text: str) -> dict[str, Any]:
    """A task with a text of all of its audio."""
    result = [{"value": {"text": [text]}, "id": "r", "from_name": "transcription",
               "to_name": "audio", "type": "textarea"}]  # fmt: skip
    made = {"id": number, "result": result, "updated_at": "2026-03-01"}
    return {"id": number, "data": {"audio": audio}, "annotations": [made]}


def lines(path: Path, *values: Any) -> Path:
    content = "".join(json.dumps(value) + "\n" for value in values).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.ndjson", "p.jsonl.gz"])
@pytest.mark.parametrize("labels", ["labels", "tricks"])
def test_texts_of_stretches_are_cut_out_of_any_json_lines(
    tmp_path: Path, name: str, labels: str
) -> None:
    [a, b] = clips(tmp_path / "ls", "a.wav", "b.wav")
    records = [stretched("/data/upload/1/0123abcd-a.wav", 1, labels), one_text("b.wav", TEXTS[2])]
    records[1]["id"] = 2
    lines(tmp_path / "ls" / name, *records)
    for source in (tmp_path / "ls", tmp_path / "ls" / name):
        result = run_import(source, output=tmp_path / f"out-{source.name}")
        result.holds(TEXTS, [a[:3200], a[3200:6400], b[:3200]])
        assert result.imported.sources[0].formats == ("label-studio",)


def test_tasks_a_line_each_are_read_and_a_damaged_line_is_told(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    file = lines(tmp_path / "ls/p.jsonl", task(1, "a.wav", TEXTS[0]), task(2, "b.wav", TEXTS[1]))
    file.write_bytes(file.read_bytes() + b'{"id": 3, "data": {"au')
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:2], sounds)
    assert result.reasons == [("p.jsonl:task 3", "bad row")]


def test_several_annotators_a_line_each_have_one_text(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    records = [
        {"audio": "a.wav", "id": 1, "transcription": text, "annotation_id": i,
         "updated_at": f"2026-03-0{i}"} for i, text in ((1, "Wrong."), (2, TEXTS[0]))
    ]  # fmt: skip
    lines(tmp_path / "ls/p.jsonl", *records)
    result = run_import(tmp_path / "ls/p.jsonl", output=tmp_path / "out")
    result.holds(TEXTS[:1], sounds)


def test_as_a_manifest_texts_of_stretches_are_refused(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav")
    file = lines(tmp_path / "ls/p.jsonl", one_text("a.wav", TEXTS[0]))
    assert not is_manifest(file)  # `run --manifest` imports it then
    for source in (file, tmp_path / "ls"):
        with pytest.raises(UserError, match="leave out --format"):
            run_import(source, output=tmp_path / "out", format="manifest")
    with pytest.raises(UserError, match="stretches of the audio"):
        read_manifest(file)


def test_a_record_with_stretches_and_audio_without_suffix_is_not_all_of_the_file(
    tmp_path: Path,
) -> None:
    clips(tmp_path / "ls", "a.wav")
    lines(tmp_path / "ls/p.jsonl", one_text("a", TEXTS[0]))
    with pytest.raises(UserError, match="stretches of the audio"):
        run_import(tmp_path / "ls")


def test_texts_of_stretches_in_a_parquet_file_are_refused(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav")
    pq.write_table(pa.Table.from_pylist([one_text("a.wav", TEXTS[0])]), tmp_path / "ls/p.parquet")
    with pytest.raises(UserError, match="stretches of the audio"):
        run_import(tmp_path / "ls")


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_tasks_whose_audio_has_no_suffix_say_so(tmp_path: Path, suffix: str) -> None:
    clips(tmp_path / "ls", "a.wav")
    tasks = [task(i, "https://host/stream/7", TEXTS[0]) for i in (1, 2)]
    file = tmp_path / f"ls/p{suffix}"
    if suffix == ".json":
        file.write_text(json.dumps(tasks))
    else:
        lines(file, *tasks)
    with pytest.raises(UserError, match=r"Label Studio's tasks, .*stream/7\); write the files'"):
        run_import(file, output=tmp_path / "out")


def test_tasks_of_which_most_lines_are_damaged_do_not_lack_audio(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", task(1, "a.wav", TEXTS[0]))
    file.write_text(file.read_text() + '{"x\n{"y\n')
    with pytest.raises(UserError, match="is JSON lines") as told:
        run_import(file, output=tmp_path / "out")
    assert "names no audio" not in str(told.value)


@pytest.mark.parametrize("more", [{}, {"annotator": "ann"}, {"id": 1, "annotator": "ann"}])
def test_noises_beside_a_text_of_all_are_a_manifests(tmp_path: Path, more: dict[str, Any]) -> None:
    sounds = clips(tmp_path / "m", "a.wav")
    noises = [{"start": 0.0, "end": 0.2, "labels": ["dog"]}]
    row = {"audio": "a.wav", "text": TEXTS[0], **more, "events": noises}
    lines(tmp_path / "m/p.jsonl", row)
    run_import(tmp_path / "m").holds(TEXTS[:1], sounds)
    (tmp_path / "p").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "p/p.parquet")
    (tmp_path / "m/a.wav").rename(tmp_path / "p/a.wav")
    run_import(tmp_path / "p").holds(TEXTS[:1], sounds)


def test_labels_of_words_in_a_parquet_file_are_no_stretches_with_texts(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "p", "a.wav")
    said = [{"start": 0.0, "end": 0.2, "text": "The", "labels": ["word"]}]
    row = {"audio": "a.wav", "id": 1, "text": TEXTS[0], "annotator": "ann", "words": said}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "p/p.parquet")
    run_import(tmp_path / "p").holds(TEXTS[:1], sounds)


def a_row(audio: str, text: str, **more: Any) -> dict[str, Any]:
    """A row of a manifest that another program wrote."""
    return {"audio": audio, "text": text} | more


@pytest.mark.parametrize("name", ["m.jsonl", "m.json"])
@pytest.mark.parametrize(
    "more",
    [
        {"data": {"path": "a.wav"}, "annotations": []},
        {"data": {"path": "a.wav"}, "annotations": [{"id": 1, "result": []}]},
        {"task": {"data": {"path": "a.wav"}}, "result": []},
        {"id": 7, "annotation_id": 1},  # of a session
    ],
)
def test_rows_of_a_manifest_are_no_tasks(tmp_path: Path, name: str, more: dict[str, Any]) -> None:
    sounds = clips(tmp_path / "m", "a.wav", "b.wav")
    rows = [a_row("a.wav", TEXTS[0], **more), a_row("b.wav", TEXTS[1], **more)]
    result = run_import(lines(tmp_path / "m" / name, *rows), output=tmp_path / "out")
    result.holds(TEXTS[:2], sounds)
    assert result.imported.sources[0].formats == ("manifest",)


def test_parts_of_a_recording_are_a_manifests(tmp_path: Path) -> None:
    [a] = clips(tmp_path / "m", "a.wav")
    parts = [
        {"audio": "a.wav", "id": 1, "annotation_id": i, "start": 0.2 * i, "duration": 0.2,
         "text": TEXTS[i]} for i in range(2)
    ]  # fmt: skip
    file = lines(tmp_path / "m/p.jsonl", *parts)
    run_import(file, output=tmp_path / "out").holds(TEXTS[:2], [a[:3200], a[3200:]])


def test_a_manifest_is_taken_before_tasks_beside_it(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "m", "a.wav", "b.wav")
    lines(tmp_path / "m/export.jsonl", task(1, "a.wav", "Not yet."))
    lines(tmp_path / "m/train.jsonl", a_row("a.wav", TEXTS[0]), a_row("b.wav", TEXTS[1]))
    run_import(tmp_path / "m").holds(TEXTS[:2], sounds)


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
    told = 'annotated twice: 1 recording, the latest text is taken, by "updated_at"'
    assert told in result.told[1]
    assert 'not used: "annotator", "annotation_id"' in result.told[1]


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


def test_rows_of_audio_that_is_not_there_say_so(tmp_path: Path) -> None:
    gone = (row("a", FIRST, audio="x.wav"), row("b", LATER, audio="x.wav"))
    result = imported(tmp_path / "t", *gone)
    assert [reason for _, reason in result.reasons] == ["no audio", "no audio"]
    assert "annotated twice" not in result.told[1]


def test_of_another_programs_annotators_both_texts_are_taken_and_told(tmp_path: Path) -> None:
    rows = [("a.wav", text, name, day) for text, name, day in
            ((TEXTS[0], "ann", FIRST), (TEXTS[0].lower(), "bob", LATER))]  # fmt: skip
    clips(tmp_path / "t", "a.wav")
    with open(tmp_path / "t/x.csv", "w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("path", "text", "annotator", "updated_at"), *rows])
    result = run_import(tmp_path / "t")
    assert result.texts == [TEXTS[0], TEXTS[0].lower()]
    assert any(line.startswith("1 clip has several texts") for line in result.told)


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


@pytest.mark.parametrize(
    "cell",
    ['{"start": 0, "end": 1, "text": ["One.", "Two."]}', '[{"text": ["One."]}]', '["One.", 2]'],
)
def test_json_in_a_cell_is_no_text(tmp_path: Path, cell: str) -> None:
    result = imported(tmp_path / "t", row(cell, FIRST))
    assert result.texts == [TEXTS[2]]
    assert result.reasons == [("export.csv:2", "bad row")]


def test_what_only_begins_as_json_is_a_text(tmp_path: Path) -> None:
    assert imported(tmp_path / "t", row("{noise} Hello.", FIRST)).texts[0] == "{noise} Hello."


def test_a_run_imports_them_and_takes_them_for_no_manifest(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav")
    file = lines(tmp_path / "ls/p.jsonl", stretched("a.wav"))
    data = DataConfig(manifest=(file,))
    config = RunConfig(data=data, output=OutputConfig(output_dir=tmp_path / "outputs"))
    made = with_imported(config, lambda text: None).data.manifest or ()
    assert len(made) == 1
    assert [(u.text, u.offset) for u in read_manifest(made[0])[0]] == [
        (TEXTS[0], 0.0),
        (TEXTS[1], 0.2),
    ]
