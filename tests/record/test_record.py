"""The page of `moontune record` in a browser, by keyboard alone; and its command."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_network import BAD_NETWORK, late
from builders import noise
from chromium import Chromium, fake_microphone, find_chromium
from running import started

from moontune.cli.dispatch import main
from moontune.record.app import Recording, application
from moontune.record.command import RecordArgs, record
from moontune.system.files import read_jsonl
from moontune.web.access_code import AccessCode
from moontune.web.certificate import make_certificate
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.requests import Limits

LONG = (
    "So long that nobody can read it in this test, " * 20 + "which is therefore too short for it."
)
SENTENCES = [LONG.strip(), "Second, here.", "Third."]
NAMES = ["127.0.0.1", "localhost"]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Chromium]]:
    """Opens a browser that hears half a second of silence, then a second of noise, and again."""
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    speech = tmp_path / "speech.wav"
    silence = np.zeros(8_000, np.float32)
    soundfile.write(speech, np.concatenate([silence, 4 * noise(1, 1.0)]), 16_000)
    with contextlib.ExitStack() as held:
        yield lambda *more: held.enter_context(
            Chromium(program, tmp_path / "profile", *fake_microphone(speech), *more)
        )


def page_of(folder: Path) -> str:
    recording = Recording(SENTENCES, CorrectedClips(folder), "Anna")
    return f"http://127.0.0.1:{started(application(recording, Limits(), NAMES))}/"


def text(name: str) -> str:
    return f"document.getElementById('{name}').textContent"


def hidden(name: str) -> str:
    return f"document.getElementById('{name}').hidden"


def ready(browser: Chromium) -> None:
    """Until the page has the folder's state and hears the microphone."""
    browser.until(f"{text('line')} != ''")
    browser.until(f"{text('microphone')} == 'The microphone hears you.'")


def say(browser: Chromium, key: str = " ") -> None:
    """Record a second, and wait until it was looked at."""
    browser.press(key)
    browser.until(f"{text('record-label')} == 'Stop' && {text('clock')} == '0:01'")
    browser.press(" ")
    browser.until(f"!{hidden('keep')} && !document.getElementById('keep').disabled")


def texts(folder: Path) -> list[str]:
    return [clip.utterance.text for clip in CorrectedClips(folder).listed().clips]


def test_record_and_keep_by_keyboard(tmp_path: Path, opened) -> None:
    folder, browser = tmp_path / "mine", opened()
    browser.size(1000)
    browser.open(page_of(folder))
    ready(browser)
    assert browser.value(text("aloud")) == SENTENCES[0]
    assert browser.value("document.querySelector('#level i').style.transform") != ""
    say(browser)
    assert "Too short for the sentence" in browser.value(text("warnings"))
    assert browser.value(text("keep-label")) == "Keep it anyway"
    assert not folder.exists()  # a take is the page's until it is kept
    browser.press("r")
    browser.until(f"{text('record-label')} == 'Stop'")
    assert browser.value(hidden("warnings"))
    browser.press("Enter")  # does nothing while it records
    browser.press("Escape")  # what was there before is there again
    browser.until(f"{text('status')} == 'Not recorded.'")
    assert "Too short" in browser.value(text("warnings"))
    browser.press("к", place="KeyR")  # of a Ukrainian keyboard
    browser.until(f"{text('record-label')} == 'Stop' && {text('clock')} == '0:01'")
    browser.press(" ")
    browser.until(f"!{hidden('keep')} && !document.getElementById('keep').disabled")
    browser.press("Enter")
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    assert browser.value(text("line")).startswith("1 of 3 sentences, ")
    [row] = read_jsonl(folder / "manifest.jsonl")
    assert (row["text"], row["speaker"]) == (SENTENCES[0], "Anna")
    heard = soundfile.read(folder / row["audio_filepath"])[0]
    assert len(heard) / 16_000 == pytest.approx(row["duration"], abs=0.01)
    assert np.abs(heard).max() > 0.1  # the microphone's sound
    assert browser.complaints() == []


def test_who_goes_on_before_a_take_is_kept_is_not_taken_further(tmp_path: Path, opened) -> None:
    folder, browser = tmp_path / "mine", opened()
    browser.open(page_of(folder))
    ready(browser)
    say(browser)
    browser.value(BAD_NETWORK)
    late(browser, "/take/keep", "500")
    browser.press("Enter")
    browser.press("ArrowRight")
    assert browser.value(text("aloud")) == SENTENCES[1]
    browser.until(f"{text('line')}.startsWith('1 of 3 sentences, ')")
    assert browser.value(text("aloud")) == SENTENCES[1]
    assert texts(folder) == [SENTENCES[0]]
    browser.press(" ")
    browser.until(f"{text('record-label')} == 'Stop'")
    assert browser.complaints() == []


