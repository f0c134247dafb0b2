"""Subtitles beside SRT and WebVTT: SubStation, SBV and TTML; and times that people set."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from imports import run_import
from timed_talk import SAID, WANTED, WHOLE, clock, cut_as_wanted, recording, timed

from moontune.config.schema import DataConfig, ModelConfig, OutputConfig, RunConfig
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.importing.on_the_way import with_imported
from moontune.importing.timed.captions import Caption
from moontune.importing.timed.subtitles import bilingual
from moontune.importing.timed.subtitles.ttml_times import Clock

HEAD = "[Script Info]\nTitle: Dialogue: none\n\n[V4+ Styles]\nStyle: Default,Arial,20\n\n[Events]\n"
FORMAT = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
NAMESPACES = (
    'xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" '
    'xmlns:tts="http://www.w3.org/ns/ttml#styling" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"'
)
Cue = tuple[float, float, str]


def dialogue(
    start: float, end: float, text: str, kind: str = "Dialogue", style: str = "", name: str = ""
) -> str:
    times = f"{clock(start, '.')[1:-1]},{clock(end, '.')[1:-1]}"
    return f"{kind}: 0,{times},{style or 'Default'},{name},0,0,0,,{text}\n"


def ass(cues: list[Cue]) -> str:
    return HEAD + FORMAT + "".join(dialogue(*cue) for cue in cues)


def ssa(cues: list[Cue]) -> str:
    lines = "".join(dialogue(*cue).replace(": 0,", ": Marked=0,") for cue in cues)
    return HEAD.replace("V4+", "V4") + lines  # without a head of columns


def other_columns(cues: list[Cue]) -> str:
    lines = "".join(
        f"Dialogue: {clock(e, '.')[1:-1]}, {clock(s, '.')[1:-1]}, {t}\n" for s, e, t in cues
    )
    return f"{HEAD}Format: End, Start, Text\n{lines}"


def sbv(cues: list[Cue]) -> str:
    return "".join(f"{clock(s, '.')[1:]},{clock(e, '.')[1:]}\n{t}\n\n" for s, e, t in cues)


def ttml(paragraphs: str, told: str = "", head: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<tt {NAMESPACES} {told}><head>{head}</head>'
        f"<body><div>{paragraphs}</div></body></tt>"
    )


def paragraphs(cues: list[Cue], time: str) -> str:
    """`time`: how the format's function below writes one."""
    write = {
        "clock": lambda s: clock(s, "."),
        "seconds": lambda s: f"{s}s",
        "ms": lambda s: f"{round(1000 * s)}ms",
        "frames": lambda s: f"{clock(s)[:8]}:{round(s % 1 * 25):02}",
        "ticks": lambda s: f"{round(s * 1e7)}t",
    }[time]
    return "".join(f'<p begin="{write(s)}" end="{write(e)}">{t}</p>\n' for s, e, t in cues)


def of_dur(cues: list[Cue]) -> str:
    """Times that count from the body's and the division's begin, and durations."""
    body = "".join(f'<p begin="{s - 0.5}s" dur="{e - s}s">{t}</p>' for s, e, t in cues)
    return (
        ttml(body).replace("<body>", '<body begin="0.2s">').replace("<div>", '<div begin="0.3s">')
    )


