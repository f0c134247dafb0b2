"""Calls: two people on two channels, in a table of their turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pytest
import soundfile
from imports import Result, run_import, sound

from moontune.errors import UserError

NAMES = ("monday", "friday")
TURNS = (
    ("Agent", 0.0, 1.0, "Good morning to you."),
    ("Customer", 1.2, 2.0, "It is broken."),
    ("Agent", 2.2, 3.0, "Then we send another."),
    ("Customer", 3.2, 4.0, "When will it come?"),
)


def calls(folder: Path) -> None:
    """A call each day: the agent is heard on the left, the customer on the right."""
    folder.mkdir()
    for i, name in enumerate(NAMES):
        both = np.zeros((64_000, 2), np.float32)
        for k, (_, start, end, _) in enumerate(TURNS):
            both[round(16_000 * start) : round(16_000 * end), k % 2] = sound(4 * i + k, end - start)
        soundfile.write(folder / f"{name}.wav", both, 16_000, subtype="PCM_16")


def table(folder: Path, head: tuple[str, ...], *above: str, channel: bool = False) -> None:
    """A row for each turn, with a channel or without one, below lines that are no head."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for line in above:
        sheet.append([line] if line else [])
    sheet.append(head)
    for name in NAMES:
        for who, start, end, text in TURNS:
            side = ("left" if who == "Agent" else "right",) if channel else ()
            sheet.append([f"{name}.wav", who, start, end, text, *side])
    book.save(folder / "turns.xlsx")


def people(result: Result) -> set[str | None]:
    return {u.speaker for u in result.rows}


@pytest.mark.parametrize("link", [False, True])
def test_who_is_an_agent_in_several_calls_is_not_one_person(tmp_path: Path, link: bool) -> None:
    calls(tmp_path / "in")
    table(tmp_path / "in", ("file", "speaker", "start", "end", "text"))
    result = run_import(tmp_path / "in", output=tmp_path / "out", link=link)
    assert result.texts == [text for *_, text in TURNS] * 2
    assert people(result) == {None}
    assert any("not taken for people: Agent, Customer" in line for line in result.told)


def test_names_of_people_stay_in_a_table_of_calls(tmp_path: Path) -> None:
    calls(tmp_path / "in")
    rows = [
        f"{name}.wav,{'Ann Lee' if who == 'Agent' else who},{start},{end},{text}"
        for name in NAMES
        for who, start, end, text in TURNS
    ]
    (tmp_path / "in/t.csv").write_text("\n".join(["file,speaker,start,end,text", *rows]))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert people(result) == {"Ann Lee", "monday/Customer", "friday/Customer"}


def test_two_people_on_two_channels_are_told_where_their_sound_is_mixed(tmp_path: Path) -> None:
    calls(tmp_path / "in")
    table(tmp_path / "in", ("file", "speaker", "start", "end", "text"))
    result = run_import(tmp_path / "in", output=tmp_path / "mixed")
    said = "two people are mixed in 2 stereo recordings, e.g. "
    assert any(said in line for line in result.told)
    assert any(said in line for line in result.imported.sources[0].taken_for)
    table(tmp_path / "in", ("file", "speaker", "start", "end", "text", "channel"), channel=True)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert not any("two people" in line for line in result.told)
    assert float(np.abs(result.sounds[1]).max()) > 0.2  # not halved by a silent channel


@pytest.mark.parametrize(
    "head",
    [
        ("Recording", "Role", "From", "To", "Verbatim"),
        ("Call recording", "Agent or customer", "From", "To", "What was said"),
    ],
)
def test_a_head_below_a_title_is_found_whatever_its_columns_are_called(
    tmp_path: Path, head: tuple[str, ...]
) -> None:
    calls(tmp_path / "in")
    table(tmp_path / "in", head, "Quality sample, March", "")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [text for *_, text in TURNS] * 2
    assert not result.left_out
    assert any("passed over: 2 lines above the head" in line for line in result.told)
    assert any('offset: "From", end: "To"' in line for line in result.told)


def test_lines_of_a_table_without_a_head_are_no_title(tmp_path: Path) -> None:
    calls(tmp_path / "in")
    lines = ["sales,Ann", "sales,Ann,nothing yet", "monday,Ann,monday.wav,Good morning to you."]
    (tmp_path / "in/t.csv").write_text("\n".join([*lines, "sales,Bob,friday.wav,It is broken."]))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == ["Good morning to you.", "It is broken."]


def test_what_most_rows_lack_is_told_where_none_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in NAMES:
        soundfile.write(tmp_path / f"in/{name}.wav", sound(1, 61), 16_000)
    rows = ["file,text", "gone.wav,Gone.", *(f"{name}.wav,All of a call." for name in NAMES)]
    (tmp_path / "in/t.csv").write_text("\n".join(rows))
    with pytest.raises(UserError) as error:
        run_import(tmp_path / "in", output=tmp_path / "out")
    said = str(error.value)
    assert "none of the 3 rows is usable (too long 2, no audio 1): t.csv:3: too long" in said
    assert "begin and end" in said
    assert "NAME.txt" in said


@pytest.mark.parametrize(
    ("head", "of_row"),
    [
        ("file,text,from,to", "{name}.wav,{text},1,2"),
        ("file,text,from,to", "{name}.wav,{text},9:00,17:00"),
        ("id,text,recording", "{name},{text},first session"),
        ("file,verbatim,what was said", "{name}.wav,yes,{text}"),
    ],
)
def test_names_of_columns_that_say_something_else_too_are_doubted(
    tmp_path: Path, head: str, of_row: str
) -> None:
    """A file that stands in one row is heard as a whole, whatever `from` and `to` mean there."""
    calls(tmp_path / "in")
    texts = dict(zip(NAMES, ("Good morning to you.", "Then we send another one."), strict=True))
    rows = [of_row.format(name=name, text=text) for name, text in texts.items()]
    (tmp_path / "in/t.csv").write_text("\n".join([head, *rows]))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert dict(zip((u.id for u in result.rows), result.texts, strict=True)) == texts
    assert {u.duration for u in result.rows} == {4.0}
