"""The collected report of all runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from moontune.config.schema import ReportConfig, RunConfig
from moontune.pipeline.run_dir import create_run
from moontune.pipeline.stages import report
from moontune.pipeline.stages.report import with_section_first


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
        report.write_report(run, config, f"## {name}\n\nsection of {name}\n", "")

    monkeypatch.setattr(report, "with_section_first", slow)
    threads = [threading.Thread(target=end, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = config.report.report_file.read_text()
    assert "section of one" in text
    assert "section of two" in text
    assert not left.exists()


def test_what_people_wrote_into_the_report_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "r.md"
    file.write_text("my own notes\n")
    assert "my own notes" in with_section_first(file, "x", "## x\n")
