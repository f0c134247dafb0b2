"""Tables as people keep them: any names, delimiters, quotes and encodings."""

from __future__ import annotations

import datetime
import io
import json
import os
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from imports import TEXTS, clips, run_import, sound, write

from moontune.errors import UserError
from moontune.importing.audio_files import AudioFinder, NotFoundError
from moontune.importing.command import ImportArgs, import_sources
from moontune.importing.tables import delimited
from moontune.importing.text_files import Decoded, decode

NAMES = ("a.wav", "b.wav", "c.wav")
NO_CHANNEL = "channel must be a number from 0 on, left or right: 'agent'"


@pytest.mark.parametrize(
    "content",
    [
        "path,sentence\na.wav,{0}\nb.wav,{1}\nc.wav,{2}\n",
        "Datei;Satz;Notiz\nclips\\a.wav;{0};x\nclips\\b.wav;{1};\nclips\\c.wav;{2};\n",
        "{0}\ta.wav\n{1}\tb.wav\n{2}\tc.wav\n",
        "a.wav|{0}\nb.wav|{1}\nc.wav|{2}\n",
        "nr,what was said,file on disk\n1,{0},a.wav\n2,{1},b.wav\n3,{2},c.wav\n",
        "file_name,text\n/home/ann/data/clips/a.wav,{0}\nC:\\x\\b.wav,{1}\n~nobody-of-here/c.wav,{2}\n",
        'path,text\n"a.wav","{0}"\n"b.wav","{1}"\n"c.wav","{2}"\n\n,\n',
        "clip,transcript\na,{0}\nb,{1}\nc,{2}\n",
        "A.WAV;{0}\r\nB.WAV;{1}\r\nC.WAV;{2}\r\n",
    ],
    ids=[
        *("common", "german", "headless-tab", "headless-pipe", "odd-names"),
        *("elsewhere", "quoted", "no-suffix", "case"),
    ],
)
def test_columns_are_found(tmp_path: Path, content: str) -> None:
    sounds = clips(tmp_path / "t/clips", *NAMES)
    table = tmp_path / "t/table.csv"
    table.write_text(content.format(*TEXTS), newline="")
    result = run_import(table, output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    assert not result.left_out
    assert any(text.startswith("audio: ") for text in result.imported.sources[0].taken_for)
    assert any("audio: " in line for line in result.told)


def test_a_recording_with_several_texts_is_told(tmp_path: Path) -> None:
    clips(tmp_path / "t", *NAMES)
    (tmp_path / "t/t.csv").write_text(
        f"path,text,start,end\na.wav,{TEXTS[0]},,\nb.wav,{TEXTS[1]},0,0.2\nb.wav,{TEXTS[2]},0.2,0.4\n"
    )
    assert not any("several texts" in line for line in run_import(tmp_path / "t").told)
    (tmp_path / "t/u.csv").write_text(f"path,text\na.wav,The red goat.\na.wav,{TEXTS[0]}\n")
    result = run_import(tmp_path / "t/u.csv", tmp_path / "t/t.csv", output=tmp_path / "out")
    assert result.texts == ["The red goat.", *TEXTS]
    line = (
        "1 clip has several texts, as u.csv:2 and u.csv:3 say, and all are taken; of versions of "
        "one text keep one"
    )
    assert line in result.told
    assert line in result.imported.sources[-1].taken_for  # for a run that imports on its way


def test_a_text_file_may_be_a_table(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "t", *NAMES)
    (tmp_path / "t/prompts.txt").write_text(
        "".join(f"{n}|{t}\n" for n, t in zip(NAMES, TEXTS, strict=True))
    )
    (tmp_path / "t/README.txt").write_text("Recorded at home, in May.\nThanks, everybody.\n")
    run_import(tmp_path / "t").holds(TEXTS, sounds)


def test_names_are_the_same_however_an_accent_is_written(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "t/sub", unicodedata.normalize("NFC", "Caf\u00e9.wav"))
    name = unicodedata.normalize("NFD", "Caf\u00e9.wav")
    (tmp_path / "t/t.csv").write_text(f"path,text\nother/{name},{TEXTS[0]}\n")
    run_import(tmp_path / "t").holds(TEXTS[:1], sounds)


def test_cells_with_delimiters_quotes_and_newlines(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    (tmp_path / "t.csv").write_text(
        'path,text\na.wav,"He said ""no"",\nand left."\n'
        'b.wav,Oh, no, not again\nc.wav,It is 5" long\n'
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(['He said "no", and left.', "Oh, no, not again", 'It is 5" long'], sounds)
    (tmp_path / "q.tsv").write_text(
        f'path\ttext\na.wav\t"Never closed\nb.wav\t{TEXTS[1]}\nc.wav\t"Both" ends\n'
    )
    result = run_import(tmp_path / "q.tsv", output=tmp_path / "q")
    result.holds(['"Never closed', TEXTS[1], '"Both" ends'], sounds)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", None), ("utf-8-sig", None), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
    ],
)  # fmt: skip
def test_encodings(tmp_path: Path, encoding: str, told: str | None) -> None:
    clips(tmp_path, "a.wav", "b.wav")
    texts = ["Zoë’s café – déjà vu", "plain words"]
    (tmp_path / "t.csv").write_bytes(
        f"path;text\na.wav;{texts[0]}\nb.wav;{texts[1]}\n".encode(encoding)
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    assert result.texts == texts
    taken = " ".join(result.imported.sources[0].taken_for)
    assert (f"text read as {told}" in taken) if told else ("text read as" not in taken)


def test_lines_of_two_encodings_are_each_read_for_themselves() -> None:
    content = "a.wav,café\n".encode() + "b.wav,naïve\n".encode("cp1252")
    assert decode(content).text == "a.wav,café\nb.wav,naïve\n"
    assert "line by line" in decode(content).encoding


@pytest.mark.parametrize(
    ("encoding", "spoken"),
    [
        ("cp1251", "Тихо идёт снег."),
        ("koi8_r", "Тихо идёт снег, и никто не говорит ни слова."),
        ("koi8_u", "Сьогодні вранці ми пішли на ринок."),
        ("cp1253", "Σήμερα το πρωί πήγαμε στην αγορά."),
        ("cp1255", "הלכנו הבוקר לשוק וקנינו תפוחים טריים. אחר כך ירד גשם וחזרנו הביתה."),
        ("cp1255", "שלום, מה שלומך היום?"),
        ("cp1251", "мой дом стоит у самой реки"),
        ("cp1256", "ذهبنا هذا الصباح إلى السوق واشترينا تفاحا."),
        ("gb18030", "今天早上我们去市场买了新鲜的苹果。"),
        ("big5", "今天早上我們去市場買了新鮮的蘋果。"),
        ("euc_jp", "今朝、市場に行って新鮮なりんごを買いました。"),
        ("mac_roman", "Die Schüler fährt später nach Köln zurück."),
        ("mac_roman", "La forêt était très belle, façonnée après l’été."),
        ("cp850", "Die Schüler fährt später nach Köln zurück."),
        ("cp850", "Cette forêt était très belle, façonnée après l'été."),
        ("cp1250", "Chciałbym się dowiedzieć, gdzie są moje książki."),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy; řekni to ještě."),
        (
            "cp1250",
            "Jó reggelt! Az erdő közelében állnak már a régi házak, és szépen süt a nap; "
            "a nagyszülők örülnek, mert végre látják az unokájukat.",
        ),
        ("cp1250", "Včeraj je bila cesta še čista, žal pa danes ni več tako; začeli smo čakati."),
        ("cp1254", "Bugün hava çok güzel, dışarı çıkıp yürüyüş yapmalıyız."),
        ("cp932", "今朝、市場に行って新鮮なりんごを買いました。"),
        ("cp949", "오늘 아침 우리는 시장에 가서 신선한 사과를 샀습니다."),
        ("cp1252", "« Été », dit-elle : l’été s’en va… Mañana, größer."),
    ],
)
def test_old_encodings_of_other_scripts_are_told_by_a_line(encoding: str, spoken: str) -> None:
    for text in (spoken, f"1\n00:00:01,000 --> 00:00:02,500\n<i>{spoken}</i>\n"):
        assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    "spoken",
    [
        "“Wait…”",
        "“‘Hello’, he said.”",
        "Confirmação da ação",
        "AÇÕES, CORAÇÕES E SITUAÇÕES",
        "Hyvää päivää! Täällä pää on jäässä.",
        "Jäääär, õhtuöö ja töö ööd",
        "«\xa0Non\xa0»",
        "«\xa0Où\xa0?\xa0»\n—\xa0Là…\xa0!",
        "¿¡Qué!? ¿Él? ¡Ámbar!",
        "»Übung« und »Äpfel« für „Öl“",
        "ÉTÉ À ÇA",
        "Öö… ÄÄNI ÖÖ",
        "Seán McÉire agus Síle",
        "Žižek è qui, e Škoda è là; Dvořan, più.".replace("ř", "r"),
        "Guðmundur Þór þýddi bókina fyrir François Müller.",
        "Õunpuu ja Müller läksid José juurde, õues oli külm.",
        "Zeg het s.v.p. niet: nº 3, 20 °C, 5€, §5",
        "Après Žižek, où Škoda naïf…",
        "Wie geht‘s dir? So ist‘s, Müller.",
        "Rock‘n‘roll, don‘t, hawai‘i, bo‘ldi",
        "È così, qualcos‘altro: perché no?",
        "¿Qué tal, señor Muñoz? hola¿qué?",
        "Der alte Müller† starb 1920.",
        "milk•eggs",
        "the café™s",
        "5 m²s",
    ],
)
def test_accents_and_quotes_that_meet_are_no_other_script(spoken: str) -> None:
    for text in (spoken, f"1\n00:00:01,000 --> 00:00:02,500\n{spoken}\n" * 3):
        assert decode(text.encode("cp1252")) == Decoded(text, "cp1252")


def test_words_letter_by_letter_are_no_text(tmp_path: Path) -> None:
    """FLEURS has them in a column without a name."""
    sounds = clips(tmp_path / "in/audio/train", "1.wav", "2.wav")
    rows = [
        "\t".join([str(i), f"{i}.wav", text, text.lower(), " | ".join(map(" ".join, text.split()))])
        for i, text in enumerate(TEXTS[:2], 1)
    ]
    (tmp_path / "in/train.tsv").write_text("\n".join(rows))
    run_import(tmp_path / "in", output=tmp_path / "out").holds(TEXTS[:2], sounds)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.wav,C A T\nb.wav,D O G\n", ["C A T", "D O G"]),
        ("cat,C A T\ndog,D O G\n", ["C A T", "D O G"]),
        ("a|D N A|D N A\nb|U S A|U S A\n", ["D N A", "U S A"]),
        ("file;zi\na.wav;今 天 天 气\nb.wav;很 好 吗 朋\n", ["今 天 天 气", "很 好 吗 朋"]),
    ],
)
def test_single_letters_are_a_text_where_there_is_no_other(
    tmp_path: Path, rows: str, said: list[str]
) -> None:
    clips(tmp_path / "in", *(("cat.wav", "dog.wav") if "cat," in rows else ("a.wav", "b.wav")))
    (tmp_path / "in/t.csv").write_text(rows, encoding="utf-8")
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == said


