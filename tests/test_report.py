from __future__ import annotations

from pathlib import Path

from moontune.markdown import cell, code, table
from moontune.report import merged


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


def test_what_people_wrote_into_the_report_is_kept(tmp_path: Path) -> None:
    report = tmp_path / "r.md"
    report.write_text("my own notes\n")
    assert "my own notes" in merged(report, "x", "## x\n")
