"""The page of `moontune review` on a bad network, under quick fingers, and in two tabs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_network import BAD_NETWORK, IMPATIENT, NEVER, late, lose
from chromium import Chromium, find_chromium
from review_desk import Opened, Told, data_of, rows_of, served, write_set

TEXTS = ("the cat sat on the mat", "rain fell", "seven birds sing", "old maps show the bay")
TEXT = "document.getElementById('text').value"
SAID = "document.getElementById('said').textContent"
FIGURES = "document.getElementById('figures').textContent"
PLAYABLE = "!document.getElementById('play').disabled"
ROWS = "[...document.querySelectorAll('#list .said')].map(s => s.textContent).join('|')"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with Opened(data_of(write_set(tmp_path, TEXTS)), Told(TEXTS), by="as-is") as opened:
        yield opened.heard()


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[..., Chromium]]:
    """Opens a desk's page behind a bad network, as a start of it that plays nothing by itself."""
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with Chromium(program, tmp_path / "profile") as browser:

        def show(opened: Opened, text: str = TEXTS[0]) -> Chromium:
            browser.before(BAD_NETWORK + "localStorage.setItem('by-itself', 'off');")
            browser.open(f"http://127.0.0.1:{served(opened).port}/")
            on(browser, text)
            return browser

        yield show


def on(browser: Chromium, text: str) -> None:
    browser.until(f"{TEXT} == {json.dumps(text)} && {PLAYABLE}")


def write(browser: Chromium, text: str) -> None:
    browser.press("e")
    browser.value("document.activeElement.setSelectionRange(1e6, 1e6)")
    browser.call("Input.insertText", text=text)


def test_an_older_search_does_not_come_over_a_newer_one(opened: Opened, show) -> None:
    browser = show(opened)
    late(browser, "/review/list", "(sent) => JSON.parse(sent).search === 's' ? 1200 : 0")
    browser.value("document.getElementById('search').focus()")
    for text in ("s", "even"):
        browser.call("Input.insertText", text=text)
        time.sleep(0.4)
    browser.until(f"{ROWS} == {json.dumps(TEXTS[2])}")
    time.sleep(1.2)
    assert browser.value(ROWS) == TEXTS[2]
    assert browser.complaints() == []


def test_the_list_stays_where_it_was_turned_to(tmp_path: Path, show) -> None:
    manifest = write_set(tmp_path, TEXTS[:1])
    row = rows_of(manifest)[0]
    rows = [row | {"id": f"u{i}"} for i in range(420)]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    listener = Told(TEXTS, hold=True)
    with Opened(data_of(manifest), listener, by="as-is") as opened:
        opened.desk.listening.start()
        browser = show(opened)
        window = "document.getElementById('window').textContent"
        browser.value("document.getElementById('later').click()")
        browser.until(f"{window}.startsWith('201')")
        listener.may.set()
        browser.until("document.getElementById('heard').textContent == ''")
        time.sleep(0.3)
        assert browser.value(window).startswith("201")
        lose(browser, "/review/list")
        browser.value("document.getElementById('earlier').click()")
        browser.until(f"{SAID}.includes('does not answer')")
        assert browser.complaints() == []


def test_a_clip_is_kept_whose_sound_does_not_come(opened: Opened, show) -> None:
    browser = show(opened)
    late(
        browser,
        "/review/sound",
        f"(sent) => sent.includes({json.dumps(opened.keys[2])}) ? {NEVER} : 0",
    )
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    browser.until(f"{TEXT} == {json.dumps(TEXTS[2])}")
    assert browser.value("document.getElementById('clock').textContent") == "0.0 of 1.2 s"
    browser.press("Enter")
    on(browser, TEXTS[3])
    assert opened.review.figures().reviewed == 1
    assert browser.complaints() == []


def test_a_sound_that_failed_is_told_of_its_clip_alone_and_asked_for_again(
    opened: Opened, show
) -> None:
    browser = show(opened)
    late(browser, "/review/sound", "600")
    browser.value("window.lost['/review/sound'] = 9")
    choose = "document.querySelectorAll('#list button')[{}].click()".format
    browser.value(choose(3))
    browser.until(f"{TEXT} == {json.dumps(TEXTS[3])}")
    browser.value(choose(1))
    on(browser, TEXTS[1])  # whose sound is there
    time.sleep(0.9)
    assert browser.value(SAID) == ""
    browser.value(choose(3))
    browser.until(f"{SAID}.startsWith('No sound: ')")
    browser.value("window.lost['/review/sound'] = 0")
    browser.press(" ")
    browser.until("document.getElementById('clock').textContent.endsWith('of 1.3 s')")
    browser.until("!document.getElementById('split').disabled")
    assert browser.complaints() == []


def test_an_answer_that_never_comes_is_told_and_done_again(opened: Opened, show) -> None:
    browser = show(opened)
    browser.value(IMPATIENT)
    late(browser, "/review/step", NEVER)
    browser.press("Enter")
    browser.until(f"{SAID}.includes('does not answer')")
    late(browser, "/review/step", "0")
    browser.press("Enter")
    on(browser, TEXTS[1])
    assert opened.review.figures().reviewed == 1