def test_an_encoding_that_is_told_is_believed(tmp_path: Path) -> None:
    """A word of Polish, which nothing tells from Western letters; a text in UTF-8 stays it."""
    clips(tmp_path / "in", "a.wav", "b.wav")
    (tmp_path / "in/a.txt").write_bytes("Jeść".encode("cp1250"))
    (tmp_path / "in/b.txt").write_bytes("Już późno, idę spać.".encode())
    guessed = run_import(tmp_path / "in", output=tmp_path / "guessed")
    assert guessed.texts[0] == "Jeœæ"
    assert any("--encoding NAME` says another" in line for line in guessed.told)
    told = run_import(tmp_path / "in", output=tmp_path / "told", encoding="windows-1250")
    assert told.texts == ["Jeść", "Już późno, idę spać."]
    assert not any("--encoding" in line for line in told.told)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("cp12520", "--encoding cp12520: is unknown"),
        ("base64", "--encoding base64: is unknown"),
        ("euc_jp", "a.txt: is not in euc_jp, as --encoding says"),
    ],
)
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, encoding: str, says: str) -> None:
    clips(tmp_path / "in", "a.wav")
    (tmp_path / "in/a.txt").write_bytes("Café bleu à midi".encode("cp1252"))
    with pytest.raises(UserError, match=says):
        run_import(tmp_path / "in", output=tmp_path / "out", encoding=encoding)


