"""Label Studio's exports: of whole recordings, of stretches, of several annotators."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import TEXTS, clips, run_import, sound, write

from moontune.errors import UserError


def of_whole(text: str, field: str = "transcription") -> dict[str, Any]:
    """A text of all of the audio."""
    return {
        "value": {"text": [text]}, "id": "all", "from_name": field, "to_name": "audio",
        "type": "textarea", "origin": "manual",
    }  # fmt: skip


def of_stretch(
    number: int, start: float, end: float, text: str | None, label: str = "Speech", channel: int = 0
) -> list[dict[str, Any]]:
    """What is told of a stretch: its label, and its text where there is one."""
    stretch = {"start": start, "end": end, "channel": channel}
    shared = {"id": f"r{number}", "to_name": "audio", "origin": "manual", "original_length": 9.0}
    made = [
        shared | {"value": stretch | {"labels": [label]}, "from_name": "labels", "type": "labels"}
    ]
    if text is not None:
        value = stretch | {"text": [text]}
        made.append(shared | {"value": value, "from_name": "transcription", "type": "textarea"})
    return made


def task(number: int, audio: str, *results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A task, with an annotation for each result."""
    annotations = [
        {"id": 100 * number + i, "result": result, "was_cancelled": False, "ground_truth": False,
         "updated_at": f"2026-03-0{i}T10:00:00Z"}
        for i, result in enumerate(results, start=1)
    ]  # fmt: skip
    data = {"audio": audio} | more.pop("data", {})
    return {"id": number, "annotations": annotations, "predictions": [], "data": data} | more


def export(folder: Path, *tasks: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "project-1.json").write_text(json.dumps(tasks), encoding="utf-8")


AUDIO = "/data/upload/1/0123abcd-{}"


@pytest.mark.parametrize(
    "audio",
    [
        AUDIO,
        "http://localhost:8080/data/upload/1/0123abcd-{}",
        "/data/local-files/?d=sounds%2F{}",
        "http://localhost:8080/data/local-files/?d=sounds/{}",
        "s3://bucket/folder/{}",
    ],
)
def test_texts_of_whole_recordings(tmp_path: Path, audio: str) -> None:
    sounds = clips(tmp_path / "ls/sounds", "a.wav", "b.wav")
    tasks = [
        task(i, audio.format(name), [of_whole(text)], data={"speaker_id": who})
        for i, (name, text, who) in enumerate(
            [("a.wav", TEXTS[0], "ann"), ("b.wav", TEXTS[1], "bob")], start=1
        )
    ]
    export(tmp_path / "ls", *tasks)
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:2], sounds)
    assert [u.speaker for u in result.rows] == ["ann", "bob"]
    assert [u.id for u in result.rows] == ["sounds/a", "sounds/b"]
    [source] = result.imported.sources
    assert (source.formats, source.recognised) == (("label-studio",), "Label Studio")


def test_texts_of_stretches(tmp_path: Path) -> None:
    [sound] = clips(tmp_path / "ls", "a.wav")
    rate, end = 16_000, len(sound) / 16_000
    half = round(end / 2, 3)
    said = [
        *of_stretch(1, 0.0, half, TEXTS[0], "Ann"),
        *of_stretch(2, half, end, TEXTS[1], "Bob"),
        *of_stretch(3, 0.1, 0.2, None, "Noise"),
    ]
    export(tmp_path / "ls", task(1, AUDIO.format("a.wav"), said))
    result = run_import(tmp_path / "ls")
    at = round(half * rate)
    result.holds(TEXTS[:2], [sound[:at], sound[at:]])
    assert [u.speaker for u in result.rows] == ["Ann", "Bob"]
    assert [row["reason"] for row in result.left_out] == ["no text"]


@pytest.mark.parametrize(
    ("labels", "speakers"),
    [
        (("Speech", "Speech"), [None, None]),
        (("Speech", "Noise"), [None, None]),
        (("Speaker 1", "Speaker 2"), [None, None]),  # of each recording for itself
        (("Interviewer", "Ann"), ["Interviewer", "Ann"]),
    ],
)
def test_labels_are_speakers_where_they_tell_people_apart(
    tmp_path: Path, labels: tuple[str, str], speakers: list[str | None]
) -> None:
    clips(tmp_path / "ls", "a.wav", "b.wav")
    first = of_stretch(1, 0.0, 0.2, TEXTS[0], labels[0])
    said = [*first, *of_stretch(2, 0.2, 0.4, TEXTS[1], labels[1])]
    tasks = [task(i, AUDIO.format(name), said) for i, name in enumerate(("a.wav", "b.wav"), 1)]
    export(tmp_path / "ls", *tasks)
    assert [u.speaker for u in run_import(tmp_path / "ls").rows] == [*speakers, *speakers]