def test_go_back_and_hear_redo_delete_and_go_on_another_day(tmp_path: Path, opened) -> None:
    folder, browser = tmp_path / "mine", opened()
    address = page_of(folder)
    CorrectedClips(folder).add(noise(1, 2.0), SENTENCES[0], "Anna", SENTENCES[0])
    [row] = read_jsonl(folder / "manifest.jsonl")
    browser.open(address)
    ready(browser)
    assert browser.value(text("aloud")) == SENTENCES[1]
    browser.press("ArrowLeft")
    assert "kept, " in browser.value(text("state"))
    browser.press("p")
    browser.until(f"{text('play-label')} == 'Pause'")
    say(browser, "r")
    browser.press("Enter")
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    [again] = read_jsonl(folder / "manifest.jsonl")
    assert again["id"] != row["id"]
    assert (folder / row["audio_filepath"]).is_file()  # with the deleted ones

    browser.press("ArrowLeft")
    browser.press("Delete")
    browser.until(f"{text('status')} == 'Deleted.'")
    assert texts(folder) == []
    browser.press("u")
    browser.until(f"{text('status')} == 'It is back.'")
    assert texts(folder) == SENTENCES[:1]

    browser.press("s")  # to the second, which has no take
    browser.press("s")  # and leaves that
    assert browser.value(text("aloud")) == SENTENCES[2]
    browser.open(address)  # another visit begins where a take is missing
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    assert browser.value(text("line")).startswith("1 of 3 sentences, ")
    assert browser.complaints() == []


def test_a_field_keeps_its_keys_and_a_button_that_has_the_focus(tmp_path: Path, opened) -> None:
    folder, browser = tmp_path / "mine", opened()
    browser.size(1000)
    browser.open(page_of(folder))
    ready(browser)
    browser.value("document.getElementById('speaker').select()")
    for key in "R s p u":
        browser.press(key)
    browser.press("ArrowRight")
    browser.press("Enter")
    assert browser.value("document.getElementById('speaker').value") == "R s p u"
    assert browser.value(text("aloud")) == SENTENCES[0]
    assert browser.value(text("record-label")) == "Record"
    assert browser.value("document.activeElement.id") == "aloud"  # Enter left the field
    say(browser)
    browser.value("document.getElementById('redo').focus()")
    browser.press("Enter")  # presses what has the focus, and keeps nothing
    browser.until(f"{text('record-label')} == 'Stop'")
    browser.press(" ")
    browser.until(f"!{hidden('keep')} && !document.getElementById('keep').disabled")
    browser.press("Enter")
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    assert read_jsonl(folder / "manifest.jsonl")[0]["speaker"] == "R s p u"
    assert browser.complaints() == []


def test_on_a_phone_by_finger(tmp_path: Path, opened) -> None:
    folder, browser = tmp_path / "mine", opened()
    browser.size(390)
    browser.open(page_of(folder))
    ready(browser)
    press = "document.getElementById('{}').click()".format
    browser.value(press("record"))
    browser.until(f"{text('clock')} == '0:01'")
    browser.value(press("record"))
    browser.until(f"!{hidden('keep')} && !document.getElementById('keep').disabled")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    small = "[...document.querySelectorAll('.controls button')].filter(b => b.offsetHeight"
    assert browser.value(f"{small} && b.offsetHeight < 40).length") == 0
    browser.value(press("keep"))
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    assert texts(folder) == SENTENCES[:1]
    assert browser.complaints() == []


def test_a_page_that_is_not_secure_says_why_there_is_no_microphone(tmp_path: Path, opened) -> None:
    browser = opened()
    hide = "Object.defineProperty(Navigator.prototype, 'mediaDevices', { get: () => undefined })"
    browser.call("Page.addScriptToEvaluateOnNewDocument", source=hide)
    browser.open(page_of(tmp_path / "mine"))
    browser.until(f"{text('microphone')} != ''")
    told = browser.value(text("microphone"))
    assert "secure addresses only" in told
    assert "--host 0.0.0.0" in told
    browser.press(" ")
    assert browser.value(text("record-label")) == "Record"