def test_a_long_file_of_characters_of_two_bytes_is_told() -> None:
    """Its first million bytes end in the middle of one."""
    text = "今天早上我们去市场买了新鲜的苹果。\n" * 28_573
    assert len(text.encode("gb18030")[:1_000_000].splitlines()[-1]) % 2
    assert decode(text.encode("gb18030")) == Decoded(text, "gb18030")


def test_a_line_that_is_utf8_by_chance_leaves_the_others_as_they_are() -> None:
    """As "Её" is in cp1251 and "一" in gb18030."""
    russian = "Кто там?\nЕё\nЯ не знаю, что ты делаешь.\n"
    assert decode(russian.encode("cp1251")) == Decoded(russian, "cp1251")
    chinese = "今天早上我们去市场买了新鲜的苹果。\n一\n后来下雨了，我们就回家了。\n"
    assert decode(chinese.encode("gb18030")) == Decoded(chinese, "gb18030")


def test_lines_of_utf8_among_those_of_another_script_are_read_for_themselves() -> None:
    line = "Я не знаю, что ты делаешь.\n"
    mixed = decode(line.encode() + line.encode("cp1251"))
    assert mixed == Decoded(line * 2, "UTF-8 and cp1251, line by line")


def test_rows_that_cannot_be_used_each_have_a_reason(tmp_path: Path) -> None:
    sounds = clips(tmp_path, "a.wav", "x/two.wav", "y/two.wav")
    write(tmp_path / "long.wav", sound(9, 61.0))
    (tmp_path / "bad.wav").write_bytes(b"RIFF and no more")
    (tmp_path / "t.csv").write_text(
        "id,path,text\n"
        f"1,a.wav,{TEXTS[0]}\n"
        "2,gone.wav,Lost.\n"
        "3,a.wav,  \n"
        "4,two.wav,Which of them?\n"
        "5\n"
        "6,bad.wav,Damaged.\n"
        "7,long.wav,Too long.\n"
        f"8,a.wav,{TEXTS[0]}\n"
        "9,a.wav,Another text.\n"
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds([TEXTS[0], "Another text."], [sounds[0]] * 2)
    assert [u.id for u in result.rows] == ["a", "a-2"]
    reasons = dict(result.reasons)
    assert reasons == {
        "t.csv:3": "no audio", "t.csv:4": "no text", "t.csv:5": "no audio", "t.csv:6": "bad row",
        "t.csv:7": "unreadable", "t.csv:8": "too long", "t.csv:9": "listed twice",
    }  # fmt: skip
    assert result.imported.left_out["no audio"] == 2
    details = {row["where"]: row["detail"] for row in result.left_out}
    assert "2 files have that name" in details["t.csv:5"]
    linked = run_import(tmp_path / "t.csv", output=tmp_path / "linked", link=True)
    assert dict(linked.reasons) == reasons
    linked.holds(result.texts, result.sounds)
    assert {u.audio_filepath for u in linked.rows} == {tmp_path / "a.wav"}
    assert not (linked.folder / "audio").exists()


def test_stretches_speakers_and_days(tmp_path: Path) -> None:
    long = sound(1, 3.0)
    write(tmp_path / "long.wav", long)
    (tmp_path / "t.csv").write_text(
        "audio,start,end,text,speaker,date\n"
        f'long.wav,"0,5",1.25,{TEXTS[0]},ann,2024-05-01\n'
        f"long.wav,0:01.5,00:00:02.5,{TEXTS[1]},bob,2024-05-02\n"
        "long.wav,2,1,Backwards.,ann,\n"
        "long.wav,soon,3,When?,ann,\n"
        "long.wav,2,9,Too far.,ann,\n"
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS[:2], [long[8000:20000], long[24000:40000]])
    assert [u.speaker for u in result.rows] == ["ann", "bob"]
    assert dict(result.rows[0].recorded) == {"date": "2024-05-01", "recording": "long"}
    assert [r for _, r in result.reasons] == ["bad times"] * 3
    linked = run_import(tmp_path / "t.csv", output=tmp_path / "linked", link=True)
    linked.holds(result.texts, result.sounds)


def xlsx(path: Path, *rows: tuple, sheet: str = "Tabelle1") -> Path:
    book = openpyxl.Workbook()
    book.create_sheet("Notes", 0).append(["nothing", "here"])
    page = book.create_sheet(sheet)
    for row in rows:
        page.append(row)
    book.save(path)
    return path


def test_excel(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    table = xlsx(
        tmp_path / "Aufnahmen.xlsx",
        ("Datei", "Satz", "Sprecher", "date", None),
        ("a.wav", 'With "quotes", commas;\nand lines', "Ann", datetime.date(2024, 5, 1)),
        ("b.wav", 1984, 7.0),
        ("c.wav", "=A1&B1", None),  # never computed
        (None, None, None),
        ("gone.wav", "Lost.", "Ann"),
    )
    (tmp_path / "~$Aufnahmen.xlsx").write_bytes(b"a lock of Excel's")
    result = run_import(table, output=tmp_path / "out")
    result.holds(['With "quotes", commas; and lines', "1984"], sounds[:2])
    assert [u.speaker for u in result.rows] == ["Ann", "7"]
    assert dict(result.rows[0].recorded) == {"date": "2024-05-01"}
    assert result.reasons == [
        ("Aufnahmen.xlsx[Tabelle1]:4", "no text"),
        ("Aufnahmen.xlsx[Tabelle1]:6", "no audio"),
    ]
    assert 'sheet: "Tabelle1"' in result.imported.sources[0].taken_for
    assert run_import(tmp_path, output=tmp_path.parent / "folder").texts == result.texts


def test_excel_a_merged_cell_is_of_all_its_rows_and_a_title_of_one(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = (("Recordings of May", None, None), ("who", "path", "text"))
    xlsx(tmp_path / "t.xlsx", *rows, *zip(("ann", None, "bob"), NAMES, TEXTS, strict=True))
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    for cells in ("A1:C1", "A3:A4", "A5:A9"):
        book["Tabelle1"].merge_cells(cells)
    book["Tabelle1"]["A2"] = "speaker"
    book.save(tmp_path / "t.xlsx")
    result = run_import(tmp_path / "t.xlsx", output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    assert [u.speaker for u in result.rows] == ["ann", "ann", "bob"]
    assert "merged: 1 cell, whose value each of its rows has" in result.told[1]


def merged_audio(folder: Path, rows: list[tuple[str | None, ...]], cells: str) -> Path:
    """A table of path, who and text in which a cell of audio is over several rows."""
    path = xlsx(folder / "t.xlsx", ("path", "speaker", "text"), *rows)
    book = openpyxl.load_workbook(path)
    book["Tabelle1"].merge_cells(cells)
    book.save(path)
    return path


def test_excel_the_texts_beside_one_cell_of_audio_are_one(tmp_path: Path) -> None:
    """A recording has one transcript: its lines are in rows of their own."""
    sounds = clips(tmp_path, *NAMES)
    rows = [(NAMES[0], "ann", TEXTS[0]), (None, "bob", TEXTS[1]), (NAMES[2], "ann", TEXTS[2])]
    result = run_import(merged_audio(tmp_path, rows, "A2:A3"), output=tmp_path / "out")
    result.holds((f"{TEXTS[0]} {TEXTS[1]}", TEXTS[2]), [sounds[0], sounds[2]])
    assert [u.speaker for u in result.rows] == [None, "ann"]
    assert "joined: the texts beside 1 merged cell of audio" in result.told[1]
    assert not result.left_out


def test_excel_versions_of_one_text_beside_a_cell_of_audio_are_left_out(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    other = f"Well, {TEXTS[0].lower()}".replace(" ", ", ").rstrip(".") + "!"
    rows = [(NAMES[0], "a", TEXTS[0]), (None, "b", other), (NAMES[2], "a", TEXTS[2])]
    result = run_import(merged_audio(tmp_path, rows, "A2:A3"), output=tmp_path / "out")
    result.holds(TEXTS[2:], sounds[2:])
    assert [reason for _, reason in result.reasons] == ["another text"] * 2
    assert "left out: 2 rows beside merged cells of audio" in result.told[1]


def test_excel_rows_beside_a_cell_of_audio_are_told_once_of_annotators_too(tmp_path: Path) -> None:
    clips(tmp_path, *NAMES)
    rows = [(NAMES[0], "a", TEXTS[0]), (None, "b", TEXTS[0].lower()), (NAMES[2], "a", TEXTS[2])]
    book = openpyxl.load_workbook(merged_audio(tmp_path, rows, "A2:A3"))
    book["Tabelle1"]["B1"] = "annotator"
    book.save(tmp_path / "t.xlsx")
    assert run_import(tmp_path / "t.xlsx", output=tmp_path / "out").told[1].count("left out") == 1


def hide(path: Path, row: int) -> None:
    book = openpyxl.load_workbook(path)
    book["Tabelle1"].row_dimensions[row].hidden = True
    book.save(path)


@pytest.mark.parametrize("hidden", [2, 3, 4])
def test_excel_a_text_of_which_a_row_is_hidden_is_not_of_all_of_the_recording(
    tmp_path: Path, hidden: int
) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [(NAMES[0], "a", TEXTS[0]), (None, "a", TEXTS[1]), (None, "a", TEXTS[2]),
            (NAMES[1], "a", "Another.")]  # fmt: skip
    path = merged_audio(tmp_path, rows, "A2:A4")
    hide(path, hidden)
    result = run_import(path, output=tmp_path / "out")
    result.holds(["Another."], sounds[1:2])
    assert sorted(reason for _, reason in result.reasons) == ["bad row", "bad row", "hidden row"]
    assert "left out: 2 rows beside merged cells of audio of which another row is" in result.told[1]


@pytest.mark.parametrize("more", [TEXTS[0], "-", "?", None])
def test_excel_a_hidden_row_that_says_nothing_more_leaves_the_text_whole(
    tmp_path: Path, more: str | None
) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [(NAMES[0], "a", TEXTS[0]), (None, "a", more), (NAMES[2], "a", TEXTS[2])]
    path = merged_audio(tmp_path, rows, "A2:A3")
    hide(path, 3)
    result = run_import(path, output=tmp_path / "out")
    result.holds((TEXTS[0], TEXTS[2]), [sounds[0], sounds[2]])


def test_excel_a_merged_text_beside_a_merged_cell_of_audio_is_one_text(tmp_path: Path) -> None:
    """Of which the speaker, or a note, is in rows of its own."""
    sounds = clips(tmp_path, *NAMES)
    rows = [(NAMES[0], "ann", TEXTS[0]), (None, "ann", None), (NAMES[2], "ann", TEXTS[2])]
    book = openpyxl.load_workbook(merged_audio(tmp_path, rows, "A2:A3"))
    book["Tabelle1"].merge_cells("C2:C3")
    book.save(tmp_path / "t.xlsx")
    result = run_import(tmp_path / "t.xlsx", output=tmp_path / "out")
    result.holds((TEXTS[0], TEXTS[2]), [sounds[0], sounds[2]])


def test_excel_rows_with_times_beside_a_cell_of_audio_are_a_clip_each(tmp_path: Path) -> None:
    clips(tmp_path, *NAMES)
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (("path", "start", "end", "text"), (NAMES[0], 0, 0.2, TEXTS[0]),
                (None, 0.2, 0.4, TEXTS[1])):  # fmt: skip
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(tmp_path / "t.xlsx")
    result = run_import(tmp_path / "t.xlsx", output=tmp_path / "out", link=True)
    assert [(u.text, u.offset) for u in result.rows] == [(TEXTS[0], 0.0), (TEXTS[1], 0.2)]


def test_excel_hidden_rows_are_left_out_and_folded_ones_are_not(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    xlsx(tmp_path / "t.xlsx", ("path", "text"), *zip(NAMES, TEXTS, strict=True))
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    rows = book["Tabelle1"].row_dimensions
    rows[1].hidden = rows[3].hidden = True  # the head is read all the same
    rows[4].hidden, rows[4].outlineLevel = True, 1
    book.save(tmp_path / "t.xlsx")
    result = run_import(tmp_path / "t.xlsx", output=tmp_path / "out")
    result.holds((TEXTS[0], TEXTS[2]), [sounds[0], sounds[2]])
    assert result.reasons == [("t.xlsx[Tabelle1]:3", "hidden row")]
    assert "left out: 1 hidden row, show them in Excel to have them" in result.told[1]


def test_excel_rows_beyond_what_the_file_says_it_has_are_read(tmp_path: Path) -> None:
    """Some programs write `<dimension ref="A1"/>` whatever there is."""
    sounds = clips(tmp_path, *NAMES)
    xlsx(tmp_path / "right.xlsx", ("path", "text"), *zip(NAMES, TEXTS, strict=True))
    with (
        zipfile.ZipFile(tmp_path / "right.xlsx") as right,
        zipfile.ZipFile(tmp_path / "t.xlsx", "w") as wrong,
    ):
        for name in right.namelist():
            wrong.writestr(name, right.read(name).replace(b'ref="A1:B4"', b'ref="A1"'))
    run_import(tmp_path / "t.xlsx", output=tmp_path / "out").holds(TEXTS, sounds)


@pytest.mark.parametrize(
    ("name", "says"), [("t.xls", r"save or export a copy as \.xlsx"), ("t.xlsx", "damaged")]
)
def test_other_spreadsheets_are_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0 whatever")
    with pytest.raises(UserError, match=says):
        run_import(tmp_path / name, output=tmp_path / "out")
    clips(tmp_path, "a.wav")  # a folder of nothing else
    with pytest.raises(UserError, match=says):
        run_import(tmp_path, output=tmp_path.parent / "of-folder")


def flac(samples) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def save_to_disk(folder: Path, table: pa.Table) -> None:
    """As `datasets` 5 does, which takes seconds to load."""
    folder.mkdir(parents=True)
    file = folder / "data-00000-of-00001.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": file.name}]}))
    (folder / "dataset_info.json").write_text("{}")


@pytest.mark.parametrize("kind", ["parquet", "arrow", "splits"])
def test_what_datasets_saves_with_the_audio_in_it(tmp_path: Path, kind: str) -> None:
    sounds = [sound(seed) for seed in range(3)]
    audio = [{"bytes": flac(s), "path": f"clip{i}.flac"} for i, s in enumerate(sounds)]
    audio.append({"bytes": None, "path": "gone.flac"})
    table = pa.table(
        {
            "audio": audio,
            "sentence": [*TEXTS[:2], "", "No audio."],
            "speaker_id": [1, 2, 3, 4],
            "other": [0.5] * 4,
        }
    )
    folder = tmp_path / "saved"
    if kind == "parquet":
        folder.mkdir()
        pq.write_table(table, folder / "train-00000-of-00001.parquet")
    elif kind == "arrow":
        save_to_disk(folder, table)
    else:
        save_to_disk(folder / "train", table.slice(0, 1))
        save_to_disk(folder / "test", table.slice(1))
        (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    result = run_import(folder, link=True)
    wanted = [1, 0] if kind == "splits" else [0, 1]  # in order of the folders' names
    result.holds([TEXTS[i] for i in wanted], [sounds[i] for i in wanted])
    assert [u.speaker for u in result.rows] == [str(i + 1) for i in wanted]
    assert sorted(r for _, r in result.reasons) == ["no audio", "no text"]
    assert all(u.audio_filepath.is_relative_to(result.folder) for u in result.rows)


def test_columns_that_are_not_taken_are_named(tmp_path: Path) -> None:
    clips(tmp_path, *NAMES[:2])
    table = tmp_path / "t.csv"
    table.write_text("Datei;Satz;Wer;Alter\na.wav;One.;Ann;7\nb.wav;Two.;Bob;8\n")
    result = run_import(table, output=tmp_path / "out")
    assert 'not used: "Wer", "Alter"' in result.imported.sources[0].taken_for


def test_what_map_leaves_beside_a_saved_data_set_is_no_part_of_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    samples = sound(0)
    audio = {"bytes": write(tmp_path / "a.wav", samples).read_bytes(), "path": "a.wav"}
    saved = str(tmp_path / "d")
    datasets.Dataset.from_dict({"audio": [audio], "text": [TEXTS[0]]}).save_to_disk(saved)
    datasets.load_from_disk(saved).map(lambda row: {"n": 1}).filter(lambda row: True)
    assert len(list((tmp_path / "d").glob("cache-*.arrow"))) == 2
    run_import(tmp_path / "d").holds([TEXTS[0]], [samples])


def test_stretches_that_a_parquet_file_refers_to(tmp_path: Path) -> None:
    """Bytes are clips already, whatever they are of."""
    samples = sound(0, 2.0)
    file = write(tmp_path / "d/a.wav", samples)
    rows = {"start": [0.25, 1.0], "end": [0.75, 1.5], "text": list(TEXTS[:2])}
    pq.write_table(pa.table({"path": ["a.wav"] * 2, **rows}), tmp_path / "d/t.parquet")
    run_import(tmp_path / "d").holds(TEXTS[:2], [samples[4_000:12_000], samples[16_000:24_000]])
    audio = [{"bytes": file.read_bytes(), "path": None}] * 2
    (tmp_path / "e").mkdir()
    pq.write_table(pa.table({"audio": audio, **rows}), tmp_path / "e/t.parquet")
    run_import(tmp_path / "e").holds(TEXTS[:2], [samples, samples])


def test_a_file_that_its_folder_lacks_is_not_taken_from_another(tmp_path: Path) -> None:
    """Clips of two speakers often have the same names."""
    clips(tmp_path / "ann", "other.wav")
    sounds = clips(tmp_path / "bob", "001.wav")
    table = tmp_path / "t.csv"
    table.write_text("path,text\nann/001.wav,Of Ann.\nbob/001.wav,Of Bob.\nx\\001.wav,Elsewhere.\n")
    result = run_import(table, output=tmp_path / "out")
    assert result.texts[:1] == ["Of Bob."]
    np.testing.assert_array_equal(result.sounds[0], sounds[0])
    assert result.reasons[0] == ("t.csv:2", "no audio")


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("path,text,speaker\n", "{0},{1},ann\n"),
        ("", "{0},{1},ann\n"),
        ("", "{0},{1}\n"),
        ("text;path\n", "{1};{0}\n"),
    ],
)
def test_commas_of_sentences_without_quotes_cut_nothing_off(
    tmp_path: Path, head: str, row: str
) -> None:
    sounds = clips(tmp_path, *NAMES)
    mark = ";" if ";" in row else ","
    texts = [f"Well{mark} then{mark} go on.", TEXTS[1], f"Oh{mark} no."]
    rows = (row.format(name, text) for name, text in zip(NAMES, texts, strict=True))
    (tmp_path / "t.csv").write_text(head + "".join(rows))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(texts, sounds)
    assert {u.speaker for u in result.rows} <= {"ann", None}