CUES = timed()
SOURCES = {
    "talk.ass": ass(CUES),
    "talk.en.ass": ass(CUES).replace("\n", "\r\n"),
    "old/talk.ssa": ssa(CUES),
    "columns/talk.ass": other_columns(CUES),
    "talk.sbv": sbv(CUES).replace("\n", "\r\n"),
    "talk.ttml": ttml(paragraphs(CUES, "clock")),
    "talk.dfxp": ttml(paragraphs(CUES, "seconds")).replace("/ns/ttml", "/2006/10/ttaf1"),
    "talk.xml": ttml(paragraphs(CUES, "ticks"), 'ttp:tickRate="10000000"'),
    "talk.itt": ttml(paragraphs(CUES, "frames"), 'ttp:frameRate="25" ttp:timeBase="smpte"'),
    "ms/talk.ttml": ttml(paragraphs(CUES, "ms")),
    "dur/talk.ttml": of_dur(CUES),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", SOURCES)
def test_each_kind_is_cut_into_the_same_sentences(tmp_path: Path, name: str, encoding: str) -> None:
    file = tmp_path / name
    samples = recording(file.parent)
    file.write_text(SOURCES[name], encoding=encoding, newline="")
    result = run_import(file, output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert not result.left_out


def test_styles_drawings_and_remarks_of_a_substation_are_not_said(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    lines = [
        dialogue(0.5, 1.5, r"{\an8}{\k20}The {\k30}red{a remark} boat\hsails", name="Ann"),
        dialogue(1.9, 3.0, r"{\fad(100,100)}home\Nto {\i1}the{\i0}\nquay, at last.", name="Ann"),
        dialogue(0.5, 9.0, "Never said.", kind="Comment"),
        dialogue(4.5, 6.0, r"{\p1}m 0 0 l 10 10{\p0\b1}Seven birds sing.", name="Bob"),
        dialogue(8.0, 9.5, r"{\p1}m 0 0 l 10 10 b 1 2"),
        dialogue(1.0, 5.0, "EXIT", style="Signs_top"),
        dialogue(1.0, 5.0, r"{\move(1,2,3,4)}TO THE SEA"),
        dialogue(10.0, 11.0, "A, wind, {not closed."),
    ]
    (tmp_path / "in" / "talk.ass").write_text(HEAD + FORMAT + "".join(lines))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert [(u.text, u.speaker) for u in result.rows] == [
        ("The red boat sails home to the quay, at last.", "Ann"),
        ("Seven birds sing.", "Bob"),
        ("A, wind, {not closed.", None),
    ]
    assert sorted(result.reasons) == [(f"talk.ass:{n}", "no text") for n in (13, 14, 15)]
    assert "not said: 2 lines of signs and effects" in result.imported.sources[0].taken_for


def test_lines_that_are_all_set_on_a_place_are_said(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in" / "talk.ass").write_text(
        ass([(s, e, rf"{{\pos(9,9)}}{t}") for s, e, t in CUES])
    )
    assert tuple(run_import(tmp_path / "in", output=tmp_path / "out").texts) == WHOLE


def test_a_line_of_a_substation_whose_times_are_none_is_left_out(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    bad = "Dialogue: 0,soon,0:00:02.00,Default,,0,0,0,,When?\nDialogue: 0,0:00:01.00\n"
    beyond = dialogue(40, 41, "Beyond.") + dialogue(9.5, 9.0, "Backwards.")
    (tmp_path / "in" / "talk.ass").write_text(ass(CUES[:3]) + bad + beyond)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE[:2]
    assert sorted(reason for _, reason in result.reasons) == ["bad row"] + ["bad times"] * 3


def test_another_who_speaks_begins_another_sentence(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    marked = [(s, e, f">> {t}" if i in (1, 3) else t) for i, (s, e, t) in enumerate(CUES)]
    (tmp_path / "in" / "talk.sbv").write_text(sbv(marked).replace("quay.", "quay[br]."))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [SAID[0], SAID[1].replace(".", " ."), SAID[2], WHOLE[2]]


def test_paragraphs_of_a_ttml_have_spans_breaks_and_people(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    agents = (
        "<metadata><ttm:title>Tom & Ann</ttm:title>"
        '<ttm:agent xml:id="a"><ttm:name type="full">Ann Lee</ttm:name></ttm:agent>'
        '<ttm:agent xml:id="b"/></metadata>'
    )
    body = (
        '<p begin="0.5s" end="3s" ttm:agent="a"><metadata ttm:desc="x"><ttm:desc>no</ttm:desc>'
        '</metadata><span tts:color="red">The <span>red</span> boat</span><br/>sails&nbsp;&amp; '
        "Tom & <![CDATA[Jerry]]> <!-- not this --><span tts:ruby='container'><span>go</span>"
        "<span tts:ruby='text'>GO</span></span>.</p>"
        '<p begin="4.5s" end="6s"><span ttm:agent="b">Seven birds</span></p>'
        '<p begin="4.5s" end="6s"><span ttm:agent="b">sing.</span></p>'
        '<p><span begin="8s" end="9s">A cold wind</span> '
        '<span begin="9s" end="9.5s">blows</span></p>'
        '<p begin="10s">north.</p><p begin="soon">When?</p><p begin="70s" end="71s">Beyond.</p>'
    )
    (tmp_path / "in" / "talk.ttml").write_text(ttml(body, head=agents))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert [(u.text, u.speaker) for u in result.rows] == [
        ("The red boat sails & Tom & Jerry go.", "Ann Lee"),
        ("Seven birds sing.", "b"),
        ("A cold wind blows north.", None),
    ]
    assert result.reasons == [("talk.ttml:p 6", "bad times"), ("talk.ttml:p 7", "bad times")]


@pytest.mark.parametrize(
    ("told", "time", "seconds"),
    [
        ('ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"', "00:00:10:15", 10.5005),
        (
            'ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"',
            "00:00:10:00",
            10.01,
        ),
        (
            'ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" '
            'ttp:dropMode="dropNTSC"',
            "00:10:00:00",
            600.0,
        ),
        ("", "00:00:10:15", 10.5),
        ("", "0:00:10.5", 10.5),
        ("", "00:00:10,500", 10.5),
        ("", "0.25h", 900.0),
        ("", "1.5m", 90.0),
        ('ttp:frameRate="25"', "50f", 2.0),
        ('ttp:frameRate="25" ttp:subFrameRate="2"', "100t", 2.0),
        ("", "2t", 2.0),
    ],
)
def test_times_are_counted_as_the_head_of_a_ttml_says(told: str, time: str, seconds: float) -> None:
    attributes = dict(re.findall(r'ttp:(\w+)="([^"]*)"', told))
    assert Clock.of(attributes).seconds(time) == pytest.approx(seconds, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("talk.ass", "", r"has no \[Events\]"),
        ("talk.ass", "1\n00:00:01,000 --> 00:00:02,000\nAn SRT.\n", r"has no \[Events\]"),
        ("talk.ass", f"{HEAD}Format: Text, Start, End\n", "Text is not the last"),
        ("talk.sbv", "", "has no line of begin and end"),
        ("talk.sbv", "1\n00:00:01,000 --> 00:00:02,000\nAn SRT.\n", "has no line of begin and end"),
        ("talk.ttml", "", "cannot be read as TTML"),
        ("talk.ttml", ttml(paragraphs(CUES, "clock"))[:-40], "cannot be read as TTML"),
        ("talk.ttml", "<html><body><p>Hi</p></body></html>", "is XML of another kind"),
        ("talk.ttml", ttml("", 'ttp:timeBase="clock"'), "times of clock"),
        ("talk.ttml", ttml("", 'ttp:frameRate="fast"'), "which is not read"),
        ("talk.ttml", ttml('<p timeContainer="seq"/>'), "follow one another"),
        ("talk.ttml", '<!DOCTYPE tt [<!ENTITY a "b">]>' + ttml(""), "declares entities"),
        ("talk.ttml", "<tt>" * 5_000 + "</tt>" * 5_000, "no rows|too deep"),
        (
            "talk.ttml",
            ttml("<span>" * 9_000 + "</span>" * 9_000),
            "no rows|too deep|cannot be read",
        ),
    ],
)
def test_what_is_not_understood_is_refused_in_a_line(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in" / name).write_text(content)
    with pytest.raises(UserError, match=says) as told:
        run_import(tmp_path / "in" / name, output=tmp_path / "out")
    assert "\n" not in str(told.value)


def test_xml_of_another_kind_is_no_text_of_a_recording(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in" / "talk.xml").write_text("<project><clip>talk.wav</clip></project>")
    (tmp_path / "in" / "talk.sbv").write_text(sbv(CUES))
    assert tuple(run_import(tmp_path / "in", output=tmp_path / "out").texts) == WHOLE


def otr(parts: Sequence[tuple[object, str]], media: str | None = "talk.wav") -> str:
    text = "".join(
        f'<p><span class="timestamp" contenteditable="false" data-timestamp="{time}">'
        f"<b>0:0<span>{time}</span></b></span>&nbsp;{said}</p>"
        for time, said in parts
    )
    return json.dumps({"text": f"<p>Interview with Ann</p>{text}", "media": media, "media-time": 3})


def test_times_of_otranscribe_are_the_begin_of_what_follows(tmp_path: Path) -> None:
    samples = recording(tmp_path / "in", "field 1.wav")
    parts = [(0.4, "The red boat <i>sails</i><br>home to the quay."), (4.4, "Seven birds sing."),
             (7.9, "A cold wind blows &amp; howls.")]  # fmt: skip
    (tmp_path / "in/notes.otr").write_text(otr(parts, "field 1.wav"), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", link=True)
    assert result.texts == [*WHOLE[:2], "A cold wind blows & howls."]
    for u, (start, end) in zip(result.rows, WANTED, strict=True):
        assert (u.offset or 0) <= start < end <= (u.offset or 0) + (u.duration or 0)
    assert result.reasons == [("notes.otr", "bad times")]
    assert len(samples) / 16_000 >= (result.rows[-1].offset or 0) + (result.rows[-1].duration or 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot be read as oTranscribe's"),
        ('{"text": 3}', "cannot be read as oTranscribe's"),
        ("[1]", "cannot be read as oTranscribe's"),
        (otr([]), "has no times; set some in oTranscribe"),
        (otr([("soon", "When?")]), "has no times"),
    ],
)
def test_an_otr_without_times_is_refused(tmp_path: Path, content: str, says: str) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.otr").write_text(content)
    with pytest.raises(UserError, match=says):
        run_import(tmp_path / "in/talk.otr", output=tmp_path / "out")


GERMAN = ("Das rote Boot segelt", "heim.", "Vögel singen.", "Ein Wind", "weht.")
CHINESE = ("红船航行", "回到码头。", "七只鸟唱歌。", "冷风", "吹向北方。")


def translated(texts: Sequence[str]) -> list[Cue]:
    return [(s, e, text) for (s, e, _), text in zip(CUES, texts, strict=True)]


def two_styles(texts: Sequence[str], second: str = "Top") -> str:
    """An ASS whose second style has a translation, a tenth of a second later."""
    other = [dialogue(s + 0.1, e + 0.1, t, style=second) for s, e, t in translated(texts)]
    return ass(CUES) + "".join(other)


def two_divs(texts: Sequence[str], tag: str) -> str:
    first = paragraphs(CUES, "clock")
    second = paragraphs(translated(texts), "clock")
    return (
        ttml(first)
        .replace("<div>", '<div xml:lang="en">')
        .replace("</body>", f'<div xml:lang="{tag}">{second}</div></body>')
    )


@pytest.mark.parametrize(
    ("name", "content", "language", "texts"),
    [
        ("talk.ttml", two_divs(GERMAN, "de-DE"), None, WHOLE),
        ("talk.ttml", two_divs(GERMAN, "de-DE"), "en", WHOLE),
        ("talk.ttml", two_divs(GERMAN, "de-DE"), "de",
         ("Das rote Boot segelt heim.", "Vögel singen.", "Ein Wind weht.")),
        ("talk.ass", two_styles(GERMAN), None, WHOLE),
        ("talk.ass", two_styles(CHINESE), "en", WHOLE),
        ("talk.ass", two_styles(CHINESE), "zh",
         ("红船航行回到码头。", "七只鸟唱歌。", "冷风吹向北方。")),
    ],
)  # fmt: skip
def test_of_two_languages_at_once_the_one_that_is_spoken_is_taken(
    tmp_path: Path, name: str, content: str, language: str | None, texts: tuple[str, ...]
) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in" / name).write_text(content, encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", language=language)
    assert tuple(result.texts) == texts
    assert [row["reason"] for row in result.left_out] == ["another text"] * len(CUES)
    [told] = [line for line in result.told if "at the same times" in line]
    assert f"left out: {len(CUES)} lines" in told


def test_a_language_that_is_not_among_those_at_once_is_refused(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.ttml").write_text(two_divs(GERMAN, "de"), encoding="utf-8")
    with pytest.raises(UserError, match=r'languages "en" and "de" .* none in --language es'):
        run_import(tmp_path / "in", output=tmp_path / "out", language="es")


def test_of_two_languages_a_run_has_that_of_its_base(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    longer = [f"{text} und noch viel mehr" for text in GERMAN]
    (tmp_path / "in/talk.ttml").write_text(two_divs(longer, "de"), encoding="utf-8")
    data = DataConfig(manifest=(tmp_path / "in",))
    found = []
    for model in (ModelConfig("bundled"), ModelConfig("bundled", language="de"), ModelConfig()):
        config = RunConfig(data=data, model=model, output=OutputConfig(output_dir=tmp_path))
        made = with_imported(config, lambda text: None).data.manifest
        assert made
        found.append(read_manifest(made[0])[0][0].text)
    assert found == [WHOLE[0], longer[0], longer[0]]


def test_languages_that_take_turns_are_all_said(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    content = ttml(paragraphs(CUES, "clock")).replace("<p ", '<p xml:lang="fr" ', 2)
    (tmp_path / "in/talk.ttml").write_text(content)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert not result.left_out


def test_a_style_that_interrupts_another_is_no_translation(tmp_path: Path) -> None:
    """Somebody who says yes while somebody speaks: what both say is left out, as ever."""
    recording(tmp_path / "in")
    yes = dialogue(2.0, 2.4, "Yes.", style="Bob")
    (tmp_path / "in/talk.ass").write_text(ass(CUES) + yes)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert [row["reason"] for row in result.left_out] == ["overlapping"] * 2


def srt(cues: list[Cue]) -> str:
    return "".join(
        f"{i}\n{clock(s, ',')} --> {clock(e, ',')}\n{t}\n\n" for i, (s, e, t) in enumerate(cues, 1)
    )


IN_TWO_SCRIPTS = {
    "lines": [(s, e, f"{t}\n{other}") for (s, e, t), (*_, other) in
              zip(CUES, translated(CHINESE), strict=True)],
    "cues": [cue for pair in zip(CUES, translated(CHINESE), strict=True) for cue in pair],
}  # fmt: skip


@pytest.mark.parametrize("name", IN_TWO_SCRIPTS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_of_lines_in_two_scripts_those_that_are_spoken_are_taken(
    tmp_path: Path, name: str, language: str
) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.srt").write_text(srt(IN_TWO_SCRIPTS[name]), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", language=language)
    chinese = ("红船航行回到码头。", "七只鸟唱歌。", "冷风吹向北方。")
    assert tuple(result.texts) == (WHOLE if language == "en" else chinese)
    assert [row["reason"] for row in result.left_out] == ["another text"] * len(CUES)
    assert any("--language CODE says which" in line for line in result.told)


def test_of_a_folders_files_each_that_has_two_languages_is_told(tmp_path: Path) -> None:
    for name, content in (("a", srt(CUES)), ("b", srt(IN_TWO_SCRIPTS["lines"]))):
        recording(tmp_path / "in", f"{name}.wav")
        (tmp_path / f"in/{name}.srt").write_text(content, encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", language="en")
    assert tuple(result.texts) == WHOLE * 2
    assert any("at the same times" in line for line in result.told)


def test_a_foreign_line_now_and_then_is_said_too(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    cues = [(s, e, f"{t}\n北京" if i == 2 else t) for i, (s, e, t) in enumerate(CUES)]
    (tmp_path / "in/talk.srt").write_text(srt(cues), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts[1] == f"{SAID[2]} 北京"
    assert not result.left_out


def test_names_between_brackets_before_lines_of_an_sbv_are_speakers(tmp_path: Path) -> None:
    """As Google Meet writes them."""
    recording(tmp_path / "in")
    cues = [(s, e, f"(Ann Lee)\n{t}") for s, e, t in CUES]
    (tmp_path / "in/talk.sbv").write_text(sbv(cues))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert [(u.text, u.speaker) for u in result.rows] == [(t, "Ann Lee") for t in WHOLE]
    for laughs in ((2,), (0, 1, 2, 3)):
        cues = [(s, e, f"(laughs)\n{t}" if i in laughs else t) for i, (s, e, t) in enumerate(CUES)]
        (tmp_path / "in/talk.sbv").write_text(sbv(cues))
        result = run_import(tmp_path / "in", output=tmp_path / f"sounds{len(laughs)}")
        assert result.texts[1] == f"(laughs) {SAID[2]}"
        assert {u.speaker for u in result.rows} == {None}


@pytest.mark.parametrize(("language", "taken"), [(None, "de"), ("en", "en"), ("de", "de")])
def test_of_files_in_two_languages_the_one_that_is_asked_for_is_taken(
    tmp_path: Path, language: str | None, taken: str
) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.de.srt").write_text(srt(translated(GERMAN)), encoding="utf-8")
    (tmp_path / "in/talk.en.srt").write_text(srt(CUES))
    result = run_import(tmp_path / "in", output=tmp_path / "out", language=language)
    assert result.texts[-1] == {"de": "Ein Wind weht.", "en": WHOLE[-1]}[taken]
    other = {"de": "en", "en": "de"}[taken]
    assert result.reasons == [(f"talk.{other}.srt", "another text")]
    said = f"talk.{taken}.srt and not talk.{other}.srt, --language CODE says which is spoken"
    assert any(said in line for line in result.told) == (language is None)


def test_a_song_in_a_language_that_is_not_spoken_hinders_nothing(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    lines = "".join(dialogue(*cue) for cue in CUES[1:])
    for i, sung in enumerate(("東京の空", "とうきょう")):
        lines += dialogue(0.6, 1.2, sung, style=f"Song{i}")
    (tmp_path / "in/talk.ass").write_text(HEAD + FORMAT + lines, encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", language="en")
    assert result.texts[-1] == WHOLE[-1]
    assert [why for _, why in result.reasons] == ["another text"] * 2
    assert any("none in --language en" in line for line in result.told)


@pytest.mark.parametrize(("aside", "speaker"), [("ANN:", "ANN"), ("[MUSIC]", None), ("(uh)", None)])
def test_asides_on_lines_in_other_letters_are_no_other_language(
    tmp_path: Path, aside: str, speaker: str | None
) -> None:
    recording(tmp_path / "in")
    cues = [(s, e, f"{aside}\nПривет {i}.") for i, (s, e, _) in enumerate(CUES)]
    (tmp_path / "in/talk.srt").write_text(srt(cues), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert {u.speaker for u in result.rows} == {speaker}
    assert all("Привет" in text for text in result.texts)
    assert not result.left_out


def test_japanese_without_kana_is_what_was_asked_for(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    cues = [(s, e, f"東京{i}\nTokyo {i}") for i, (s, e, _) in enumerate(CUES)]
    (tmp_path / "in/talk.srt").write_text(srt(cues), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out", language="ja")
    assert all("東京" in text and "Tokyo" not in text for text in result.texts)


def test_people_who_speak_at_once_in_two_languages_are_no_translation(tmp_path: Path) -> None:
    """Lines that share half of their time."""
    recording(tmp_path / "in")
    cues = [
        (0.0, 1.0, "Hello there."),
        (0.5, 1.5, "Привет."),
        (2.0, 3.0, "Yes."),
        (2.5, 3.5, "Да."),
    ]
    (tmp_path / "in/talk.srt").write_text(srt([*cues, (4.0, 5.0, "Fine.")]), encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == ["Fine."]


def test_a_song_of_thousands_of_styles_takes_no_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of them are compared with one another."""
    compared = []
    monkeypatch.setattr(bilingual, "_at_once", lambda one, other: compared.append(one))
    styles = {f"S{i}": [Caption(f"{i}", i % 50, i % 50 + 1, "La la.")] for i in range(3000)}
    said = bilingual.spoken(styles, None, lambda name: None, "style")
    assert said.names == styles.keys()
    assert len(compared) < 3000
