"""Captions in JSON: podcasts' transcripts and what YouTube answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from imports import Result, run_import
from timed_talk import SAID, WANTED, WHOLE, cut_as_wanted, recording, timed, words

from moontune.errors import UserError

WHO = ("Ann", "Ann", "Bob", "Ann", "Ann")  # of SAID


def ms(seconds: float) -> int:
    return round(1000 * seconds)


def imported(folder: Path, document: Any, name: str = "talk.json") -> Result:
    """What comes of a recording and a document beside it."""
    folder.mkdir()
    recording(folder)
    (folder / name).write_text(json.dumps(document), encoding="utf-8")
    return run_import(folder, output=folder.parent / f"{folder.name}-out")


def podcast(*segments: dict[str, Any]) -> dict[str, Any]:
    return {"version": "1.0.0", "segments": [*segments]}


def segment(start: float, end: float | None, body: Any, **more: Any) -> dict[str, Any]:
    return {"startTime": start, "endTime": end, "body": body} | more


def of_podcast() -> list[dict[str, Any]]:
    rows = zip(timed(), WHO, strict=True)
    return [segment(s, e, f"{text}\n", speaker=who) for (s, e, text), who in rows]


def line(start: float, end: float, text: str, **more: Any) -> dict[str, Any]:
    """An event of YouTube's with a text."""
    return {"tStartMs": ms(start), "dDurationMs": ms(end - start), "segs": [{"utf8": text}]} | more


def of_youtube(*lines: dict[str, Any]) -> dict[str, Any]:
    """With the event that makes a window."""
    window = {"tStartMs": 0, "dDurationMs": 14_000, "id": 1, "wpWinPosId": 1, "wsWinStyleId": 1}
    return {"wireMagic": "pb3", "pens": [{}], "events": [window, *lines]}


def rolling(texts: list[tuple[float, float, str]]) -> dict[str, Any]:
    """As YouTube writes what it heard: a line stays until the one after the next begins, words have
    offsets, and a line's end is an event of its own."""
    events = []
    for i, (start, _, text) in enumerate(texts):
        until = texts[i + 2][0] if i + 2 < len(texts) else 13.0
        parts = [
            {"utf8": word if j == 0 else f" {word}", "tOffsetMs": 200 * j, "acAsrConf": 0}
            for j, word in enumerate(text.split())
        ]
        events.append(line(start, until, "", segs=parts, wWinId=1))
        if i + 1 < len(texts):
            after = texts[i + 1][0] - 0.01
            events.append(line(after, after + 0.01, "\n", aAppend=1, wWinId=1))
    return of_youtube(*events)


