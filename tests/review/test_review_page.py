"""The page of `moontune review`: what it answers and refuses, and the whole way by keyboard."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from bad_network import BAD_NETWORK, late
from chromium import Chromium, find_chromium
from review_desk import Opened, Told, asker, data_of, rows_of, served, until, write_set

from moontune.data.manifest import read_manifest
from moontune.languages.table import Language, speaking
from moontune.review.answers import PATHS, WINDOW

TEXTS = (
    "the cat sat on the mat",
    "rain fell",
    "seven birds sing",
    "old maps show the bay",
    "<b>she</b> mends nets",
)
HEARD = (
    "the cat sat on a mat",
    "rain fell",
    "seven birds sang",
    "twenty men went away",
    "she mends nets",
)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with Opened(data_of(write_set(tmp_path, TEXTS)), Told(HEARD)) as opened:
        yield opened


def test_a_large_set_is_sent_in_windows(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS[:1])
    row = rows_of(manifest)[0]
    rows = (json.dumps(row | {"id": f"u{i}", "text": f"text {i}"}) for i in range(10_000))
    manifest.write_text("\n".join(rows))
    with Opened(data_of(manifest), Told(HEARD, hold=True), by="as-is") as opened:
        page = served(opened)
        ask = asker(page)
        first = ask("list")
        assert (first["total"], len(first["clips"]), first["start"]) == (10_000, WINDOW, 0)
        assert len(json.dumps(first)) < 60_000
        assert len(page.ask("GET", "/")[1]) < 20_000
        there = ask("list", key=opened.keys[5_555])
        assert there["start"] == 5_400
        assert opened.keys[5_555] in [clip["key"] for clip in there["clips"]]
        last = ask("list", start="9999999")
        assert (last["start"], last["clips"][-1]["text"]) == (9_800, "text 9999")
        assert ask("list", search="text 777")["total"] == 11


def test_only_what_the_manifest_names_is_played_and_only_as_sound(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    rows = rows_of(manifest)
    rows[0]["audio_filepath"] = "/etc/passwd"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Opened(data_of(manifest), Told(HEARD)) as opened:
        page = served(opened)
        asked = [json.dumps({"key": key}).encode() for key in (*opened.keys[:2], "/etc/passwd")]
        answers = [page.ask("POST", "/review/sound", body) for body in asked]
    assert [status for status, _, _ in answers] == [422, 200, 410]
    assert not [text for _, text, _ in answers if "root" in text]


def test_a_part_of_a_file_is_played_alone(tmp_path: Path) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS)), Told(HEARD)) as opened:
        page = served(opened)
        ask = asker(page)
        ask("split", key=opened.keys[0], at="0.4", first="the cat", second="sat")
        part = opened.review.clips()[0]
        body = json.dumps({"key": part.key}).encode()
        line = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
        line.request("POST", "/review/sound", body, {"X-Moontune": page.token})
        wav = line.getresponse().read()
    assert soundfile.info(io.BytesIO(wav)).frames == 6_400


@pytest.mark.parametrize("path", PATHS)
def test_only_its_own_page_may_ask(opened: Opened, path: str) -> None:
    page = served(opened)
    given = {"key": opened.keys[0], "text": TEXTS[0], "reason": "", "at": "0.5", "first": ""}
    more = {"second": "", "filter": "all", "search": "", "start": "", "to": "open", "steps": "0"}
    body = json.dumps(given | more).encode()
    for headers, expected in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X_Moontune": ""}, 403),
        ({"X_Moontune": "guess"}, 403),
        ({"Host": "evil.example"}, 400),
    ):
        status, said, _ = page.ask("POST", path, body, **headers)
        assert (status, "cat" in said) == (expected, False)
    assert page.ask("GET", path)[0] == 405
    assert opened.review.steps == 0
    assert page.ask("POST", path, body)[0] == 200


def listed(start: str) -> bytes:
    return json.dumps({"filter": "all", "search": "", "key": "", "start": start}).encode()


def split(key: str, at: str) -> bytes:
    return json.dumps({"key": key, "at": at, "first": "a", "second": "b"}).encode()


def test_what_is_not_understood_changes_nothing(opened: Opened) -> None:
    page = served(opened)
    for path, asked, expected in (
        ("keep", b"[]", 400),
        ("keep", b'{"key": "gone", "text": ""}', 410),
        ("keep", b'{"key": "%s", "text": "x"}' % opened.keys[0].encode(), 410),  # as none saw it
        ("correct", json.dumps({"key": opened.keys[0], "text": " "}).encode(), 422),
        ("correct", json.dumps({"key": opened.keys[0], "text": "x" * 30_000}).encode(), 413),
        ("split", b'{"key": "%s", "at": "x", "first": "", "second": ""}', 410),
        ("list", b'{"filter": "evil", "search": "", "key": "", "start": ""}', 400),
        ("step", b'{"filter": "all", "search": "", "key": "", "to": "evil"}', 400),
        ("list", listed("9" * 6_000), 200),
        ("differences", b'{"key": "%s", "text": "\\ud83d"}' % opened.keys[0].encode(), 400),
        ("split", split(opened.keys[0], "nan"), 422),
        ("split", split(opened.keys[0], "1e999"), 422),
    ):
        assert page.ask("POST", f"/review/{path}", asked)[0] == expected, path
    for path in (
        "/review/",
        "/review.jsonl",
        "/reviewed.jsonl",
        "/review.html.j2",
        "/audio/c0.flac",
    ):
        assert page.ask("GET", path)[0] == 404
    assert opened.review.steps == 0
    _, text, headers = page.ask("GET", "/")
    assert "my &lt;set&gt;" in text
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    flag = "--autoplay-policy=no-user-gesture-required"
    with Chromium(program, tmp_path / "profile", flag) as tab:
        yield tab


def press(browser: Chromium, key: str) -> None:
    code = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}.get(key, 0)
    text = "\r" if key == "Enter" else key if len(key) == 1 else ""
    pressed = {"key": key, "windowsVirtualKeyCode": code or ord(key.upper())}
    browser.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **pressed)


def type_at_the_end(browser: Chromium, text: str) -> None:
    browser.value("document.activeElement.setSelectionRange(1e6, 1e6)")
    browser.call("Input.insertText", text=text)


TEXT = "document.getElementById('text').value"
SAID = "document.getElementById('said').textContent"
PLAYABLE = "!document.getElementById('play').disabled"


def on(browser: Chromium, text: str) -> None:
    """Wait until a clip is on the screen and can be played."""
    browser.until(f"{TEXT} == {json.dumps(text)} && {PLAYABLE}")


def go_through(browser: Chromium) -> None:
    """Drop, take a word, edit, keep, split, undo and step back, by keys alone."""
    on(browser, TEXTS[3])  # nothing of it was heard
    browser.until("document.body.classList.contains('playing')")  # by itself
    press(browser, " ")
    browser.until("!document.body.classList.contains('playing')")
    browser.value("document.getElementById('by-itself').click()")  # and not any more
    press(browser, "d")
    browser.call("Input.insertText", text="another clip's")
    press(browser, "Enter")
    on(browser, TEXTS[2])
    assert "Dropped. 1 of 5 reviewed" in browser.value(SAID)
    marks = "[...document.querySelectorAll('.piece')].map(p => p.firstChild.data).join()"
    assert browser.value(marks) == "sang"
    press(browser, "1")
    browser.until(f"{TEXT} == 'seven birds sang'")
    browser.until("document.querySelector('#figures').textContent.includes('1 changed')")
    press(browser, "Enter")
    on(browser, TEXTS[0])
    press(browser, "e")
    type_at_the_end(browser, ", he said")
    press(browser, "Enter")
    on(browser, TEXTS[1])  # both others are heard as they are written; these come in order
    press(browser, "Enter")
    on(browser, TEXTS[4])
    browser.value("document.getElementById('seek').value = 0.5")
    browser.value("document.getElementById('seek').dispatchEvent(new Event('input'))")
    press(browser, "e")
    browser.value("document.activeElement.setSelectionRange(10, 10)")
    press(browser, "Escape")
    press(browser, "s")
    on(browser, "<b>she</b>")
    press(browser, "Enter")
    on(browser, "mends nets")
    press(browser, "Enter")
    browser.until("!document.getElementById('done').hidden")
    press(browser, "u")
    browser.until("document.getElementById('done').hidden")
    on(browser, "mends nets")
    press(browser, "ArrowLeft")
    on(browser, "<b>she</b>")
    assert browser.value("document.getElementById('state').textContent") == "kept"
    press(browser, "ArrowRight")
    on(browser, "mends nets")
    assert browser.complaints() == []


def test_the_whole_way_by_keyboard(opened: Opened, browser: Chromium, tmp_path: Path) -> None:
    opened.heard()
    page = served(opened)
    browser.size(390)
    browser.open(f"http://127.0.0.1:{page.port}/")
    go_through(browser)
    browser.open(f"http://127.0.0.1:{page.port}/")  # all is there
    on(browser, "mends nets")
    told = browser.value("document.getElementById('figures').textContent")
    assert told.startswith("Reviewed 5 of 6 · ")
    assert told.endswith(" · 4 changed · 1 dropped")
    said = "[...document.querySelectorAll('#list .said')].map(s => s.textContent).join('|')"
    order = [
        TEXTS[3],
        "seven birds sang",
        f"{TEXTS[0]}, he said",
        TEXTS[1],
        "<b>she</b>",
        "mends nets",
    ]
    assert browser.value(said) == "|".join(order)
    assert browser.value("document.documentElement.scrollWidth") == 390
    assert browser.complaints() == []
    assert all(
        u.startswith((f"http://127.0.0.1:{page.port}/", "blob:", "data:"))
        for u in browser.requests()
    )
    reviewed = tmp_path / "reviewed.jsonl"
    until(lambda: reviewed.exists() and len(rows_of(reviewed)) == 5)
    found, bad = read_manifest(reviewed)
    assert not bad
    assert [(u.text, u.offset) for u in found] == [
        (f"{TEXTS[0]}, he said", None),
        (TEXTS[1], None),
        ("seven birds sang", None),
        ("<b>she</b>", 0.0),
        ("mends nets", 0.5),
    ]
    assert [row.get("reviewed", False) for row in rows_of(reviewed)] == [True] * 4 + [False]
    [gone] = rows_of(tmp_path / "reviewed.left_out.jsonl")
    assert gone["reason"] == "another clip's"


def test_an_edit_is_not_lost_on_the_way_to_another_clip(opened: Opened, browser: Chromium) -> None:
    opened.heard()
    browser.open(f"http://127.0.0.1:{served(opened).port}/")
    on(browser, TEXTS[3])
    press(browser, "t")
    browser.until(f"{TEXT} == {json.dumps(HEARD[3])}")
    press(browser, "e")
    type_at_the_end(browser, " now")
    press(browser, "Escape")
    browser.until("document.querySelector('#meta').textContent.includes('was: \u2068old maps')")
    press(browser, "ArrowRight")
    on(browser, TEXTS[2])
    press(browser, "u")
    on(browser, HEARD[3])
    press(browser, "u")
    on(browser, TEXTS[3])
    assert opened.review.figures().changed == 0
    assert browser.complaints() == []


def test_a_clip_that_is_split_just_after_typing_is_not_asked_for_any_more(
    opened: Opened, browser: Chromium
) -> None:
    opened.heard()
    browser.before("localStorage.setItem('by-itself', 'off')")  # nothing moves the sound
    browser.open(f"http://127.0.0.1:{served(opened).port}/")
    on(browser, TEXTS[3])
    browser.value(BAD_NETWORK)
    late(browser, "/review/clip", "800")  # what was typed is compared before
    browser.value("document.getElementById('seek').value = 0.6")
    browser.value("document.getElementById('seek').dispatchEvent(new Event('input'))")
    press(browser, "e")
    type_at_the_end(browser, " and new")
    browser.value("document.activeElement.setSelectionRange(3, 3)")
    press(browser, "Escape")
    press(browser, "s")
    on(browser, TEXTS[3][:3])
    assert browser.value(SAID).startswith("Split in two at ")
    assert browser.complaints() == []


# Keys of Ukrainian, Arabic and Korean keyboards, and of a Vietnamese one, which has letters in
# place of digits.
@pytest.mark.parametrize("place", ["Digit1", "KeyT"])
@pytest.mark.parametrize("keys", ["1те", "ă\u0641\u062b", "1\u3145\u3137"])
def test_keys_of_other_keyboards_are_known_by_their_place(
    opened: Opened, browser: Chromium, keys: str, place: str
) -> None:
    opened.heard()
    browser.open(f"http://127.0.0.1:{served(opened).port}/")
    on(browser, TEXTS[3])
    press(browser, "ArrowRight")
    on(browser, TEXTS[2])
    browser.press(keys["1T".index(place[-1])], place=place)
    browser.until(f"{TEXT} == {json.dumps(HEARD[2])}")
    browser.press(keys[2], place="KeyE")
    browser.until("document.activeElement.id == 'text'")
    assert browser.complaints() == []


TAKEN = "昨日Windows 11と紅茶を買いました。"
BOUGHT = ("昨日Windows 11とコーヒーを買いました。", TAKEN)


def test_text_without_spaces_is_taken_piece_by_piece_and_split(
    tmp_path: Path, browser: Chromium
) -> None:
    """Foreign words stay apart, and a clip is split at a character where no space is."""
    with (
        speaking(Language("ja")),
        Opened(data_of(write_set(tmp_path, BOUGHT[:1])), Told(BOUGHT[1:])) as opened,
    ):
        opened.heard()
        page = f"http://127.0.0.1:{served(opened).port}/"
        browser.open(page)
        browser.value("localStorage.setItem('by-itself', 'off')")  # nothing moves the sound
        browser.open(page)
        on(browser, BOUGHT[0])
        line = "document.querySelector('#lines dd')"
        shown = f"[...{line}.childNodes].map(n => (n.firstChild ?? n).data).join('')"
        assert browser.value(shown) == TAKEN
        assert browser.value("document.querySelectorAll('.piece').length") == 1
        press(browser, "1")
        browser.until(f"{TEXT} == {json.dumps(TAKEN)}")
        browser.value("document.getElementById('seek').value = 0.6")
        browser.value("document.getElementById('seek').dispatchEvent(new Event('input'))")
        press(browser, "s")
        first, second = "昨日Windows 11と", "紅茶を買いました。"
        on(browser, first)
        press(browser, "ArrowRight")
        on(browser, second)
        assert browser.complaints() == []


def test_arabic_runs_from_the_right_wherever_it_is_read(tmp_path: Path, browser: Chromium) -> None:
    said = ("كانت المدرسة بعيدة.", "كانت المدرسة قريبة.")
    with (
        speaking(Language("ar")),
        Opened(data_of(write_set(tmp_path, said[:1], speaker="سارة")), Told(said[1:])) as opened,
    ):
        opened.heard()
        browser.open(f"http://127.0.0.1:{served(opened).port}/")
        on(browser, said[0])
        for place in ("#text", "#lines dd", "#list .said"):
            where = f"document.querySelector('{place}')"
            assert browser.value(f"getComputedStyle({where}).direction") == "rtl", place
            assert browser.value(f"{where}.lang") == "ar"
        meta = browser.value("document.getElementById('meta').textContent")
        assert meta.startswith("\u2068سارة\u2069 · ")  # an Arabic name moves nothing behind it
        assert browser.value("document.documentElement.lang") == "en"


def test_the_clip_on_the_screen_stays_while_the_order_settles(
    tmp_path: Path, browser: Chromium
) -> None:
    listener = Told(HEARD, hold=True)
    with Opened(data_of(write_set(tmp_path, TEXTS)), listener) as opened:
        opened.desk.listening.start()
        browser.size(1280)
        browser.open(f"http://127.0.0.1:{served(opened).port}/")
        on(browser, TEXTS[0])
        assert "has not heard it yet" in browser.value(
            "document.getElementById('lines').textContent"
        )
        press(browser, "e")
        type_at_the_end(browser, " and")
        listener.may.set()
        said = "[...document.querySelectorAll('#list .said')].map(s => s.textContent).join('|')"
        order = [TEXTS[0], TEXTS[3], TEXTS[2], TEXTS[1], TEXTS[4]]
        browser.until(f"{said} == {json.dumps('|'.join(order))}")
        browser.until("document.querySelectorAll('.piece').length == 2")  # of what is being typed
        assert browser.value(TEXT) == f"{TEXTS[0]} and"
        assert (
            browser.value("document.querySelector('#list [aria-current] .said').textContent")
            == (TEXTS[0])
        )
        assert browser.complaints() == []


def test_search_and_filters_choose_what_is_gone_through(opened: Opened, browser: Chromium) -> None:
    opened.heard()
    opened.review.decide(opened.keys[1], "drop")
    browser.open(f"http://127.0.0.1:{served(opened).port}/")
    on(browser, TEXTS[3])
    rows = "[...document.querySelectorAll('#list .said')].map(s => s.textContent).join('|')"
    browser.value("document.querySelector('[data-filter=dropped]').click()")
    browser.until(f"{rows} == {json.dumps(TEXTS[1])}")
    browser.value("document.querySelector('[data-filter=all]').click()")
    browser.value("document.getElementById('search').focus()")
    browser.call("Input.insertText", text="SHE")
    browser.until(f"{rows} == {json.dumps(TEXTS[4])}")
    browser.value("document.querySelector('#list button').click()")
    on(browser, TEXTS[4])
    assert browser.complaints() == []


def test_a_second_enter_keeps_no_clip_that_nobody_saw(opened: Opened, browser: Chromium) -> None:
    opened.heard()
    browser.open(f"http://127.0.0.1:{served(opened).port}/")
    on(browser, TEXTS[3])
    enter = (
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))"
    )
    browser.value(f"{enter}; {enter}; 0")
    on(browser, TEXTS[2])
    press(browser, "ArrowRight")  # after all that was asked before
    on(browser, TEXTS[0])
    assert opened.review.figures().reviewed == 1
