"""Markdown that holds any text."""

from __future__ import annotations

from moontune.report.markdown import cell, code, table


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