def test_the_ground_truth_or_the_latest_annotation_counts_and_none_that_was_cancelled(
    tmp_path: Path,
) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav", "c.wav", "d.wav")
    true = task(1, AUDIO.format("a.wav"), [of_whole(TEXTS[0])], [of_whole("Wrong.")])
    true["annotations"][0]["ground_truth"] = True
    late = task(2, AUDIO.format("b.wav"), [of_whole("Wrong.")], [of_whole(TEXTS[1])])
    cancelled = task(3, AUDIO.format("c.wav"), [of_whole("Wrong.")])
    cancelled["annotations"][0]["was_cancelled"] = True
    guessed = task(4, AUDIO.format("d.wav"), predictions=[{"result": [of_whole("Wrong.")]}])
    export(tmp_path / "ls", true, late, cancelled, guessed)
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:2], sounds[:2])
    assert [(row["reason"], row["detail"]) for row in result.left_out] == [
        ("no text", "nobody annotated it")
    ] * 2
    assert "2 tasks" in " ".join(result.imported.sources[0].taken_for)


def test_of_several_texts_the_transcription_is_taken_and_the_other_told(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    said = [of_whole("Loud fan.", "remark"), of_whole(TEXTS[0])]
    export(tmp_path / "ls", task(1, AUDIO.format("a.wav"), said))
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:1], sounds)
    assert 'text: "transcription", not remark' in result.imported.sources[0].taken_for


def test_both_channels_of_a_call(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav")
    said = [
        *of_stretch(1, 0.0, 0.2, TEXTS[0], channel=0),
        *of_stretch(2, 0.2, 0.4, TEXTS[1], channel=1),
    ]
    export(tmp_path / "ls", task(1, AUDIO.format("a.wav"), said))
    result = run_import(tmp_path / "ls")
    assert tuple(result.texts) == TEXTS[:1]  # the file has no second channel
    assert len(result.left_out) == 1


def test_one_annotation_of_a_target_storage(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    one = {"id": 7, "result": [of_whole(TEXTS[0])], "was_cancelled": False,
           "task": {"id": 1, "data": {"audio": AUDIO.format("a.wav")}}}  # fmt: skip
    (tmp_path / "ls/7.json").write_text(json.dumps(one))
    run_import(tmp_path / "ls").holds(TEXTS[:1], sounds)


def least(audio: str, texts: Any) -> dict[str, Any]:
    """A task as JSON_MIN has it."""
    stretches = [
        {"start": 0.0, "end": 0.2, "channel": 0, "labels": ["Speech"]},
        {"start": 0.2, "end": 0.4, "channel": 0, "labels": ["Speech"]},
    ]
    return {
        "audio": audio, "id": 1, "labels": stretches, "transcription": texts, "annotator": 1,
        "created_at": "2026-03-01T10:00:00Z", "lead_time": 3.2,
    }  # fmt: skip


def test_json_min_with_stretches(tmp_path: Path) -> None:
    [a, _] = clips(tmp_path / "ls", "a.wav", "b.wav")
    tasks = [least(AUDIO.format("a.wav"), TEXTS[:2]), least(AUDIO.format("b.wav"), TEXTS[0])]
    export(tmp_path / "ls", *tasks)
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:2], [a[:3200], a[3200:6400]])
    assert [row["detail"] for row in result.left_out] == [
        "2 stretches have 1 texts; export as JSON"
    ]


def test_a_list_of_texts_in_a_table_is_no_text(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["audio", "transcription"])
    rows.writerow(["a.wav", json.dumps(TEXTS[:2])])
    rows.writerow(["b.wav", json.dumps([TEXTS[2]])])
    (tmp_path / "ls/export.csv").write_text(out.getvalue(), encoding="utf-8")
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[2:3], sounds[1:])
    assert "2 texts in a list" in result.left_out[0]["detail"]


