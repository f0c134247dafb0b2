from __future__ import annotations

import threading
import time
from pathlib import Path

from moontune.config.schema import ReportConfig, RunConfig
from moontune.pipeline.run_dir import create_run
from moontune.report import run_markdown as report
from moontune.report.markdown import cell, code, table
from moontune.report.run_markdown import merged


def test_cells_are_inert() -> None:
    text = cell("a|b `c` <script>alert(1)</script> [x](y) \x1b[31m\n# d")
    assert "<script" not in text
    assert "\n" not in text
    assert "\x1b" not in text
    assert r"\|" in text
    assert r"\[x\]" in text
    assert table(("h",), [("a|b",)]).count("\n") == 2


def test_inline_code_holds_backticks() -> None:
    assert code("a ` b") == "`` a ` b ``"
    assert code("plain") == "`plain`"


def test_newest_run_first_and_earlier_runs_kept(tmp_path: Path) -> None:
    report = tmp_path / "r.md"
    for name in ("one", "two", "one"):
        section = f"## {name}\n\nsection of {name}\n"
        report.write_text(merged(report, name, section))
    text = report.read_text()
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
        text = merged(*words)
        time.sleep(0.2)
        return text

    def end(name: str) -> None:
        run = create_run(config, tmp_path / name, name, ["run"])
        both.wait()
        report.write_report(run, config, f"## {name}\n\nsection of {name}\n", "")

    monkeypatch.setattr(report, "merged", slow)
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
    report = tmp_path / "r.md"
    report.write_text("my own notes\n")
    assert "my own notes" in merged(report, "x", "## x\n")
