"""How a browser takes the page: a Chromium on this machine, or these tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from chromium import Chromium, find_chromium
from sample_page import AFTER, BEFORE, page, row, write_clips
from spoken import SPOKEN

from moontune.evaluation.error_rates import word_edits
from moontune.languages.table import Language, speaking
from moontune.report.html.page import Heading, render_page
from moontune.report.provenance import Section


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def opened(browser: Chromium, tmp_path: Path, clips: dict[str, Path]) -> Chromium:
    """A page with clips and long words, at the width of a small phone."""
    long = row("d" * 200, f"{'e' * 300} boat", f"{'f' * 5000} boats " + "x " * 50, "g" * 200)
    right = {**long, "hypothesis": long["reference"]}
    names = ("a" * 60, "b" * 60)
    wide = Section("Wide", ["h" * 40] * 8, [["i" * 80] * 8] * 3)
    full = page(
        [*BEFORE, long],
        [*AFTER, {**right, "edits": asdict(word_edits("a", "a"))}],
        audio=clips,
        names=names,
        heading=Heading("comparison", " against ".join(names), "Which hears better?"),
        facts=[wide, Section("Commands", [], [["k" * 400]])],
    )
    path = tmp_path / "report.html"
    path.write_text(render_page(full, 12), encoding="utf-8")
    browser.size(360)
    browser.open(path.as_uri())
    return browser


def test_a_browser_finds_nothing_to_complain_about(opened: Chromium) -> None:
    opened.value("new Promise(done => setTimeout(done, 200))")
    assert opened.complaints() == []
    assert [u[:5] for u in opened.requests() if not u.startswith("data:")] == ["file:"]


def test_every_clip_can_be_played(opened: Chromium) -> None:
    states = opened.value(
        """Promise.all([...document.querySelectorAll("audio")].map(clip => new Promise(done => {
            const told = () => done([clip.readyState, clip.duration, clip.error?.message]);
            if (clip.readyState >= 1 || clip.error) told();
            clip.addEventListener("loadedmetadata", told);
            clip.addEventListener("error", told);
        })))"""
    )
    assert len(states) == 3
    for ready, duration, error in states:
        assert error is None
        assert ready >= 1
        assert duration == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_only_tables_scroll_sideways(opened: Chromium, width: int) -> None:
    opened.size(width)
    assert opened.value("document.documentElement.clientWidth") == width
    assert opened.value("document.documentElement.scrollWidth") == width
    assert opened.value("window.innerWidth") == width


def test_plots_have_room_at_any_width(opened: Chromium) -> None:
    """No plot is scaled: its text is as tall on a phone as it is on a screen."""
    script = """[...document.querySelectorAll("svg[role=img] text")]
        .map(text => text.getBoundingClientRect().height)"""
    opened.size(360)
    small = opened.value(script)
    opened.size(1200)
    assert small == opened.value(script)
    assert min(small) > 8


def test_print_has_no_players_and_cuts_no_table(opened: Chromium) -> None:
    opened.call("Emulation.setEmulatedMedia", media="print")
    try:
        shown = opened.value(
            """[...document.querySelectorAll("audio, nav")]
               .filter(e => getComputedStyle(e).display !== "none").length"""
        )
        scrolling = opened.value(
            """[...document.querySelectorAll(".scroll")]
               .filter(e => getComputedStyle(e).overflowX !== "visible").length"""
        )
        assert (shown, scrolling) == (0, 0)
        assert opened.call("Page.printToPDF")["data"].startswith("JVBERi")
    finally:
        opened.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize(("code", "way"), [("ar", "rtl"), ("ja", "ltr")])
def test_what_was_said_runs_in_its_own_direction(
    browser: Chromium, tmp_path: Path, code: str, way: str
) -> None:
    with speaking(Language(code)):
        said = SPOKEN[code]
        before = [row(str(i), text, text[:-8]) for i, text in enumerate(said)]
        after = [row(str(i), text, text) for i, text in enumerate(said)]
        html = render_page(page(before, after), 12)
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    browser.size(390)
    browser.open((tmp_path / "report.html").as_uri())
    found = "[...document.querySelectorAll('.lines dd')].map(d => getComputedStyle(d).direction)"
    assert set(browser.value(found)) == {way}
    assert browser.value("getComputedStyle(document.body).direction") == "ltr"
    assert browser.value("document.documentElement.scrollWidth") <= 390
    shown = browser.value("document.querySelector('.lines dd').innerText")
    assert shown.split("\n")[0] in said
