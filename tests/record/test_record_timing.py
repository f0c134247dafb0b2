"""The page of `moontune record` on a bad network, under quick fingers, and as a microphone goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_network import BAD_NETWORK, late, lose
from builders import noise
from chromium import Chromium, fake_microphone, find_chromium
from running import started

from moontune.record.app import Recording, application
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.requests import Limits

SENTENCES = ["First one.", "Second, here.", "Third."]
STATUS = "document.getElementById('status').textContent"
ALOUD = "document.getElementById('aloud').textContent"
LINE = "document.getElementById('line').textContent"
RECORDS = "document.body.classList.contains('recording')"
# What the page takes hold of, for a test to see and to pull out.
HELD = """navigator.mediaDevices.getUserMedia = (of => async (what) => {
  if (window.asks) await new Promise((resolve) => setTimeout(resolve, window.asks));
  return (window.stream = await of.call(navigator.mediaDevices, what));
})(navigator.mediaDevices.getUserMedia);
window.Audio = (of => function () { return (window.player = new of()); })(Audio);"""
UNPLUG = """{ const [track] = window.stream.getTracks();
track.stop(); track.dispatchEvent(new Event('ended')); 0 }"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def show(tmp_path: Path, folder: Path) -> Iterator[Callable[..., Chromium]]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, np.tile(4 * noise(1, 1.0), 2), 16_000)
    with contextlib.ExitStack() as held:

        def show(before: str = "", limits: Limits = Limits()) -> Chromium:  # noqa: B008
            browser = held.enter_context(
                Chromium(program, tmp_path / "profile", *fake_microphone(speech))
            )
            recording = Recording(SENTENCES, CorrectedClips(folder), "Anna")
            browser.before(BAD_NETWORK + HELD + before)
            port = started(application(recording, limits, ["127.0.0.1"]))
            browser.open(f"http://127.0.0.1:{port}/")
            browser.until("document.getElementById('microphone').textContent.includes('hears you')")
            return browser

        yield show


def record(browser: Chromium) -> None:
    """Half a second, until it was looked at."""
    browser.press(" ")
    browser.until(RECORDS)
    time.sleep(0.5)
    browser.press(" ")
    browser.until("!document.getElementById('keep').hidden")
    browser.until("!document.getElementById('keep').disabled")


def texts(folder: Path) -> list[str]:
    return [clip.utterance.text for clip in CorrectedClips(folder).listed().clips]


def test_a_take_whose_answer_was_lost_is_kept_once(folder: Path, show) -> None:
    browser = show()
    record(browser)
    lose(browser, "/take/keep")
    browser.press("Enter")
    browser.until(f"{STATUS}.startsWith('Not kept: ')")
    browser.press("Enter")
    browser.until(f"{ALOUD} == '{SENTENCES[1]}'")
    assert texts(folder) == SENTENCES[:1]
    browser.press("ArrowLeft")
    lose(browser, "/take/delete")
    browser.press("Delete")
    browser.until(f"{STATUS}.includes('does not answer')")
    browser.press("Delete")
    browser.until(f"{STATUS} == 'Deleted.'")
    browser.press("u")
    browser.until(f"{STATUS} == 'It is back.'")
    assert texts(folder) == SENTENCES[:1]
    assert browser.complaints() == []


def test_the_next_sentence_is_recorded_while_one_is_kept(folder: Path, show) -> None:
    browser = show()
    record(browser)
    late(browser, "/take/keep", "1500")
    browser.press("Enter")
    browser.press(" ")  # of the sentence that is being kept
    browser.until(f"{STATUS}.includes('on its way')")
    assert not browser.value(RECORDS)
    browser.press("ArrowRight")
    browser.press(" ")
    browser.until(RECORDS)
    browser.until(f"{LINE}.startsWith('1 of 3')")
    assert browser.value(f"{RECORDS} && {ALOUD} == '{SENTENCES[1]}'")
    late(browser, "/take", "800")
    browser.press(" ")
    browser.press("ArrowRight")
    time.sleep(1.2)
    assert browser.value(STATUS) == ""  # what was heard is of the sentence before
    browser.press("ArrowLeft")
    browser.press("Enter")
    browser.until(f"{LINE}.startsWith('2 of 3')")
    assert texts(folder) == SENTENCES[:2]
    assert browser.complaints() == []


