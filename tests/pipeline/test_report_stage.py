"""The collected report of all runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from moontune.config.schema import ReportConfig, RunConfig
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.stages import report
from moontune.pipeline.stages.report import Rendered, collected_report, with_section_first
from moontune.system.files import write_json


def test_newest_run_first_and_earlier_runs_kept(tmp_path: Path) -> None:
    file = tmp_path / "r.md"
    for name in ("one", "two", "one"):
        section = f"## {name}\n\nsection of {name}\n"
        file.write_text(with_section_first(file, name, section))
    text = file.read_text()
    assert text.startswith("# Training report")
    assert text.count("# Training report") == 1
    assert text.index("section of one") < text.index("section of two")
    assert text.count("section of one") == 1


def test_runs_that_end_at_once_both_stand_in_the_report(tmp_path: Path, monkeypatch) -> None:
    """And what one that was killed left of it is gone."""
    config = RunConfig(report=ReportConfig(report_file=tmp_path / "docs/r.md"))
    left = tmp_path / "docs/.r.md~abc.unfinished"
    left.parent.mkdir()
    left.write_text("half")
    both = threading.Barrier(2)

    def slow(*words) -> str:
        text = with_section_first(*words)
        time.sleep(0.2)
        return text

    def end(name: str) -> None:
        run = create_run(config, tmp_path / name, name, ["run"])
        both.wait()
        section = f"## {name}\n\nsection of {name}\n"
        report.write_report(run, config, Rendered(f"## {name}\n", section, ""))

    monkeypatch.setattr(report, "with_section_first", slow)
    threads = [threading.Thread(target=end, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = (tmp_path / "docs/r.md").read_text()
    assert "section of one" in text
    assert "section of two" in text
    assert not left.exists()


def test_what_people_wrote_into_the_report_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "r.md"
    file.write_text("my own notes\n")
    assert "my own notes" in with_section_first(file, "x", "## x\n")


def test_the_head_of_an_older_version_is_replaced_and_its_sections_stay(tmp_path: Path) -> None:
    file = tmp_path / "r.md"
    old = "<!-- run a 1 -->\n## a\n\n| c1 | what was said |\n<!-- end a 1 -->\n"
    file.write_text(
        "# Training report\n\nWritten by `moontune run`, newest run first. Figures are of each "
        f"run's test split.\n\n{old}"
    )
    text = with_section_first(file, "b 2", "## b\n")
    assert text.count("# Training report") == text.count("Written by") == 1
    assert text.endswith(old)


def test_the_collected_report_lies_beside_the_run_unless_asked_for_elsewhere(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, here = RunConfig(), Path("outputs/training_report.md")
    create_run(config, Path("outputs/cv"), "cv", ["crossval"], "crossval")
    create_run(config, Path("outputs/cv/final"), "cv-final", ["final"], "final")
    assert collected_report(config, Path("outputs/r")) == here
    assert collected_report(config, Path("outputs/cv/final")) == here
    assert collected_report(config, Path("r")) == Path("training_report.md")
    monkeypatch.chdir(tmp_path / "outputs/cv/final")
    assert collected_report(config, Path(".")) == tmp_path / here
    asked = RunConfig(report=ReportConfig(report_file=Path("docs/r.md")))
    assert collected_report(asked, Path("outputs/r")) == Path("docs/r.md")


@pytest.mark.parametrize(
    ("commands", "saved", "found"),
    [
        (["run"], None, None),
        (["run"], "docs/training_report.md", None),  # an older version's default
        (["run", "--report-file", "docs/training_report.md"], "docs/training_report.md", "began"),
        (["run", "--report_file=docs/training_report.md"], "docs/training_report.md", "began"),
        (["run", "--config", "c.toml"], "docs/r.md", "began"),
        (["run", "--report-file", "/reports/r.md"], "/reports/r.md", "/reports/r.md"),
    ],
)
def test_what_was_asked_for_holds_in_the_folder_the_run_began_in(
    tmp_path: Path, monkeypatch, commands, saved, found
) -> None:
    """A run that is reported from another folder makes no `docs` there."""
    began, other = tmp_path / "began", tmp_path / "other"
    began.mkdir()
    other.mkdir()
    monkeypatch.chdir(began)
    asked = None if saved is None else Path(saved)
    run = create_run(RunConfig(report=ReportConfig(report_file=asked)), began / "r", "r", commands)
    assert run.config().report.report_file == (asked if found else None)
    monkeypatch.chdir(other)
    wanted = None if found is None else began / str(saved)  # an absolute one stays as it is
    assert run.config().report.report_file == wanted
    if found == "began":
        monkeypatch.chdir(tmp_path)
        record = run.record()
        record["environment"]["folder"] = str(tmp_path / "gone")
        write_json(run / "run.json", record)
        assert run.config().report.report_file is None