@contextlib.contextmanager
def command(folder: Path, prompts: Path, port: int) -> Iterator[subprocess.Popen]:
    words = ["record", str(folder), "--prompts", str(prompts), "--port", str(port)]
    program = [sys.executable, "-m", "moontune", *words, "--no-open-page"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("open "):
                    break
            yield process
        finally:
            process.kill()


def test_nothing_is_lost_with_a_killed_server_or_a_folder_that_cannot_be_written(
    tmp_path: Path, opened
) -> None:
    folder, prompts, browser = tmp_path / "mine", tmp_path / "p.txt", opened()
    prompts.write_text("\n".join(SENTENCES))
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    with command(folder, prompts, port) as server:
        browser.open(f"http://127.0.0.1:{port}/")
        ready(browser)
        say(browser)
        (folder).mkdir()
        (folder / "audio").write_text("no folder")
        browser.press("Enter")
        browser.until(f"{text('status')}.startsWith('Not kept: the clip cannot be kept')")
        (folder / "audio").unlink()
        browser.press("Enter")
        browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
        say(browser)
        server.kill()
        server.wait()
        browser.press("Enter")
        browser.until(f"{text('status')}.includes('moontune does not answer')")
    assert texts(folder) == SENTENCES[:1]  # what was kept is there
    with command(folder, prompts, port):
        browser.press("Enter")
        browser.until(f"{text('aloud')} == '{SENTENCES[2]}'")
    assert texts(folder) == SENTENCES[:2]


def test_a_phone_comes_in_with_the_code_over_https(tmp_path: Path, opened) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra `serve`)")
    browser, told = opened("--ignore-certificate-errors"), []
    code, kept = AccessCode(told.append), CorrectedClips(tmp_path / "mine")
    app = application(Recording(SENTENCES, kept), Limits(), NAMES, code)
    port = started(app, certificate=make_certificate(NAMES))
    browser.size(390)
    browser.open(f"https://localhost:{port}/")
    enter = "document.getElementById('code').value = '{}'; "
    enter += "document.querySelector('form').requestSubmit()"
    wrong = f"{(int(code.code) + 1) % 1_000_000:06d}"
    browser.value(f"{enter.format(wrong)}; document.querySelector('form').requestSubmit()")
    browser.until(f"{text('status')} != ''")
    time.sleep(0.3)
    assert browser.value(text("status")).startswith("this is not the code")  # given once
    assert browser.value("document.documentElement.scrollWidth") <= 390
    browser.value(enter.format(code.code))
    browser.until(f"{text('status')}.startsWith('wait ')")  # a right one, too early
    code._next_try = 0.0
    browser.value(enter.format(code.code))
    browser.until("document.getElementById('aloud') !== null")
    ready(browser)
    assert browser.value("document.cookie") == ""  # no script reads it
    say(browser)
    browser.press("Enter")
    browser.until(f"{text('aloud')} == '{SENTENCES[1]}'")
    assert texts(tmp_path / "mine") == SENTENCES[:1]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--port", "-1"], "--port -1: give one of 0..65535"),
        (["--max-seconds", "0"], "--max-seconds 0: give 1 to 300"),
        (["--prompts", "gone.txt"], "--prompts gone.txt: cannot be read"),
        (["--terms", "gone.txt"], "--terms gone.txt: cannot be read"),
        (["--speaker", "x" * 61], "the speaker has 61 characters; 60 at most"),
    ],
)
def test_what_cannot_be_is_one_line(flags, says, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["record", "mine", "--no-open-page", *flags]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_is_none_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["record", str(tmp_path / "file"), "--no-open-page"]) == 2
    (tmp_path / "array").mkdir()
    (tmp_path / "array/manifest.jsonl").write_text("[]")
    assert main(["record", str(tmp_path / "array"), "--no-open-page"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_the_network_is_let_in_with_a_code_and_a_fingerprint(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra `serve`)")
    told: list[str] = []
    done = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        if "fingerprint" in line:
            done.set()

    args = RecordArgs(tmp_path / "mine", host="0.0.0.0", port=0, open_page=False)
    threading.Thread(target=record, args=(args, tell), daemon=True).start()
    assert done.wait(30)
    shown = "\n".join(told)
    assert re.search(r"open https://[^0]\S*:\d+/", shown)
    assert re.search(r"its code: \d{6}", shown)
    assert re.search(r"fingerprint: ([0-9A-F]{2}:){31}[0-9A-F]{2}", shown)


def test_it_listens_to_this_machine_alone_and_over_http() -> None:
    assert RecordArgs(Path("x")).host == "127.0.0.1"