@pytest.mark.parametrize(
    "broken", [{"result": None}, {"result": [{"value": {"start": "x", "end": 1}}]}]
)
def test_what_is_broken_is_left_out_with_its_reason(tmp_path: Path, broken: dict) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    bad = task(1, AUDIO.format("a.wav"), [of_whole("x")])
    bad["annotations"][0] |= broken
    export(tmp_path / "ls", bad, task(2, AUDIO.format("b.wav"), [of_whole(TEXTS[1])]))
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[1:2], sounds[1:])
    assert "task 1" in result.left_out[0]["where"]


def test_pictures_are_not_taken_for_it(tmp_path: Path) -> None:
    picture = task(1, "x", [of_whole("a cat")])
    picture["data"] = {"image": "/data/upload/1/a.png"}
    export(tmp_path / "ls", picture)
    with pytest.raises(UserError):
        run_import(tmp_path / "ls")


def left_out_of(folder: Path, *results: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    """Why the first of two tasks, which has these results, is left out: reasons and details."""
    clips(folder, "a.wav", "b.wav")
    first = task(1, AUDIO.format("a.wav"), [*results], **more)
    export(folder, first, task(2, AUDIO.format("b.wav"), [of_whole(TEXTS[1])]))
    result = run_import(folder)
    assert result.texts == [TEXTS[1]]
    return [(row["reason"], row["detail"]) for row in result.left_out]


@pytest.mark.parametrize(
    "value",
    [
        {"text": [None]},
        {"text": None},
        {"text": [5]},
        {"text": [TEXTS[0]], "start": float("nan"), "end": 1},
        {"text": [TEXTS[0]], "start": 0, "end": float("inf")},
        {"text": [TEXTS[0]], "start": 0, "end": 10**400},
        {"text": [TEXTS[0]], "start": False, "end": True},
        {"text": [TEXTS[0]], "start": 0, "end": 0.2, "channel": [1]},
        {"text": [TEXTS[0]], "start": 0, "end": 0.2, "channel": -1},
    ],
)
def test_values_that_are_no_texts_times_or_channels_are_left_out(
    tmp_path: Path, value: dict[str, Any]
) -> None:
    [(reason, detail)] = left_out_of(tmp_path / "ls", of_whole("x") | {"value": value})
    assert reason == "no text"
    assert "Error: " in detail


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"start": "0", "end": "1", "startOffset": 2, "endOffset": 5}, "paragraphlabels"),
        ({"start": 0, "end": 1, "text": "a span"}, "labels"),
        ({"ranges": [{"start": 1, "end": 50}]}, "timelinelabels"),
        ({"sequence": [{"frame": 1}], "framesCount": 50}, "videorectangle"),
    ],
)
def test_a_text_of_a_part_of_something_else_is_not_what_is_said(
    tmp_path: Path, part: dict[str, Any], kind: str
) -> None:
    region = of_whole("x") | {"value": part, "type": kind, "to_name": "else"}
    note = of_whole("x") | {"value": part | {"text": [TEXTS[0]]}, "to_name": "else"}
    [(reason, detail)] = left_out_of(tmp_path / "ls", region, note)
    assert (reason, "a part of else" in detail) == ("bad row", True)


def test_several_texts_of_the_same_time_are_left_out(tmp_path: Path) -> None:
    both = [of_whole(TEXTS[0]), of_whole(TEXTS[2])]
    [(reason, _), _] = left_out_of(tmp_path / "whole", *both)
    assert reason == "another text"
    at_once = [
        *of_stretch(1, 0.0, 0.25, TEXTS[0], "Ann"),
        *of_stretch(2, 0.1, 0.4, TEXTS[2], "Bob"),
    ]
    reasons = left_out_of(tmp_path / "at-once", *at_once)
    assert [reason for reason, _ in reasons] == ["overlapping"] * 2


