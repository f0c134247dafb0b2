"""What others wrote stays text: on the terminal, in Markdown, subtitles, JSON and cards."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hostile import TEXTS, obeyed
from html_reader import Reader
from hypothesis import given
from hypothesis import strategies as st
from imports import clips, run_import
from markdown_it import MarkdownIt
from rich.console import Console
from sample_page import AFTER, BEFORE, results

from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.evaluation.acceptance import Check, Verdict
from moontune.evaluation.comparison import compare
from moontune.evaluation.measures import GroupRow
from moontune.export import export_card, model_card
from moontune.export.base_facts import Licence
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.report import section_key, with_section_first
from moontune.report.markdown import cell, code, table
from moontune.report.results.metrics import NextStep, RunMetrics
from moontune.transcribe.long_form import SegmentTranscript
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import FRAME, Segment, SegmentationConfig
from moontune.transcribe.writers import Format, StreamWriter, render

texts = pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))


def drawn(text: str) -> str:
    """Everything that the terminal is shown of data, as on a terminal."""
    stream = io.StringIO()
    ui = ConsoleUi(stream)
    ui.console = Console(file=stream, force_terminal=True, highlight=False, width=200)
    group = GroupRow(text, 1, 2, 0.1, 0.2, 1, 1)
    comparison = compare(BEFORE, AFTER, 42)
    verdict = Verdict(False, False, "worse", text, text, [text], [Check(text, False, text)], [text])
    metrics = replace(
        results().metrics, verdict=verdict, comparison=comparison, next_steps=[NextStep(text, text)]
    )
    ui.note(text)
    ui.table([text, "b"], [[text, text]])
    ui._groups("speaker", comparison, [group], (text, text))
    ui.figures(comparison, (text, text))
    ui.verdict(metrics)
    ui.progress(1, 2, text)
    ui.close()
    return stream.getvalue()


@texts
def test_the_terminal_obeys_nothing_of_it(text: str) -> None:
    shown = drawn(text)
    assert "\x1b]" not in shown
    shown = re.sub(r"\x1b\[(\?25[lh]|\d?[AK])|\r", "", shown)  # the bar's own
    assert not obeyed(shown)


@given(st.text(alphabet="\\[]/a=:@#bold link", max_size=30))
def test_tables_show_brackets_as_they_are(text: str) -> None:
    stream = io.StringIO()
    ConsoleUi(stream).table(["name"], [["x" + text.strip() + "x"]])
    assert ("x" + text.strip() + "x").split() == stream.getvalue().partition("\n")[2].split()


@texts
def test_mistakes_are_one_line_that_the_terminal_does_not_obey(text: str, tmp_path, capsys) -> None:
    text = text.replace("\0", "")  # which no command line can hold
    for words in (
        ["transcribe", f"no/{text}", "--model", "bundled"],
        ["score", str(tmp_path / text.replace("/", "."))],
        ["run", "--manifest", text],
        ["train", f"x{text}"],
        [f"x{text}"],
        ["run", f"--x{text}"],
    ):
        assert main(words) == 2
        said = capsys.readouterr()
        assert not obeyed(said.out + said.err)
        assert said.err.count("\n") == 1 + (
            words[0] == "transcribe" and "recording failed" in said.err
        )


def test_names_of_files_in_a_folder_are_not_obeyed(tmp_path: Path, capsys) -> None:
    for i, text in enumerate(TEXTS):
        name = text.replace("/", "").replace("\0", "")[:80]
        (tmp_path / f"{i}{name}.wav").write_text("no audio")
    assert main(["transcribe", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert len(re.findall("^moontune: ", said.err, re.MULTILINE)) == len(TEXTS)
    assert not obeyed(said.out + said.err)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(
    "named",
    [
        *("x%00.wav", "file:///x/%00y.wav", "file://[bad/b.wav", "%00", "~%00/x.wav"),
        *(f"{'n' * 300}.wav", f"clips/{'n' * 5000}/b.wav", "n%ED%A0%80.wav"),
    ],
    ids=lambda named: named[:20],
)
def test_a_name_that_no_file_can_have_is_a_row_left_out(
    tmp_path: Path, named: str, packed: bool
) -> None:
    folder = tmp_path / "d"
    clips(folder, "a.wav")
    (folder / "t.csv").write_text(f"path,text\na.wav,One.\n{named},Two.\n")
    source = Path(shutil.make_archive(str(tmp_path / "z"), "zip", folder)) if packed else folder
    result = run_import(source, output=tmp_path / "out")
    assert result.texts == ["One."]
    assert result.reasons == [("t.csv:3", "no audio")]


def heard(text: str) -> list[SegmentTranscript]:
    samples = np.zeros(64_000, np.float32)
    return [
        SegmentTranscript(
            Segment(0, samples, np.ones(len(samples) // FRAME, np.float32)), text, 1, False
        )
    ]


@texts
def test_transcripts_are_not_obeyed_and_json_keeps_them(text: str) -> None:
    recording = Recording(text, Path(text), "stem")
    forms: dict[Format, str] = {
        form: render(recording, heard(text), form, text, SegmentationConfig())
        for form in ("text", "jsonl", "srt", "vtt")
    }
    assert not obeyed("".join(forms.values()))
    assert json.loads(forms["jsonl"])["text"] == text
    assert json.loads(forms["jsonl"])["file"] == text
    for form in ("srt", "vtt"):
        times = re.findall(r"^[\d:,.]{12} --> [\d:,.]{12}$", forms[form], re.MULTILINE)
        assert forms[form].count("-->") == len(times)
        assert not re.search(r"<[/a-z]", forms[form])
    stream = io.StringIO()
    printed = StreamWriter(stream, "text", "m", SegmentationConfig(), several=True)
    printed.add(recording, heard(text))
    assert not obeyed(stream.getvalue())


def marks(markdown: str) -> set[str]:
    """The kinds of markup in it."""
    found: set[str] = set()
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for token in parser.parse(markdown):
        found |= {token.type} | {child.type for child in token.children or ()}
    return found


ACTIVE = {"html_block", "html_inline", "link_open", "image", "s_open", "em_open"}


@texts
def test_markdown_holds_it_as_text(text: str) -> None:
    page = f"# {cell(text)}\n\n{cell(text)}\n\n" + table([text, "b"], [[text, text]] * 2)
    page += f"\n\n{code(text)}\n"
    assert not marks(page) & ACTIVE
    assert not re.search(r"[^\\]://|www\.", cell(text))  # GitHub makes links of these
    rows = [t for t in MarkdownIt("commonmark").enable("table").parse(page) if t.type == "td_open"]
    assert len(rows) == 4
    assert not obeyed(page)


@pytest.fixture
def run(finished_run, tmp_path: Path, monkeypatch) -> RunDir:
    """A finished run whose transcripts, speakers and record somebody made hostile."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    for name in ("predictions_base.jsonl", "predictions_tuned.jsonl"):
        file = Path("r") / name
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for i, row in enumerate(rows):
            text = f"{TEXTS[i % len(TEXTS)]} {i}"
            row |= {"speaker": text, "reference": text, "target": text, "hypothesis": f"{text} x"}
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = json.loads(Path("r/run.json").read_text())
    record["name"] = "--> <script>alert(1)</script>"
    record["environment"]["commands"] = [["run", *TEXTS]]
    Path("r/run.json").write_text(json.dumps(record))
    return RunDir(Path("r"))


