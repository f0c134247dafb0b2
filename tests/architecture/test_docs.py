"""The pages point to what is there: files, headings, tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks")
    for page in sorted(folder.glob("*.md"))
    if page.name != "training_report.md"  # written by runs
]
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)")
TEST = re.compile(r"`(test_\w+\.py)(?:::(\w+))?`")


def anchors(page: Path) -> set[str]:
    """The headings' names, as a page's viewer makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    lost = []
    for file, anchor in links:
        target = page.parent / file if file else page
        found = target.exists() and (not anchor or anchor in anchors(target))
        lost += [] if found else [f"{file}#{anchor}"]
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_are_there(page: Path) -> None:
    lost = []
    for file, name in TEST.findall(page.read_text(encoding="utf-8")):
        there = list((ROOT / "tests").rglob(file))
        defined = bool(there) and (not name or f"def {name}(" in there[0].read_text("utf-8"))
        lost += [] if defined else [f"{file}::{name}"]
    assert not lost