def test_a_state_that_comes_late_moves_no_recording_to_another_sentence(folder: Path, show) -> None:
    CorrectedClips(folder).add(noise(1, 1.0), SENTENCES[0], "", SENTENCES[0])
    browser = show("window.late['/state'] = 2500;")
    browser.press(" ")
    browser.until(RECORDS)
    assert browser.value(ALOUD) == SENTENCES[0]
    browser.until(f"{LINE} != ''")
    assert browser.value(ALOUD) == SENTENCES[0]
    browser.press(" ")
    browser.until("!document.getElementById('keep').disabled")
    browser.press("Enter")
    browser.until(f"{ALOUD} == '{SENTENCES[1]}'")
    assert texts(folder) == SENTENCES[:1]
    assert browser.complaints() == []


def test_a_sound_that_comes_late_is_not_played_into_a_recording(folder: Path, show) -> None:
    CorrectedClips(folder).add(noise(1, 2.0), SENTENCES[0], "", SENTENCES[0])
    browser = show()
    browser.until(f"{LINE} != ''")
    browser.press("ArrowLeft")
    late(browser, "/take/sound", "700")
    browser.press("p")
    browser.press("r")
    browser.until(RECORDS)
    browser.until("window.sent.includes('/take/sound')")
    time.sleep(1.0)
    assert browser.value("window.player.paused")
    assert browser.complaints() == []


def test_what_was_said_before_the_microphone_went_is_there(folder: Path, show) -> None:
    browser = show()
    browser.press(" ")
    browser.until("document.getElementById('clock').textContent == '0:01'")
    browser.value(UNPLUG)
    browser.until("!document.getElementById('keep').hidden")
    assert not browser.value(RECORDS)
    told = browser.value("document.getElementById('microphone').textContent")
    assert told.startswith("The microphone is gone.")
    browser.until("!document.getElementById('keep').disabled")
    browser.press("Enter")
    browser.until(f"{ALOUD} == '{SENTENCES[1]}'")
    record(browser)  # with another one
    assert browser.complaints() == []


def test_a_delete_pressed_twice_is_one(folder: Path, show) -> None:
    CorrectedClips(folder).add(noise(1, 1.0), SENTENCES[0], "", SENTENCES[0])
    browser = show()
    browser.until(f"{LINE} != ''")
    browser.press("ArrowLeft")
    late(browser, "/take/delete", "400")
    browser.press("Delete", 2)
    browser.until(f"{STATUS} == 'Deleted.'")
    time.sleep(0.6)
    assert browser.value(STATUS) == "Deleted."
    late(browser, "/take/restore", "400")
    browser.press("u", 2)
    browser.until(f"{STATUS} == 'It is back.'")
    time.sleep(0.6)
    assert browser.value(STATUS) == "It is back."
    assert texts(folder) == SENTENCES[:1]
    assert browser.complaints() == []


def test_a_recording_at_its_limit_is_taken(folder: Path, show) -> None:
    browser = show(limits=Limits(seconds=1.003))  # within a block of the microphone
    browser.press(" ")
    browser.until("!document.getElementById('keep').hidden")
    browser.until("!document.getElementById('keep').disabled")
    assert "could not be looked at" not in browser.value(STATUS)
    browser.press("Enter")
    browser.until(f"{ALOUD} == '{SENTENCES[1]}'")
    [clip] = CorrectedClips(folder).listed().clips
    assert clip.utterance.duration == 1.003


def test_who_goes_on_while_the_browser_asks_is_not_recorded_elsewhere(folder: Path, show) -> None:
    browser = show()
    browser.value(UNPLUG + "; window.asks = 600")
    browser.press(" ")
    browser.press("ArrowRight")
    browser.until("window.stream.getTracks()[0].readyState == 'live'")
    time.sleep(0.5)
    assert not browser.value(RECORDS)
    assert browser.complaints() == []