def test_a_report_of_it_holds_it_as_text(run: RunDir, capsys) -> None:
    assert main(["verdict", "r"]) in (0, 1)
    assert main(["report", "r"]) in (0, 1)
    assert not obeyed(capsys.readouterr().out)
    for file in ("r/report.md", "training_report.md"):
        text = Path(file).read_text()
        comments = re.findall(r"^<!-- .* -->$", text, re.MULTILINE)
        assert len(comments) == (0 if file.startswith("r/") else 2)
        assert not marks(re.sub(r"^<!-- [^<>]* -->$", "", text, flags=re.M)) & ACTIVE
    page = Reader(Path("r/report.html").read_text())
    assert not page.of("script")
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]


def test_the_collected_report_is_no_other_file(run: RunDir, tmp_path: Path, capsys) -> None:
    assert main(["verdict", "r"]) in (0, 1)
    for name, text in ((".bashrc", "true\n"), ("notes.md", "# My notes\n"), ("new.sh", None)):
        if text is not None:
            Path(name).write_text(text)
        assert main(["report", "r", "--report-file", name]) == 2
        assert "--report-file" in capsys.readouterr().err
        assert (Path(name).read_text() if text else Path(name).exists()) == (text or False)


def test_a_section_ends_where_it_ends(run: RunDir, tmp_path: Path) -> None:
    key = section_key(run)
    first = with_section_first(tmp_path / "no.md", key, "one\n")
    (tmp_path / "r.md").write_text(first)
    again = with_section_first(tmp_path / "r.md", key, "two\n")
    assert again.count("<!--") == 2
    assert "one" not in again
    assert "<script" not in again


@texts
def test_the_card_holds_it_as_text(text: str, run: RunDir) -> None:
    m: dict[str, Any] = run.read("metrics.json")
    m["verdict"] |= {"sentence": text, "cautions": [text]}
    m["data"]["origin"] = {"source": "manifest", "split": text}
    m["environment"]["versions"]["moontune"] = text
    m["baseline"]["normalizer"] = text
    m["base_model"] |= {"hub_id": "a/b", "from_hub": True, "revision": text, "sha256": text}
    made = model_card.card(RunMetrics.from_json(m), "anna/voice", Licence(text))
    _, head, body = re.split("^---$", made, maxsplit=2, flags=re.MULTILINE)
    card = yaml.safe_load(head)
    assert card["license"] == text
    assert set(card) == {
        *("base_model", "language", "library_name", "license", "model-index", "pipeline_tag"),
        "tags",
    }
    assert marks(body) & ACTIVE <= {"link_open"}
    tokens = MarkdownIt("commonmark").parse(body)
    links = [c.attrs["href"] for t in tokens for c in t.children or () if c.type == "link_open"]
    assert links == ["/a/b"]  # the base
    assert [t.type for t in tokens].count("fence") == 1
    assert not obeyed(body)


@texts
def test_the_card_of_an_export_holds_it_as_text(text: str, run: RunDir) -> None:
    m: dict[str, Any] = run.read("metrics.json")
    facts = {
        **{key: m[key] for key in ("split", "comparison", "data")},
        "run": text,
        "base": dict.fromkeys(("asked", "hub_id", "revision", "sha256", "from_hub"), text),
        "environment": {"platform": text},
        "normalizer": text,
        "decoding": m["baseline"]["decoding"],
        "opset": 1,
        "ir_version": 1,
        "spared": [text],
        "licence": {"id": text, "name": text, "link": text},
    }
    made = export_card.card(export_card.ExportFacts.from_json(facts), None)
    _, head, body = re.split("^---$", made, maxsplit=2, flags=re.MULTILINE)
    card = yaml.safe_load(head)
    assert set(card) == {
        *("license", "license_name", "license_link", "pipeline_tag", "language", "tags"),
    }
    assert {card[key] for key in card if key.startswith("license")} == {text}
    assert not marks(body) & ACTIVE
