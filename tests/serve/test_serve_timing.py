"""The page of `moontune serve` on a bad network, under quick fingers, and in two tabs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from bad_network import BAD_NETWORK, late, lose
from builders import noise, wav
from chromium import Chromium, fake_microphone, find_chromium
from running import started
from serve_client import Page

from moontune.serve.app import PageText, application
from moontune.serve.counts import Hypothesis
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.requests import Limits

STATUS = "document.getElementById('status').textContent"
WORDS = "[...document.querySelectorAll('#list li:not(.gone) .words')].map(p => p.textContent)"
HEARD = "document.querySelectorAll('.heard').length"
RECORDS = "document.body.classList.contains('recording')"
FAILED = "[...document.querySelectorAll('#unheard li')]"
HELD = """navigator.mediaDevices.getUserMedia = (of => async (what) =>
  (window.stream = await of.call(navigator.mediaDevices, what))
)(navigator.mediaDevices.getUserMedia);"""


def serving(folder: Path, limits: Limits, *prompts: str) -> Page:
    kept = CorrectedClips(folder)
    text = PageText("mine", 1, NextTraining([kept.manifest]), prompts)
    app = application(
        text, lambda _: [Hypothesis("model", "It said so.", 0.1)], kept, limits, ["127.0.0.1"]
    )
    page = Page(started(app), folder, [])
    page.token = page.ask("GET", "/")[1].split('moontune-token" content="')[1].split('"')[0]
    return page


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return serving(tmp_path / "kept", Limits(1, 10.0))


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[[Page], Chromium]]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, noise(1, 2.0), 16_000)
    with Chromium(program, tmp_path / "profile", *fake_microphone(speech)) as browser:

        def show(page: Page) -> Chromium:
            browser.size(1000)
            browser.before(BAD_NETWORK + HELD)
            browser.open(f"http://127.0.0.1:{page.port}/")
            browser.until("document.getElementById('advice').textContent != ''")
            return browser

        yield show


def drop(browser: Chromium, *files: tuple[str, bytes]) -> None:
    parts = [f"[{json.dumps(name)}, [{', '.join(map(str, sound))}]]" for name, sound in files]
    browser.value(
        f"""{{ const d = new DataTransfer();
        for (const [name, bytes] of [{", ".join(parts)}])
          d.items.add(new File([new Uint8Array(bytes)], name));
        document.dispatchEvent(new DragEvent("drop", {{ dataTransfer: d, bubbles: true }})); 0 }}"""
    )


def add(page: Page, *texts: str) -> None:
    for i, text in enumerate(texts):
        CorrectedClips(page.folder).add(noise(i, 1.0), text, "Anna")


def kept(page: Page) -> list[str]:
    return [clip.utterance.text for clip in CorrectedClips(page.folder).listed().clips]


def test_a_recording_that_was_not_heard_stays_and_is_sent_again(page: Page, show) -> None:
    browser = show(page)
    lose(browser, "/transcribe")
    browser.value("document.getElementById('record').click()")
    browser.until("document.getElementById('clock').textContent == '0:01'")
    browser.value("document.getElementById('record').click()")
    browser.until(f"{FAILED}.length == 1")
    drop(browser, ("a.wav", wav(0.3)))
    browser.until(f"{HEARD} == 1")
    leave = "{ const e = new Event('beforeunload', { cancelable: true }); dispatchEvent(e); %s }"
    assert browser.value(leave % "e.defaultPrevented")
    browser.value(f"{FAILED}[0].querySelector('.again').click()")
    browser.until(f"{HEARD} == 2 && {FAILED}.length == 0")
    assert not browser.value(leave % "e.defaultPrevented")
    assert browser.complaints() == []


def test_which_of_several_files_was_none_is_told_to_the_end(page: Page, show) -> None:
    browser = show(page)
    drop(browser, ("<no>.txt", b"no audio"), ("b.wav", wav(0.3)), ("c.wav", b"x" * 1_100_000))
    browser.until(f"{HEARD} == 1 && {FAILED}.length == 2 && {STATUS} == ''")
    told = browser.value(f"{FAILED}.map(li => li.querySelector('p').textContent)")
    assert told == [
        "\u2068<no>.txt\u2069: this is no audio that can be read here",
        "\u2068c.wav\u2069: more than 1 MB; send less",
    ]
    assert browser.value(f"{FAILED}.every(li => li.querySelector('.again').hidden)")


def test_who_writes_is_not_taken_to_a_clip_that_comes(page: Page, show) -> None:
    browser = show(page)
    late(browser, "/transcribe", "600")
    drop(browser, ("a.wav", wav(0.3)), ("b.wav", wav(0.4)))
    browser.until(f"{HEARD} == 1")
    browser.call("Input.insertText", text=" And")
    browser.until(f"{HEARD} == 2")
    browser.call("Input.insertText", text=" more.")
    texts = "[...document.querySelectorAll('.heard textarea')].map(t => t.value)"
    assert browser.value(texts) == ["It said so. And more.", "It said so."]
    late(browser, "/keep", "600")
    browser.press("Enter")
    browser.value("document.querySelectorAll('.heard textarea')[1].focus()")
    browser.until(f"{WORDS}.length == 1")
    for key in "x y":
        browser.press(key)  # the space presses no button
    assert browser.value(texts)[1].endswith("x y")
    assert not browser.value(RECORDS)
    assert browser.complaints() == []


def test_a_second_enter_and_a_lost_answer_keep_a_clip_once(page: Page, show) -> None:
    browser = show(page)
    told = "document.querySelector('.told').textContent"
    drop(browser, ("a.wav", wav(0.3)))
    browser.until(f"{HEARD} == 1")
    lose(browser, "/keep")
    browser.press("Enter")
    browser.until(f"{told}.includes('does not answer')")
    late(browser, "/keep", "400")
    browser.value("document.querySelector('.heard textarea').focus()")
    browser.press("Enter", 2)
    browser.until(f"{WORDS}.length == 1")
    time.sleep(0.6)
    assert browser.value(told).startswith("Kept. ")
    assert kept(page) == ["It said so."]
    assert browser.complaints() == []


def test_a_clip_that_the_server_forgot_is_sent_again(page: Page, show) -> None:
    browser = show(page)
    drop(browser, ("a.wav", wav(0.3)))
    browser.until(f"{HEARD} == 1")
    for _ in range(32):  # of another tab
        page.hear(wav(0.1))
    browser.press("Enter")
    browser.until(f"{WORDS}.length == 1")
    assert kept(page) == ["It said so."]


def test_the_sentence_stays_while_it_is_being_read(tmp_path: Path, show) -> None:
    page = serving(tmp_path / "kept", Limits(1, 1.003), "First one.", "Second.")
    browser = show(page)
    aloud = "document.getElementById('prompt-text').textContent"
    drop(browser, ("a.wav", wav(0.3)))
    browser.until(f"{HEARD} == 1")
    browser.value("document.querySelector('.heard textarea').value = 'First one.'")
    late(browser, "/kept", "500")
    browser.press("Enter")
    browser.value("document.getElementById('record').click()")
    browser.until(RECORDS)
    browser.value("document.getElementById('prompt-next').click()")
    assert browser.value(aloud) == "First one."
    browser.until(f"{HEARD} == 2")  # at its limit, which is within a block of the microphone
    browser.until(f"{aloud} == 'Second.'")
    text = "document.querySelector('.heard:not(.done) textarea').value"
    assert browser.value(text) == "First one."


def test_what_was_said_before_the_microphone_went_is_there(page: Page, show) -> None:
    browser = show(page)
    browser.value("document.getElementById('record').click()")
    browser.until("document.getElementById('clock').textContent == '0:01'")
    gone = "const [t] = window.stream.getTracks(); t.stop(); t.dispatchEvent(new Event('ended'))"
    browser.value(f"{{ {gone}; 0 }}")
    browser.until(f"{HEARD} == 1")
    assert browser.value(STATUS).startswith("The microphone is gone")
    assert not browser.value(RECORDS)


def test_a_list_that_comes_late_and_a_second_delete_undo_nothing(page: Page, show) -> None:
    add(page, "one", "two", "three")
    browser = show(page)
    button = "document.querySelectorAll('#list li')[{}].querySelector('.{}').click()".format
    late(browser, "/kept/delete", "(sent) => window.sent.includes('/kept/delete') ? 100 : 900")
    browser.value(f"{button(0, 'delete')}; {button(0, 'delete')}; {button(2, 'delete')}")
    browser.until(f"{WORDS}.join() == 'two'")
    time.sleep(1.0)
    assert browser.value(f"{WORDS}.join()") == "two"
    assert browser.value("document.activeElement.id") == "undo"
    assert kept(page) == ["two"]
    assert browser.complaints() == []


def test_a_text_is_mended_once_and_known_where_its_answer_was_lost(page: Page, show) -> None:
    add(page, "one")
    browser = show(page)
    said = "document.getElementById('kept-status').textContent"
    browser.value("document.querySelector('#list .edit').click()")
    browser.call("Input.insertText", text="won ")
    late(browser, "/kept/change", "400")
    browser.press("Enter", 2)
    browser.until(f"{said} == 'Saved.'")
    assert browser.complaints() == []
    browser.value("document.querySelector('#list .edit').click()")
    browser.call("Input.insertText", text="well ")
    lose(browser, "/kept/change")
    browser.press("Enter")
    browser.until("document.querySelector('#list .told')?.textContent.includes('not answer')")
    browser.press("Enter")
    browser.until(f"{said} == 'Saved.' && {WORDS}.length == 1")
    assert len(kept(page)) == 1
    assert "well" in kept(page)[0]


def test_a_sound_that_comes_after_its_clip_is_gone_is_not_played(page: Page, show) -> None:
    add(page, "one", "two")
    browser = show(page)
    browser.value("HTMLMediaElement.prototype.play = async () => { window.played = true; }; 0")
    late(browser, "/kept/sound", "600")
    browser.value("document.querySelector('#list .play').click()")
    browser.value("document.querySelector('#list .delete').click()")
    browser.until("document.getElementById('undo') != null")
    time.sleep(1.0)
    assert not browser.value("window.played")
    assert browser.complaints() == []


def test_what_another_tab_deleted_is_not_erased_unseen(page: Page, show) -> None:
    add(page, "one", "two")
    browser = show(page)
    browser.value("document.querySelector('#list .delete').click()")
    browser.until("document.getElementById('undo') != null")
    clips = CorrectedClips(page.folder)
    clips.delete(clips.listed().clips[0].key)
    browser.value("document.getElementById('erase').click()")
    browser.until("document.getElementById('kept-status').textContent == 'Erased.'")
    assert [clip.utterance.text for clip in clips.listed().deleted] == ["one"]
    assert len(list(page.folder.rglob("*.flac"))) == 1


def test_a_double_click_discards_one(page: Page, show) -> None:
    browser = show(page)
    browser.size(1000, 1600)
    drop(browser, ("a.wav", wav(0.3)), ("b.wav", wav(0.4)))
    browser.until(f"{HEARD} == 2")
    for count in (1, 2):
        browser.click(".heard .discard", count)
    assert browser.value(HEARD) == 1
    assert browser.complaints() == []