def test_a_row_with_more_cells_than_columns_is_left_out(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    (tmp_path / "t.csv").write_text(
        f"path,text,speaker\na.wav,It was 1,000 years,ann\nb.wav,{TEXTS[1]},bob,\nc.wav,Hm,cid\n"
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds([TEXTS[1], "Hm"], sounds[1:])
    assert result.reasons == [("t.csv:2", "bad row")]
    assert "has 4 cells, and the table 3 columns" in result.left_out[0]["detail"]


@pytest.mark.parametrize("above", ["sep=;\r\n", "My recordings;;\r\n;;\r\n", "# by me\r\n\r\n"])
def test_what_stands_above_the_head_is_passed_over(tmp_path: Path, above: str) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = "".join(f"{n};{t};ann\r\n" for n, t in zip(NAMES, TEXTS, strict=True))
    (tmp_path / "t.csv").write_text(f"{above}Datei;Text;Sprecher\r\n{rows}", newline="")
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    assert {u.speaker for u in result.rows} == {"ann"}
    assert not result.left_out
    assert any("above the head" in text for text in result.imported.sources[0].taken_for)


def test_times_in_milliseconds(tmp_path: Path) -> None:
    [samples] = clips(tmp_path, "a.wav")
    (tmp_path / "t.csv").write_text(f"path,start_ms,end_ms,text\na.wav,100,300,{TEXTS[0]}\n")
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS[:1], [samples[1600:4800]])


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("clips/a.mp3", "clips/a.wav"),
        ("clips/my%20a.wav", "clips/my a.wav"),
        ("file:///x/my%20a.wav", "clips/my a.wav"),
        ("file://clips/a.wav", "clips/a.wav"),
        ("File://clips/take%20#2.wav", "clips/take #2.wav"),
        ("file:///x/take #3.wav", "clips/take #3.wav"),
        ("file://[bad/b.wav", "clips/b.wav"),
        ("file://clips/100%25.wav", "clips/100%25.wav"),
        ("clips/Caf\u00e9.wav", "clips/Cafe\u0301.wav"),
        ("clips/Cafe\u0301", "clips/Caf\u00e9.wav"),
    ],
)
def test_a_name_that_is_written_otherwise_is_found(tmp_path: Path, named: str, there: str) -> None:
    sounds = clips(tmp_path, there)
    (tmp_path / "t.csv").write_text(f"path,text\n{named},{TEXTS[0]}\n")
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS[:1], sounds)