def test_entries_of_one_text_are_joined_and_that_is_told(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    entries = of_whole("x") | {"value": {"text": [TEXTS[0], TEXTS[1]]}}
    export(tmp_path / "ls", task(1, AUDIO.format("a.wav"), [entries]))
    result = run_import(tmp_path / "ls")
    result.holds([f"{TEXTS[0]} {TEXTS[1]}"], sounds)
    assert "joined: 1 text" in " ".join(result.imported.sources[0].taken_for)


def test_what_a_reviewer_rejected_does_not_count(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav", "b.wav")
    tasks = [task(i, AUDIO.format(f"{n}.wav"), [of_whole(TEXTS[i])]) for i, n in enumerate("ab")]
    no, yes = ({"accepted": said, "created_at": f"2026-0{1 + said}"} for said in (False, True))
    tasks[0]["annotations"][0]["reviews"] = [no]
    tasks[1]["annotations"][0]["reviews"] = [yes, no]
    export(tmp_path / "ls", *tasks)
    result = run_import(tmp_path / "ls")
    assert result.texts == [TEXTS[1]]
    assert "rejected" in result.left_out[0]["detail"]


def test_the_only_channel_with_texts_is_the_one_that_is_heard(tmp_path: Path) -> None:
    left, right = sound(1), sound(2)
    write(tmp_path / "ls/a.wav", np.stack([left, right], axis=1))
    export(
        tmp_path / "ls",
        task(1, AUDIO.format("a.wav"), of_stretch(1, 0, 0.4, TEXTS[0], channel=1)),
    )
    run_import(tmp_path / "ls").holds(TEXTS[:1], [right])


def test_a_task_that_is_there_again_is_taken_once_as_it_was_last(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    for month, text in ((3, TEXTS[0]), (1, "Wrong."), (2, "Wrong too.")):
        one = {"id": month, "result": [of_whole(text)], "updated_at": f"2026-0{month}-01",
               "task": {"id": 1, "data": {"audio": AUDIO.format("a.wav")}}}  # fmt: skip
        (tmp_path / f"ls/{4 - month}.json").write_text(json.dumps(one))
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:1], sounds)
    assert [row["reason"] for row in result.left_out] == ["listed twice"] * 2


def test_two_uploads_of_one_name_are_not_one_file(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    names = ("11111111-a.wav", "22222222-a.wav", "33333333-b.wav")
    tasks = [
        task(i, f"/data/upload/1/{name}", [of_whole(TEXTS[i])]) for i, name in enumerate(names)
    ]
    export(tmp_path / "ls", *tasks)
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[2:], sounds[1:])
    assert [row["reason"] for row in result.left_out] == ["no audio"] * 2


def test_of_several_audio_files_the_one_that_was_written_of(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    data = {"first": AUDIO.format("a.wav"), "second": AUDIO.format("b.wav")}
    tasks = [
        task(i, "", [of_whole(TEXTS[i]) | {"to_name": to}]) for i, to in enumerate(("second", "x"))
    ]
    for one in tasks:
        one["data"] = data
    export(tmp_path / "ls", *tasks)
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:1], sounds[1:])
    assert "several audio files" in result.left_out[0]["detail"]


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ("my file (1).wav", "/data/upload/1/0123abcd-my_file_1.wav"),
        ("a.wav", "https://host/tmp/a.wav?X-Amz-Signature=1"),
        ("a.wav", "C:\\sounds\\a.wav"),
    ],
)
def test_audio_under_its_own_name(tmp_path: Path, own: str, named: str) -> None:
    sounds = clips(tmp_path / "ls", own)
    note = {"note": "http://[noise] is no address"}
    export(tmp_path / "ls", task(1, named, [of_whole(TEXTS[0])], data=note))
    run_import(tmp_path / "ls").holds(TEXTS[:1], sounds)


def one_stretch(audio: str, before: dict[str, Any], **written: Any) -> dict[str, Any]:
    """A task of JSON_MIN with a stretch, and what the task had before."""
    made = before | least(audio, None) | written
    made["labels"] = made["labels"][:1]
    return {name: value for name, value in made.items() if value is not None}


def test_json_min_tells_texts_from_what_else_is_written(tmp_path: Path) -> None:
    [a, _] = clips(tmp_path / "ls", "a.wav", "b.wav")
    model = {"text": "By a model.", "lang": "en"}
    [first, second] = map(AUDIO.format, ("a.wav", "b.wav"))
    export(
        tmp_path / "ls",
        one_stretch(first, model, transcription="Wrong."),
        one_stretch(first, model, transcription=TEXTS[0], updated_at="2026-04-01"),
        one_stretch(second, model, id=2, mood="Happy"),
    )
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:1], [a[:3200]])
    assert [row["reason"] for row in result.left_out] == ["listed twice", "no text"]


def test_json_min_of_which_nothing_fits_is_no_manifest(tmp_path: Path) -> None:
    clips(tmp_path / "ls", "a.wav")
    export(tmp_path / "ls", one_stretch(AUDIO.format("a.wav"), {"text": "By a model."}))
    with pytest.raises(UserError, match="1 stretches have 0 texts"):
        run_import(tmp_path / "ls")