def test_nothing_is_written_into_a_clip_that_is_being_left(opened: Opened, show) -> None:
    browser = show(opened)
    late(browser, "/review/correct", "900")
    write(browser, " now")
    browser.press("Enter")
    browser.press("d")  # is of no clip
    assert browser.value("document.getElementById('drop').hidden")
    browser.value("document.getElementById('text').focus()")
    browser.call("Input.dispatchKeyEvent", type="char", text="x")
    assert browser.value(TEXT) == f"{TEXTS[0]} now"
    on(browser, TEXTS[1])
    write(browser, " here")  # and on the next one again
    browser.press("Escape")
    browser.until("document.querySelector('#meta').textContent.includes('was: ')")
    assert [opened.review.text(key) for key in opened.keys[:2]] == [
        f"{TEXTS[0]} now",
        f"{TEXTS[1]} here",
    ]
    assert browser.complaints() == []


def test_a_clip_is_split_where_it_was_when_that_was_asked(opened: Opened, show) -> None:
    browser = show(opened)
    seek = "document.getElementById('seek').value = {}; "
    seek += "document.getElementById('seek').dispatchEvent(new Event('input'))"
    browser.value(seek.format(0.4))
    late(browser, "/review/edit", "900")
    write(browser, "  now")
    browser.value("document.activeElement.setSelectionRange(8, 8)")
    browser.press("Escape")
    browser.press("s")
    browser.value(seek.format(0.8))
    on(browser, TEXTS[0][:8].strip())
    decision = opened.review.decision(opened.keys[0])
    assert decision is not None
    assert decision.cut is not None
    assert (decision.cut.at_s, decision.cut.texts[1]) == (0.4, f"{TEXTS[0][8:]} now")
    assert browser.complaints() == []


def test_one_press_of_undo_undoes_one_step(opened: Opened, show) -> None:
    for key in opened.keys[:3]:
        opened.review.decide(key, "keep")
    browser = show(opened, TEXTS[3])
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'u', bubbles: true}))"
    browser.value(f"{press}; {press}; 0")
    on(browser, TEXTS[2])
    time.sleep(0.3)
    assert opened.review.steps == 2
    lose(browser, "/review/undo")
    browser.press("u")
    browser.until(f"{SAID}.includes('does not answer')")
    browser.press("u")  # it was done
    browser.until(f"{SAID}.startsWith('Not undone: ')")
    assert opened.review.steps == 1
    browser.press("u")
    on(browser, TEXTS[0])
    assert opened.review.steps == 0
    assert browser.complaints() == []


def test_a_text_that_another_tab_changed_is_not_kept_unseen(opened: Opened, show) -> None:
    browser = show(opened)
    opened.review.decide(opened.keys[0], "edit", "another tab's")
    browser.press("Enter")
    on(browser, "another tab's")
    assert "changed meanwhile" in browser.value(SAID)
    assert opened.review.figures().reviewed == 0
    write(browser, " text")
    opened.review.split(opened.keys[0], 0.5, 1.0, ("a", "b"))
    browser.press("Enter")
    on(browser, "a")
    assert browser.value(SAID).endswith("You had written: \u2068another tab's text\u2069")


def test_figures_of_before_do_not_come_over_those_of_now(opened: Opened, show) -> None:
    browser = show(opened)
    late(browser, "/review/progress", "1000")
    browser.value("window.sent.length = 0")
    browser.until("window.sent.includes('/review/progress')", 10)
    browser.press("Enter")
    browser.until(f"{FIGURES}.startsWith('Reviewed 1 of')")
    time.sleep(1.2)
    assert browser.value(FIGURES).startswith("Reviewed 1 of")
    assert not browser.value("document.getElementById('undo').disabled")


def test_the_second_click_of_a_double_one_keeps_no_other_clip(opened: Opened, show) -> None:
    browser = show(opened)
    browser.size(1000)
    browser.click("#keep")
    on(browser, TEXTS[1])
    browser.click("#keep", 2)
    browser.press("ArrowRight")
    on(browser, TEXTS[2])
    assert opened.review.figures().reviewed == 1
    browser.click("#keep")
    on(browser, TEXTS[3])
    assert opened.review.figures().reviewed == 2


def test_what_is_being_written_is_saved_when_a_phone_hides_the_page(opened: Opened, show) -> None:
    browser = show(opened)
    write(browser, " now")
    browser.value("Object.defineProperty(document, 'hidden', { get: () => true })")
    browser.value("document.dispatchEvent(new Event('visibilitychange'))")
    browser.until("window.sent.includes('/review/edit')")
    time.sleep(0.3)
    assert opened.review.text(opened.keys[0]) == f"{TEXTS[0]} now"


def test_after_another_start_requests_at_once_find_its_token(opened: Opened, show) -> None:
    browser = show(opened)
    browser.value("document.querySelector('[name=moontune-token]').content = 'of before'")
    asked = "ask('/review/sound', JSON.stringify({key: ''})).catch(e => e.status)"
    both = f"import('/request.js').then(({{ask}}) => Promise.all([{asked}, {asked}, {asked}]))"
    assert browser.value(both) == [410, 410, 410]