def test_an_address_is_told_from_a_file_that_is_missing(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    (tmp_path / "t.csv").write_text(f"path,text\nhttps://example.org/a.wav?x=1,{TEXTS[0]}\n")
    with pytest.raises(UserError, match=r"no audio: .* is an address; download it, and name"):
        run_import(tmp_path / "t.csv", output=tmp_path / "out")


def test_of_two_that_a_clip_may_have_become_neither_is_taken(tmp_path: Path) -> None:
    sounds = clips(tmp_path, "a.wav", "b.wav", "b.flac")
    (tmp_path / "t.csv").write_text(f"path,text\na.mp3,{TEXTS[0]}\nb.mp3,Which?\n")
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS[:1], sounds[:1])
    assert result.reasons == [("t.csv:3", "no audio")]


@pytest.mark.parametrize("empty", ["nan", "NaN", "<NA>", "#N/A", "NULL", "None", "null"])
def test_a_cell_that_says_it_is_empty_is_neither_a_text_nor_a_speaker(
    tmp_path: Path, empty: str
) -> None:
    sounds = clips(tmp_path, *NAMES)
    (tmp_path / "t.csv").write_text(
        f"path,text,speaker\na.wav,{TEXTS[0]},{empty}\nb.wav,{empty},ann\nc.wav,nan bread,ann\n"
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds([TEXTS[0], "nan bread"], [sounds[0], sounds[2]])
    assert [u.speaker for u in result.rows] == [None, "ann"]
    assert result.reasons == [("t.csv:3", "no text")]
    assert f"the text is {empty}, which programs write" in result.left_out[0]["detail"]


def test_a_channel_by_name_is_that_channel_and_one_that_is_none_is_left_out(tmp_path: Path) -> None:
    left, right = sound(1), sound(2)
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], 1), 16_000, subtype="PCM_16")
    (tmp_path / "t.csv").write_text(
        f"path,text,channel\ncall.wav,{TEXTS[0]},Left\ncall.wav,{TEXTS[1]},R\n"
        f"call.wav,{TEXTS[2]},agent\n"
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS[:2], [left, right])
    assert result.reasons == [("t.csv:4", "bad row")]
    assert (
        "channel must be a number from 0 on, left or right: 'agent'" in result.left_out[0]["detail"]
    )