def test_a_text_of_stretches_in_a_table_is_not_of_all_of_the_audio(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["audio", "label", "transcription", "annotator"])
    stretch = {"start": 0.1, "end": 0.2, "channel": 0, "labels": ["Speech"]}
    rows.writerow(["a.wav", json.dumps([stretch]), TEXTS[0], "1"])
    rows.writerow(["b.wav", "", TEXTS[1], "1"])
    rows.writerow(["b.wav", "", "[]", "1"])
    (tmp_path / "ls/export.csv").write_text(out.getvalue(), encoding="utf-8")
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[1:2], sounds[1:])
    assert [row["reason"] for row in result.left_out] == ["bad row", "no text"]


def test_noises_beside_a_text_in_another_table_are_no_stretches_of_it(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "t", "a.wav")
    out = io.StringIO()
    noise = json.dumps([{"start": 0.1, "end": 0.2, "labels": ["dog"]}])
    csv.writer(out).writerows([["audio", "events", "text"], ["a.wav", noise, TEXTS[0]]])
    (tmp_path / "t/table.csv").write_text(out.getvalue(), encoding="utf-8")
    run_import(tmp_path / "t").holds(TEXTS[:1], sounds)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"audio": "a.wav", "text": TEXTS[0],
          "events": [{"start": 0, "end": 0.2, "labels": ["dog"]}]}, "manifest"),
        ([{"audio": "a.wav", "text": TEXTS[0], "data": {"k": 1}, "annotations": []}], "manifest"),
        ({"data": {"path": "a.wav"}, "text": TEXTS[0],
          "result": [{"word": TEXTS[0], "start": 0, "end": 0.4, "conf": 1}]}, "vosk"),
    ],
)  # fmt: skip
def test_what_is_alike_is_taken_for_what_it_is(tmp_path: Path, document: Any, kind: str) -> None:
    clips(tmp_path / "x", "a.wav")
    (tmp_path / "x/a.json").write_text(json.dumps(document), encoding="utf-8")
    result = run_import(tmp_path / "x")
    assert (result.imported.sources[0].formats, result.texts) == ((kind,), [TEXTS[0]])


def test_tasks_that_nobody_annotated_hide_no_other_texts(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav")
    export(tmp_path / "ls", task(1, AUDIO.format("a.wav")))
    (tmp_path / "ls/a.txt").write_text(TEXTS[0], encoding="utf-8")
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:1], sounds)
    assert [row["detail"] for row in result.left_out] == ["nobody annotated it"]


def test_json_min_of_several_annotators_has_a_text_for_each_recording(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav", "c.wav")

    def record(number: int, when: str, text: Any) -> dict[str, Any]:
        before = {"audio": AUDIO.format(f"{'abc'[number]}.wav"), "text": "By a model."}
        return before | {
            "id": number,
            "transcription": text,
            "annotation_id": 1,
            "updated_at": when,
        }

    export(
        tmp_path / "ls",
        record(0, "2026-03-02", TEXTS[0]),
        record(0, "2026-03-01", "Wrong."),
        record(1, "2026-03-01", TEXTS[1]),
        record(2, "2026-03-01", ["One.", "Two."]),
    )
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[:2], sounds[:2])
    assert [row["reason"] for row in result.left_out] == ["listed twice", "no text"]


def test_a_time_beyond_all_numbers_of_samples_is_behind_the_end(tmp_path: Path) -> None:
    [(reason, _)] = left_out_of(tmp_path / "ls", *of_stretch(1, 0.0, 1e308, TEXTS[0]))
    assert reason == "bad times"


@pytest.mark.parametrize("when", [None, "2026-03-01"])
def test_json_min_of_annotators_of_whom_none_is_the_latest_has_no_text(
    tmp_path: Path, when: str | None
) -> None:
    sounds = clips(tmp_path / "ls", "a.wav", "b.wav")
    export(
        tmp_path / "ls",
        *(
            {"audio": AUDIO.format(f"{name}.wav"), "id": name, "transcription": text,
             "annotation_id": i, "updated_at": when}
            for i, (name, text) in enumerate(
                [("a", TEXTS[0]), ("a", "Wrong."), ("b", TEXTS[1]), ("b", TEXTS[1])]
            )
        ),
    )  # fmt: skip
    result = run_import(tmp_path / "ls")
    result.holds(TEXTS[1:2], sounds[1:])
    assert [row["reason"] for row in result.left_out] == ["another text"] * 2 + ["listed twice"]
