"""The page of `moontune serve`: what it answers, what it refuses, and how a browser takes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builders import noise, wav
from chromium import Chromium, find_chromium
from serve_client import Page

from moontune.cli.dispatch import main
from moontune.data.manifest import read_manifest
from moontune.evaluation.word_diff import diff_words
from moontune.serve.app import Hypothesis, Limits, application
from moontune.serve.corrected_clips import CorrectedClips
from moontune.serve.http_server import serve_at

BASE, TUNED = "The quick brown fox, he jumps.", "the quick brown dog jumps."


@pytest.fixture
def page(tmp_path: Path) -> Page:
    heard: list[np.ndarray] = []

    def hear(samples: np.ndarray) -> list[Hypothesis]:
        heard.append(samples)
        return [Hypothesis("base", BASE, 0.1), Hypothesis("tuned", TUNED, 0.2)]

    app = application(
        "my <run>",
        hear,
        CorrectedClips(tmp_path / "kept"),
        Limits(1, 10.0),
        ["127.0.0.1", "localhost"],
    )
    found: list[str] = []
    started = threading.Event()

    def ready(address: str) -> None:
        found.append(address)
        started.set()

    threading.Thread(target=serve_at, args=(app, "127.0.0.1", 0, ready), daemon=True).start()
    assert started.wait(10)
    made = Page(int(found[0].rstrip("/").rsplit(":", 1)[1]), tmp_path / "kept", heard)
    _, text, _ = made.ask("GET", "/")
    made.token = text.split('moontune-token" content="')[1].split('"')[0]
    return made


def test_both_transcripts_come_back_with_their_differences(page: Page) -> None:
    status, found = page.hear(wav(1.0))
    assert status == 200
    assert found["duration"] == pytest.approx(1.0, abs=0.01)
    base, tuned = found["models"]
    assert (base["name"], base["text"], base["seconds"]) == ("base", BASE, 0.1)
    assert [w for w, kind in base["words"] if kind == "other"] == ["fox,", "he"]
    assert [w for w, kind in tuned["words"] if kind == "other"] == ["dog"]
    [samples] = page.heard
    assert samples.shape == pytest.approx((16_000,), abs=100)
    assert samples.dtype == np.float32


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_other_kinds_of_files_are_read(page: Page, kind: str) -> None:
    status, found = page.hear(wav(1.0, kind=kind))
    assert (status, found["duration"]) == (200, pytest.approx(1.0, abs=0.1))


def test_what_is_kept_is_a_manifest_for_the_next_run(page: Page) -> None:
    for text in ("The quick brown dog.", "«Größe», he said."):
        status, kept = page.keep(id=page.hear(wav(1.0))[1]["id"], text=text, speaker=" Anna ")
        assert status == 200
    assert kept["count"] == 2
    assert kept["words"] == 7
    assert kept["wer"]["tuned"] < kept["wer"]["base"]
    rows, bad = read_manifest(page.kept / "manifest.jsonl")
    assert not bad
    assert [(u.text, u.speaker) for u in rows] == [
        ("The quick brown dog.", "Anna"),
        ("«Größe», he said.", "Anna"),
    ]
    samples, rate = soundfile.read(rows[0].audio_filepath)
    assert rate == 16_000
    assert np.allclose(samples, page.heard[0], atol=1e-3)
    assert main(["sample", "--manifest", str(page.kept / "manifest.jsonl"), "--model-id", "x"]) == 2


def test_a_manifest_that_lost_its_last_line_end_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"audio_filepath": "a.wav", "text": "a"}')
    assert CorrectedClips(tmp_path).add(noise(1, 1.0), "two", "") == 2
    rows, bad = read_manifest(tmp_path / "manifest.jsonl")
    assert ([u.text for u in rows], bad) == (["a", "two"], [])


def test_clips_are_kept_once_and_with_a_text(page: Page) -> None:
    key = page.hear(wav(1.0))[1]["id"]
    assert page.keep(id=key, text=" \n ", speaker="")[0] == 422
    assert page.keep(id=key, text="a\u202eb", speaker="")[0] == 422
    assert page.keep(id=key, text="x" * 3000, speaker="")[0] == 422
    assert page.keep(id=key, text="x", speaker="y" * 100)[0] == 422
    assert not page.kept.exists()
    assert page.keep(id=key, text="right", speaker="")[0] == 200
    assert page.keep(id=key, text="right", speaker="")[0] == 410
    assert page.keep(id="nothing", text="right", speaker="")[0] == 410
    assert page.ask("POST", "/keep", b"[]")[0] == 400
    assert page.ask("POST", "/keep", b"{" * 30_000)[0] == 413


def test_what_is_too_long_or_no_audio_is_refused(page: Page) -> None:
    for audio, expected in (
        (wav(11.0, 8_000), 413),
        (b"x" * 1_100_000, 413),
        (b"x" * 1000, 415),
        (b"", 415),
        (wav(1.0)[:30], 415),
    ):
        status, found = page.hear(audio)
        assert status == expected
        assert found["error"]
    assert not page.heard


def test_only_its_own_page_may_ask(page: Page) -> None:
    audio = wav(0.5)
    assert page.hear(audio, Origin=f"http://127.0.0.1:{page.port}")[0] == 200
    assert page.hear(audio, Origin="http://evil.example")[0] == 403
    assert page.hear(audio, Origin="null")[0] == 403
    assert page.hear(audio, X_Moontune="guess")[0] == 403
    assert page.ask("GET", "/", Host="evil.example")[0] == 400
    assert page.ask("POST", "/transcribe", audio, Host=f"evil.example:{page.port}")[0] == 400
    assert len(page.heard) == 1


def test_nothing_else_is_served(page: Page) -> None:
    for path in ("/../pyproject.toml", "/templates/serve.js", "/kept/manifest.jsonl", "/%2e%2e/"):
        assert page.ask("GET", path)[0] == 404
    status, text, headers = page.ask("GET", "/")
    assert status == 200
    assert "my &lt;run&gt;" in text
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_marked_words() -> None:
    one, other = diff_words("I have it", "I've it")
    assert {kind for _, kind in one + other} <= {"same", "style", "other"}
    assert diff_words("", "words here") == ([], [("words", "other"), ("here", "other")])
    assert diff_words("same words", "same words")[0] == [("same", "same"), ("words", "same")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, noise(1, 2.0), 16_000)
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    fake += [f"--use-file-for-fake-audio-capture={speech}"]
    with Chromium(program, tmp_path / "profile", *fake) as tab:
        yield tab


def test_speak_mend_and_keep_in_a_browser(page: Page, browser: Chromium) -> None:
    browser.size(1000)
    browser.open(f"http://127.0.0.1:{page.port}/")
    browser.value("document.getElementById('record').click()")
    browser.until("document.getElementById('clock').textContent == '0:01'")
    browser.value("document.getElementById('record').click()")
    browser.until("document.querySelectorAll('.heard').length == 1")
    [samples] = page.heard
    assert len(samples) >= 16_000
    assert np.abs(samples).max() > 0.01  # the microphone's sound, not silence
    assert browser.value("document.querySelector('dd.tuned').textContent") == TUNED
    marks = "[...document.querySelectorAll('mark')].map(m => m.textContent).join('|')"
    assert browser.value(marks) == "fox,|he|dog"
    assert browser.value("document.querySelector('textarea').value") == TUNED
    browser.value("document.querySelector('textarea').value = 'The <b>quick</b> dog.'")
    browser.value("document.querySelector('[name=speaker]').value = 'Anna'")
    browser.value("document.querySelector('form button').click()")
    browser.until("document.getElementById('count').textContent == '1'")
    assert "base" in browser.value("document.getElementById('score').textContent")
    [row], _ = read_manifest(page.kept / "manifest.jsonl")
    assert (row.text, row.speaker) == ("The <b>quick</b> dog.", "Anna")
    assert browser.complaints() == []
    assert all(
        u.startswith((f"http://127.0.0.1:{page.port}/", "blob:", "data:"))
        for u in browser.requests()
    )