def test_who_corrected_a_text_is_no_text(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [f"{name},{text},Ann Lee" for name, text in zip(NAMES, TEXTS, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["path,text,corrected by", *rows]))
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS, sounds)


@pytest.mark.parametrize("heads", ["asr_text,corrected_text", "text,Manual transcript", "hyp,said"])
def test_of_two_texts_the_corrected_one_is_taken(tmp_path: Path, heads: str) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [
        f"{name},{text.lower()} as a model wrote it,{text}"
        for name, text in zip(NAMES, TEXTS, strict=True)
    ]
    (tmp_path / "t.csv").write_text("\n".join([f"path,{heads}", *rows]))
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS, sounds)


@pytest.mark.parametrize("head", ["corrected_text", "verified"])
def test_where_nothing_was_corrected_the_text_is_taken(tmp_path: Path, head: str) -> None:
    [samples] = clips(tmp_path, "a.wav")
    rows = [
        f"a.wav,What is said {i},{'' if i < 3 or i >= 150 else f'What was said {i}.'}"
        for i in range(0, 300, 3)
    ]
    (tmp_path / "t.csv").write_text("\n".join([f"path,text,{head}", *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    assert result.texts == [
        f"What is said {i}" if i < 3 or i >= 150 else f"What was said {i}."
        for i in range(0, 300, 3)
    ]
    assert f'text: "{head}", else "text"' in result.imported.sources[0].taken_for
    np.testing.assert_array_equal(result.sounds[0], samples)


def third_column_is_not_used(tmp_path: Path, head: str, cell: str) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [f"{name},{text},{cell}" for name, text in zip(NAMES, TEXTS, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([f"path,text,{head}", *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    assert f'not used: "{head}"' in result.imported.sources[0].taken_for


def test_a_name_in_several_spellings_is_one_speaker(tmp_path: Path) -> None:
    clips(tmp_path, *NAMES)
    names = ("Ann", "ann ", "Bob")
    rows = [f"{n},{t},{who}" for n, t, who in zip(NAMES, TEXTS, names, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["path,text,speaker", *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    assert result.imported.speakers == 2
    told = result.imported.sources[0].taken_for
    assert "taken for one speaker: Ann and ann; spell two people otherwise" in told


@pytest.mark.parametrize(
    ("head", "cell"),
    [
        ("verified", "2024-05-01 12:00:01"),
        ("human", "John Smith"),
        ("approved", "by Ann Lee"),
        ("gold", "yes of course"),
        ("manual transcript", "see folder two"),
    ],
)
def test_who_or_when_is_no_text(tmp_path: Path, head: str, cell: str) -> None:
    third_column_is_not_used(tmp_path, head, cell)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("path,speaker,text", "{0},ann, {1}, my friend"),
        ("path,speaker,text", "{0},ann, {1}"),
        ("path,text,speaker", "{0},{1}, ann"),
        ("path,text,speaker", "{0},{1},ann, "),
    ],
)
def test_a_space_that_only_the_table_has_joins_no_cells(
    tmp_path: Path, head: str, row: str
) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [row.format(name, text) for name, text in zip(NAMES, TEXTS, strict=True)]
    if "friend" in row:  # in some of the rows alone
        rows[0] = rows[0].removesuffix(", my friend")
    (tmp_path / "t.csv").write_text("\n".join([head, *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    more = ", my friend" if "friend" in row else ""
    result.holds([TEXTS[0], *(text + more for text in TEXTS[1:])], sounds)
    assert {u.speaker for u in result.rows} == {"ann"}


def test_a_sentence_is_not_joined_to_who_says_the_next(tmp_path: Path) -> None:
    """Which of two cells is one too many is not known where each begins with a space."""
    sounds = clips(tmp_path, *NAMES)
    rows = [f"{name},{text}, ann" for name, text in zip(NAMES, TEXTS, strict=True)]
    rows[1] = "b.wav,Hello there, my friend, ann"
    (tmp_path / "t.csv").write_text("\n".join(["path,text,speaker", *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds([TEXTS[0], TEXTS[2]], [sounds[0], sounds[2]])
    assert result.reasons == [("t.csv:3", "bad row")]


@pytest.mark.parametrize("cell", ["mobile", "stereo", "mono", "A", "-1", "phone"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_of_no_channels_is_not_used(tmp_path: Path, cell: str, suffix: str) -> None:
    sounds = clips(tmp_path, *NAMES)
    if suffix == "csv":
        rows = [f"{name},{text},{cell}" for name, text in zip(NAMES, TEXTS, strict=True)]
        (tmp_path / "t.csv").write_text("\n".join(["path,text,channel", *rows]))
    else:
        table = {"path": list(NAMES), "text": list(TEXTS), "channel": [cell] * 3}
        pq.write_table(pa.table(table), tmp_path / "t.parquet")
    result = run_import(tmp_path / f"t.{suffix}", output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    taken = " ".join(result.imported.sources[0].taken_for)
    assert "channel: " not in taken
    assert suffix == "parquet" or 'not used: "channel"' in taken


def test_mono_is_no_channel_beside_others(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    (tmp_path / "t.csv").write_text(
        f"path,text,channel\na.wav,{TEXTS[0]},mono\nb.wav,{TEXTS[1]},Mono\nc.wav,{TEXTS[2]},0\n"
    )
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS, sounds)


def test_channels_that_tell_rows_of_one_file_apart_are_not_passed_over(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    (tmp_path / "t.csv").write_text(
        f"path,text,channel\na.wav,{TEXTS[0]},agent\na.wav,{TEXTS[1]},caller\n"
    )
    with pytest.raises(UserError, match=NO_CHANNEL):
        run_import(tmp_path / "t.csv", output=tmp_path / "out")


def test_a_corrected_text_of_a_parquet_file_is_taken(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    texts = [f"{text} Um." for text in TEXTS]
    table = {"path": list(NAMES), "text": texts, "verified": [None, *TEXTS[1:]]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    result = run_import(tmp_path / "t.parquet", output=tmp_path / "out")
    result.holds([texts[0], *TEXTS[1:]], sounds)


@pytest.mark.parametrize(
    ("head", "row", "more"),
    [
        ("path\ttext\tspeaker", "{0}\t{1}\tann", "\ta note"),
        ("path|text|speaker", "{0}|{1}|ann", "|a note"),
        ("path,text,speaker", '{0},"{1}",ann', ",a note"),
        ("path;text;speaker", '{0};"{1}; and on";ann', ";a note"),
        ("path,text,speaker", "{0},{1},ann", ", "),
    ],
    ids=["tabs", "pipes", "quoted", "quoted-semicolons", "blank"],
)
def test_a_cell_beyond_the_last_column_that_is_not_of_the_text_is_passed_over(
    tmp_path: Path, head: str, row: str, more: str
) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [row.format(name, text) for name, text in zip(NAMES, TEXTS, strict=True)]
    rows[1] += more
    (tmp_path / "t.csv").write_text("\n".join([head, *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds([text + ("; and on" if "and on" in row else "") for text in TEXTS], sounds)
    assert {u.speaker for u in result.rows} == {"ann"}


def test_a_note_is_told_from_the_rest_of_a_text_by_what_stands_in_its_place(
    tmp_path: Path,
) -> None:
    sounds = clips(tmp_path, *(f"{i}.wav" for i in range(9)))
    rows = [f"{i}.wav,{TEXTS[i % 3]},{('ann', 'bob')[i % 2]}" for i in range(9)]
    rows[1] += ",checked twice"
    rows[3] += ",ann"  # the text may be Seven, and he says bob
    rows[4] = f"4.wav,Oh,{TEXTS[1]},ann,a note"
    (tmp_path / "t.csv").write_text("\n".join(["path,text,speaker", *rows]))
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    taken = [TEXTS[i % 3] for i in (0, 1, 2, 5, 6, 7, 8)]
    result.holds(taken, [sounds[i] for i in (0, 1, 2, 5, 6, 7, 8)])
    assert [u.speaker for u in result.rows] == ["ann", "bob", "ann", "bob", "ann", "bob", "ann"]
    assert result.reasons == [("t.csv:5", "bad row"), ("t.csv:6", "bad row")]


def test_a_note_behind_the_audio_is_no_part_of_the_text(tmp_path: Path) -> None:
    sounds = clips(tmp_path, *NAMES)
    rows = [f"{text},{name}" for name, text in zip(NAMES, TEXTS, strict=True)]
    rows[1] += ",a note"
    (tmp_path / "t.csv").write_text("\n".join(["text,path", *rows]))
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS, sounds)


def test_where_texts_that_need_quotes_have_them_a_cell_beyond_is_passed_over(
    tmp_path: Path,
) -> None:
    sounds = clips(tmp_path, *NAMES)
    (tmp_path / "t.csv").write_text(
        f'path,text,speaker\na.wav,"Oh, no",ann\nb.wav,{TEXTS[1]},ann,a note\nc.wav,Hm,ann\n'
    )
    result = run_import(tmp_path / "t.csv", output=tmp_path / "out")
    result.holds(["Oh, no", TEXTS[1], "Hm"], sounds)


@pytest.mark.parametrize(
    ("head", "cell"),
    [
        ("begin_time", "2024-05-01 10:00:00"),
        ("finish_time", "01.05.2024"),
        ("time_in", "May 1st"),
        ("end", "-"),
        ("start_ms", "unknown"),
    ],
)
def test_a_column_of_no_times_is_not_used(tmp_path: Path, head: str, cell: str) -> None:
    third_column_is_not_used(tmp_path, head, cell)


@pytest.mark.parametrize(
    ("name", "cells"), [("a.wav", ("soon", "later")), ("b.wav", ("1,500",)), ("c.wav", ("2 sec",))]
)
def test_times_that_are_not_understood_do_not_make_a_clip_of_all(
    tmp_path: Path, name: str, cells: tuple[str, ...]
) -> None:
    """Of several rows of a file none is the whole file; nor is one with a time in other figures."""
    clips(tmp_path, name)
    rows = [f'{name},{text},"{cell}"' for text, cell in zip(TEXTS, cells, strict=False)]
    (tmp_path / "t.csv").write_text("\n".join(["path,text,end_ms", *rows]))
    with pytest.raises(UserError, match="is no time in milliseconds"):
        run_import(tmp_path / "t.csv", output=tmp_path / "out")


@pytest.mark.parametrize("head", ["prediction", "auto_text"])
@pytest.mark.parametrize("other", ["comment", "speaker"])
def test_a_remark_is_no_text_beside_what_a_model_wrote(
    tmp_path: Path, head: str, other: str
) -> None:
    sounds = clips(tmp_path, *NAMES)
    cell = "ok" if other == "comment" else "Ann Lee of York"
    rows = [f"{name},{text},{cell}" for name, text in zip(NAMES, TEXTS, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([f"path,{head},{other}", *rows]))
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS, sounds)


def test_the_file_that_has_the_name_is_taken_before_one_that_it_may_have_become(
    tmp_path: Path,
) -> None:
    sounds = clips(tmp_path, "mine/a.flac", "clips/a.wav")
    (tmp_path / "t.csv").write_text(f"path,text\na.flac,{TEXTS[0]}\n")
    run_import(tmp_path / "t.csv", output=tmp_path / "out").holds(TEXTS[:1], sounds[:1])


def test_a_folder_is_read_once_however_many_names_are_missing(tmp_path: Path, monkeypatch) -> None:
    clips(tmp_path, "clips/a.wav")
    finder, read, looked = AudioFinder(tmp_path), [], []
    names, is_file = os.listdir, Path.is_file
    monkeypatch.setattr(os, "listdir", lambda folder: read.append(folder) or names(folder))
    monkeypatch.setattr(Path, "is_file", lambda path: looked.append(path) or is_file(path))
    for i in range(50):
        with pytest.raises(NotFoundError):
            finder.find(f"c{i}.wav", tmp_path)
    assert len(read) == len({*read}) <= 15
    assert len(looked) <= 50 * 15


def test_of_rows_that_are_alike_a_few_are_looked_at(monkeypatch) -> None:
    """A table of a million rows is no longer read than it must be, and held once."""
    looked, whole = [], delimited._sentences_whole
    monkeypatch.setattr(
        delimited, "_sentences_whole", lambda *args: looked.append(1) or whole(*args)
    )
    rows = [f"{i}.wav,What is said,ann" for i in range(3000)] + ["last.wav,Oh, no,ann"]
    records = delimited.table_of("\n".join(rows), delimited.Dialect(",", quoted=True))
    assert records[-1] == (3001, ["last.wav", "Oh, no", "ann"])
    assert len(looked) < 1000


def test_audio_that_was_given_to_label_studio_is_found_by_its_own_name(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "in", "a.wav", "b.wav")
    head = "annotation_id,annotator,audio,created_at,id,lead_time,transcription,updated_at"
    rows = [
        f"{i},1,/data/upload/3/ab12cd3{i}-{name}.wav,2024-01-01T00:00:00Z,{i},3.2,{TEXTS[i]},x"
        for i, name in enumerate("ab")
    ]
    (tmp_path / "in/project-3.csv").write_text("\n".join([head, *rows]))
    run_import(tmp_path / "in", output=tmp_path / "out").holds(TEXTS[:2], sounds)


def test_a_text_in_another_encoding_than_was_told_is_told_once(tmp_path: Path) -> None:
    clips(tmp_path / "in", "a.wav")
    (tmp_path / "in/a.txt").write_bytes("Grüße".encode("cp1252"))
    told: list[str] = []
    args = ImportArgs((tmp_path / "in",), tmp_path / "out", encoding="utf-8")
    with pytest.raises(UserError, match="is not in utf-8, as --encoding says"):
        import_sources(args, told.append)
    assert "ELAN" not in " ".join(told)