KINDS: dict[str, tuple[str, Any]] = {
    "podcast": ("talk.json", podcast(*of_podcast())),
    "podcast, words": (
        "talk.json", podcast(*(segment(s, e, word) for s, e, word in words())),
    ),
    "youtube": ("talk.json", of_youtube(*(line(*one) for one in timed()))),
    "youtube, its suffix": ("talk.en.json3", of_youtube(*(line(*one) for one in timed()))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_are_cut_out_with_their_speakers(tmp_path: Path, kind: str) -> None:
    name, document = KINDS[kind]
    result = imported(tmp_path / "in", document, name)
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, recording(tmp_path / "again"))
    assert [u.speaker for u in result.rows] == (
        ["Ann", "Bob", "Ann"] if kind == "podcast" else [None] * 3
    )
    assert result.imported.sources[0].formats == (kind.split(",")[0],)
    assert not result.left_out


def test_a_podcasts_segments_without_end_last_up_to_the_next(tmp_path: Path) -> None:
    said = [segment(s, None, text) for (s, _), text in zip(WANTED, WHOLE, strict=True)]
    del said[0]["endTime"]
    result = imported(tmp_path / "in", podcast(*said))
    assert tuple(result.texts) == WHOLE[:2]
    assert result.reasons == [("talk.json:segment 3", "bad times")]
    assert result.rows[0].duration == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("spoken", ["はい。", "Yes."])
def test_a_podcasts_short_answers_are_no_single_words(tmp_path: Path, spoken: str) -> None:
    """Where others are sentences, or the script has no spaces."""
    said = [segment(s, e, spoken if i == 1 else t) for i, (s, e, t) in enumerate(timed())]
    if spoken == "はい。":
        said = [segment(s, e, spoken) for s, e in WANTED]
    result = imported(tmp_path / "in", podcast(*said))
    assert result.texts[0] == (spoken if spoken == "はい。" else f"{SAID[0]} Yes.")


def test_lines_that_youtube_heard_end_where_the_next_begins(tmp_path: Path) -> None:
    result = imported(tmp_path / "in", rolling(timed()))
    assert tuple(result.texts) == WHOLE
    assert not result.left_out
    short = imported(tmp_path / "short", rolling(timed()[2:]))  # fewer than are seen to roll
    assert tuple(short.texts) == WHOLE[1:]
    assert not short.left_out


def test_what_youtube_appends_is_of_the_line_before_it(tmp_path: Path) -> None:
    """As in captions that were written while people spoke."""
    events = [line(s, e, text, wWinId=1) for s, e, text in timed()]
    events[1]["aAppend"] = 1
    events[1]["segs"] = [{"utf8": " home to"}, {"utf8": " the quay."}]
    result = imported(tmp_path / "in", of_youtube(*events))
    assert tuple(result.texts) == WHOLE


def test_styled_captions_of_youtube_have_no_letters_without_width(tmp_path: Path) -> None:
    thin = {"utf8": "\u200b"}
    events = [line(s, e, "", segs=[thin, {"utf8": t, "pPenId": 1}, thin]) for s, e, t in timed()]
    assert tuple(imported(tmp_path / "in", of_youtube(*events)).texts) == WHOLE


ODD: dict[str, tuple[Any, str]] = {
    "no begin": ({"dDurationMs": 900, "segs": [{"utf8": "When?"}]}, "bad times"),
    "a begin in words": (line(0.5, 1, "When?") | {"tStartMs": "0:01"}, "bad times"),
    "no text": (line(0.5, 1, "x", segs=[{"utf8": 5.5}, {"else": 1}]), "bad row"),
    "no list": (line(0.5, 1, "x", segs="What?"), "bad row"),
    "ruby": (line(0.5, 1, "x", segs=[{"utf8": "漢", "pPenId": 1}, {"utf8": "(かん)"}]), "bad row"),
    "behind the end": (line(40, 42, "Beyond."), "bad times"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_event_that_is_not_understood_is_left_out(tmp_path: Path, name: str) -> None:
    event, reason = ODD[name]
    document = of_youtube(event, *(line(*one) for one in timed()))
    document["pens"] = [{}, {"rbRuby": 1}]
    result = imported(tmp_path / "in", document)
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("talk.json:segment 1", reason)]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (segment(0.5, 1, ["a", "list"]), "bad row"),
        (segment(0.5, 1, None) | {"startTime": None}, "bad row"),
        (segment(0.5, 1, "") | {"startTime": "00:00:01"}, "bad times"),
        (segment(2.0, 1, "Back."), "bad times"),
        ({"startTime": 0.5, "endTime": 1}, "bad row"),
        (segment(0.5, 1, " "), "no text"),
    ],
)
def test_a_podcasts_segment_that_is_not_understood_is_left_out(
    tmp_path: Path, part: dict[str, Any], reason: str
) -> None:
    result = imported(tmp_path / "in", podcast(part, *of_podcast()))
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("talk.json:segment 1", reason)]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (podcast(), "talk.json"),
        (podcast({"startTime": 0.5, "endTime": 1}), "talk.json"),
        (of_youtube(), "talk.json3"),
        ({"events": [{"tStartMs": 0, "segs": []}]}, "talk.json3"),
        ([], "talk.json3"),
    ],
)
def test_what_has_no_captions_is_refused_in_a_line(
    tmp_path: Path, document: Any, name: str
) -> None:
    with pytest.raises(UserError) as told:
        imported(tmp_path / "in", document, name)
    assert "\n" not in str(told.value)


def test_a_cut_off_file_of_youtubes_says_so(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    content = json.dumps(of_youtube(*(line(*one) for one in timed())))[:-20]
    (tmp_path / "in/talk.json3").write_text(content)
    with pytest.raises(UserError, match="is no whole JSON"):
        run_import(tmp_path / "in/talk.json3", output=tmp_path / "out")
