"""The page of `moontune serve`: what it answers, what it refuses, and how a browser takes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builders import noise, wav
from chromium import Chromium, fake_microphone, find_chromium
from running import started
from serve_client import Page

from moontune.cli.dispatch import main
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.evaluation.word_diff import diff_words
from moontune.languages.table import Language, speaking
from moontune.models.confidence.calibration import NOT_YOURS
from moontune.serve.app import PageText, application
from moontune.serve.counts import Hypothesis, sentence, with_confidences
from moontune.serve.kept_routes import KEPT_PATHS
from moontune.system.files import read_jsonl
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining, advice, is_enough
from moontune.web.prompts import read_prompts
from moontune.web.requests import Limits

SPLITS = ("train", "val", "test")
BASE, TUNED = "The quick brown fox, he jumps.", "the quick brown dog jumps."


def served(
    tmp_path: Path,
    *texts: str,
    prompts: tuple[str, ...] = (),
    confidences: tuple[float, ...] | None = None,
) -> Page:
    """A server whose models, one or two, write these texts."""
    heard: list[np.ndarray] = []

    def hear(samples: np.ndarray) -> list[Hypothesis]:
        heard.append(samples)
        return [
            Hypothesis(name, text, 0.1, confidences, "" if confidences is None else NOT_YOURS)
            for name, text in zip(("base", "tuned"), texts, strict=False)
        ]

    kept = CorrectedClips(tmp_path / "kept")
    training = NextTraining([kept.manifest], "bundled")
    app = application(
        PageText("my <run>", len(texts), training, prompts),
        hear,
        kept,
        Limits(1, 10.0),
        ["127.0.0.1", "localhost"],
    )
    made = Page(started(app), tmp_path / "kept", heard)
    _, text, _ = made.ask("GET", "/")
    made.token = text.split('moontune-token" content="')[1].split('"')[0]
    return made


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return served(tmp_path, BASE, TUNED)


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


def test_foreign_words_stay_apart_where_no_spaces_separate_words(tmp_path: Path) -> None:
    texts = ("昨日Windows 11を買った。", "昨日Windows 11と iPhone 15を買った。")
    with speaking(Language("ja")):
        _, found = served(tmp_path, *texts).hear(wav(1.0))
    shown = [zip(m["gaps"], m["words"], strict=True) for m in found["models"]]
    read = ["".join(gap + word for gap, (word, _) in words) for words in shown]
    assert read == [texts[0], texts[1].replace("と ", "と")]


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_other_kinds_of_files_are_read(page: Page, kind: str) -> None:
    status, found = page.hear(wav(1.0, kind=kind))
    assert (status, found["duration"]) == (200, pytest.approx(1.0, abs=0.1))


def test_what_is_kept_is_a_manifest_for_the_next_run(page: Page) -> None:
    for text in ("The quick brown dog.", "«Größe», he said."):
        status, kept = page.keep(id=page.hear(wav(1.0))[1]["id"], text=text, speaker=" Anna ")
        assert status == 200
    assert kept["errors"] == "3 words: 5 errors each"
    assert kept["since_start"] == "7 words: base 8 errors, tuned 6 errors"
    rows, bad = read_manifest(page.folder / "manifest.jsonl")
    assert not bad
    assert [(u.text, u.speaker) for u in rows] == [
        ("The quick brown dog.", "Anna"),
        ("«Größe», he said.", "Anna"),
    ]
    samples, rate = soundfile.read(rows[0].audio_filepath)
    assert rate == 16_000
    assert np.allclose(samples, page.heard[0], atol=1e-3)
    assert (
        main(["sample", "--manifest", str(page.folder / "manifest.jsonl"), "--model-id", "x"]) == 2
    )


def test_what_the_tuned_model_wrote_is_kept_where_it_was_mended(page: Page) -> None:
    """`moontune terms` proposes key terms from it."""
    heard = page.hear(wav(1.0))[1]
    written = heard["models"][-1]["text"]
    page.keep(id=heard["id"], text=f"{written} indeed", speaker="")
    page.keep(id=page.hear(wav(1.0))[1]["id"], text=written, speaker="")
    lines = (page.folder / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line).get("heard") for line in lines] == [written, None]


def test_a_base_alone_writes_one_transcript(tmp_path: Path) -> None:
    page = served(tmp_path, BASE)
    assert "what the model writes" in page.ask("GET", "/")[1]
    status, found = page.hear(wav(1.0))
    assert (status, found["difference"]) == (200, "")
    assert [(m["name"], m["text"]) for m in found["models"]] == [("base", BASE)]
    assert {kind for _, kind in found["models"][0]["words"]} == {"same"}
    kept = page.keep(id=found["id"], text="The quick brown fox.", speaker="")[1]
    assert kept["errors"] == "4 words: 2 errors"


@pytest.mark.parametrize(
    ("tuned", "expected", "same"),
    [
        (BASE, "both write the same", True),
        ("The quick brown fox he jumps", "only case, punctuation or fillers differ", False),
        ("The quick brown fox, he jumped.", "1 word differs", False),
        ("", "6 words differ", False),
    ],
)
def test_how_two_transcripts_differ_is_said(
    tmp_path: Path, tuned: str, expected: str, same: bool
) -> None:
    found = served(tmp_path, BASE, tuned).hear(wav(1.0))[1]
    assert (found["difference"], found["same"]) == (expected, same)


def test_errors_are_counts_and_no_shares() -> None:
    base, tuned = Hypothesis("base", "a b c d e f g", 0.1), Hypothesis("tuned", "No.", 0.1)
    assert sentence([("No.", [base, tuned])]) == "1 word: base 7 errors, tuned no error"
    assert sentence([("No.", [tuned, tuned])]) == "1 word: no error"
    assert sentence([("No.", [base])]) == "1 word: 7 errors"


def test_kept_clips_are_listed_heard_mended_deleted_and_put_back(page: Page) -> None:
    assert page.kept()[1]["clips"] == []
    for text in ("one", "two"):
        page.keep(id=page.hear(wav(1.0))[1]["id"], text=text, speaker="Anna")
    found = page.kept()[1]
    two, one = found["clips"]  # the newest first
    assert (one["text"], one["speaker"], one["duration"]) == ("one", "Anna", 1.0)
    assert found["total"] == "2 clips, 2.0 seconds"
    status, _, headers = page.ask("POST", "/kept/sound", json.dumps({"key": one["key"]}).encode())
    assert (status, headers["Content-Type"]) == (200, "audio/wav")
    assert int(headers["Content-Length"]) == pytest.approx(32_044, abs=200)
    status, found = page.kept("/kept/change", key=one["key"], text="won", speaker="Ben")
    assert [(c["text"], c["speaker"]) for c in found["clips"]] == [("two", "Anna"), ("won", "Ben")]
    assert page.kept("/kept/change", key=one["key"], text="x", speaker="")[0] == 410
    status, found = page.kept("/kept/delete", key=two["key"])
    assert [c["text"] for c in found["clips"]] == ["won"]
    assert [c["text"] for c in found["deleted"]] == ["two"]
    assert page.kept("/kept/delete", key=two["key"])[0] == 410
    assert page.kept("/kept/sound", key=two["key"])[0] == 410
    found = page.kept("/kept/restore", key=two["key"])[1]
    assert [c["text"] for c in found["clips"]] == ["two", "won"]
    page.kept("/kept/delete", key=two["key"])
    assert page.kept("/kept/erase", key=two["key"])[1]["deleted"] == []
    assert len(list(page.folder.rglob("*.flac"))) == 1
    assert page.kept("/kept/change", key="x")[0] == 400
    assert page.kept("/kept/change", key=found["clips"][1]["key"], text=" ", speaker="")[0] == 422


def test_a_row_that_is_no_sound_is_an_answer(page: Page) -> None:
    page.folder.mkdir()
    (page.folder / "long.wav").write_bytes(wav(11.0, 8_000))
    rows = [{"audio": name, "text": name} for name in ("/etc/passwd", "long.wav", "gone.wav")]
    (page.folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for clip in page.kept()[1]["clips"]:
        status, said = page.kept("/kept/sound", key=clip["key"])
        assert (status, "root" in said["error"]) == (422, False)


def test_when_to_train_and_how(tmp_path: Path) -> None:
    few, some, many = advice(12, 40.0), advice(50, 150.0), advice(50, 180.0)
    assert few.startswith("38 clips and 2.3 minutes to go")
    assert some.startswith("0.5 minutes to go")
    assert many.startswith("Enough")
    assert (is_enough(50, 179.0), is_enough(49, 500.0), is_enough(50, 180.0)) == (0, 0, 1)
    mine, kept = Path("/my data.jsonl"), Path("/kept/manifest.jsonl")
    assert (
        NextTraining([mine, kept], "bundled").command
        == "moontune run --manifest '/my data.jsonl' /kept/manifest.jsonl --model-id bundled"
    )
    assert "model-id" not in NextTraining([kept], "UsefulSensors/moonshine-tiny").command


def test_the_command_takes_one_voice_without_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = CorrectedClips(Path("kept"))
    for i in range(12):
        kept.add(noise(i, 1.0), f"A sentence with the number {i} in it.", "Anna" if i % 3 else "")
    command = NextTraining([kept.manifest], str(tiny_model)).command
    _, run, *words = shlex.split(command)
    assert run == "run"
    assert main(["sample", *words]) == 0
    [folder] = Path("outputs").iterdir()
    for verb in ("clean", "split"):
        assert main([verb, str(folder)]) == 0
    shares = {name: len(read_jsonl(folder / f"manifests/{name}.jsonl")) for name in SPLITS}
    assert sum(shares.values()) == 12
    assert min(shares.values()) >= 1


def test_sentences_to_read(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_bytes("\ufeff# mine\r\n\r\nHard  to port.\r\n<b>Größe</b>\nHard to port.\n".encode())
    assert read_prompts(file) == ["Hard to port.", "<b>Größe</b>"]
    text = served(tmp_path, BASE, prompts=("<b>Größe</b>",)).ask("GET", "/")[1]
    assert "&lt;b&gt;Größe&lt;/b&gt;" in text
    assert "Read this aloud" not in served(tmp_path, BASE).ask("GET", "/")[1]


@pytest.mark.parametrize(
    "content", [b"", b"# only this\n", b"\xff\xfe", "a\u202eb".encode(), b"x" * 2_000_000]
)
def test_a_file_that_holds_no_sentences_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.txt").write_bytes(content)
    for file in (tmp_path / "p.txt", tmp_path / "gone", tmp_path):
        with pytest.raises(UserError, match="--prompts"):
            read_prompts(file)


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
    for text, speaker in (("null", '"a"'), ('"a b"', "null"), ("7", '"a"'), ('["a"]', '"a"')):
        asked = f'{{"id": "{key}", "text": {text}, "speaker": {speaker}}}'  # no text is no `None`
        assert page.ask("POST", "/keep", asked.encode())[0] == 400
    assert not page.folder.exists()
    assert page.keep(id=key, text="right", speaker="")[0] == 200
    assert page.keep(id=key, text="right", speaker="")[0] == 200  # its answer was lost
    status, said = page.keep(id=key, text="another", speaker="")
    assert (status, said["error"]) == (409, "this clip is kept already; mend it in the list below")
    assert [clip["text"] for clip in page.kept()[1]["clips"]] == ["right"]
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


@pytest.mark.parametrize("path", KEPT_PATHS)
def test_only_its_own_page_may_see_and_change_what_is_kept(page: Page, path: str) -> None:
    page.keep(id=page.hear(wav(0.5))[1]["id"], text="mine", speaker="")
    before = (page.folder / "manifest.jsonl").read_bytes()
    [clip] = page.kept()[1]["clips"]
    asked = json.dumps({"key": clip["key"], "text": "theirs", "speaker": ""}).encode()
    for headers, expected in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X_Moontune": ""}, 403),
        ({"X_Moontune": "guess"}, 403),
        ({"Host": "evil.example"}, 400),
    ):
        status, said, _ = page.ask("POST", path, asked, **headers)
        assert (status, "mine" in said) == (expected, False)
    assert page.ask("GET", path)[0] == 405
    assert (page.folder / "manifest.jsonl").read_bytes() == before
    assert page.ask("POST", path, asked)[0] in (200, 410)


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


def test_words_that_are_less_than_half_sure_are_marked_for_eye_and_ear(
    page: Page, tmp_path: Path, browser: Chromium
) -> None:
    """And only where there are confidences: greedy transcripts have none."""
    _, greedy = page.hear(wav(1.0))
    assert all(len(word) == 2 for model in greedy["models"] for word in model["words"])
    sure = served(tmp_path / "sure", "A cat sat.", confidences=(0.94, 0.23, 0.5))
    _, found = sure.hear(wav(1.0))
    assert found["models"][0]["words"] == [
        ["A", "same", 0.94],
        ["cat", "same", 0.23],
        ["sat.", "same", 0.5],
    ]
    browser.size(1000)
    browser.open(f"http://127.0.0.1:{sure.port}/")
    drop = "document.getElementById('file').dispatchEvent(new Event('change'))"
    files = "const d = new DataTransfer(); d.items.add(new File([b], 'a.wav'))"
    put = "document.getElementById('file').files = d.files"
    sound = ", ".join(map(str, wav(1.0)))
    browser.value(f"{{ const b = new Uint8Array([{sound}]); {files}; {put}; {drop}; 0 }}")
    browser.until("document.querySelectorAll('.heard').length == 1")
    assert browser.value("[...document.querySelectorAll('.unsure')].map(w => w.title).join()") == (
        "23 % sure"
    )
    assert browser.value("document.querySelector('.unsure').textContent") == "cat (23 % sure)"
    style = "getComputedStyle(document.querySelector('.unsure')).borderBottomStyle"
    assert browser.value(style) == "dotted"
    said = browser.value("document.querySelector('.heard .sure').textContent")
    assert said == "Dotted: less than half sure (base: not calibrated on your voice)."
    assert browser.value("document.querySelector('textarea').value") == "A cat sat."
    assert browser.complaints() == []


def test_marked_words_take_their_confidences_along() -> None:
    """Also where several are marked as one."""
    [first, *others] = with_confidences([("twenty one", "other"), ("men", "same")], (0.9, 0.8, 0.2))
    assert (first, others) == (("twenty one", "other", 0.9), [("men", "same", 0.2)])


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
    with Chromium(program, tmp_path / "profile", *fake_microphone(speech)) as tab:
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
    assert "2 words differ" in browser.value("document.querySelector('.heard .meta').textContent")
    assert browser.value("document.querySelector('textarea').value") == TUNED
    browser.value("document.querySelector('textarea').value = 'The <b>quick</b> dog.'")
    browser.value("document.querySelector('[name=speaker]').value = 'Anna'")
    browser.value("document.querySelector('form button').click()")
    browser.until("document.querySelectorAll('#list li').length == 1")
    told = browser.value("document.querySelector('.told').textContent")
    assert told == "Kept. 3 words: base 4 errors, tuned 2 errors."
    [row], _ = read_manifest(page.folder / "manifest.jsonl")
    assert (row.text, row.speaker) == ("The <b>quick</b> dog.", "Anna")
    assert browser.complaints() == []
    assert all(
        u.startswith((f"http://127.0.0.1:{page.port}/", "blob:", "data:"))
        for u in browser.requests()
    )


# A browser that asks whether the page may listen, and how often it was asked.
ASKED = """window.asked = 0; const devices = navigator.mediaDevices, open = devices.getUserMedia;
devices.getUserMedia = async (what) => {
  window.asked += 1;
  await new Promise((resolve) => setTimeout(resolve, 300));
  return open.call(devices, what);
}"""


def test_a_second_click_while_the_browser_asks_opens_no_second_microphone(
    page: Page, browser: Chromium
) -> None:
    browser.open(f"http://127.0.0.1:{page.port}/")
    browser.value(ASKED)
    for _ in range(2):
        browser.value("document.getElementById('record').click()")
    browser.until("document.body.classList.contains('recording')")
    assert browser.value("window.asked") == 1


def test_kept_clips_in_a_browser(page: Page, browser: Chromium) -> None:
    for text in ("one", "two <i>", "three"):
        page.keep(id=page.hear(wav(1.0))[1]["id"], text=text, speaker="Anna")
    browser.open(f"http://127.0.0.1:{page.port}/")  # another visit
    rows = "[...document.querySelectorAll('#list li:not(.gone) .words')]"
    words = f"{rows}.map(p => p.textContent).join('|')"
    browser.until(f"{words} == 'three|two <i>|one'")
    button = "document.querySelectorAll('#list li')[1].querySelector('.{}')".format
    browser.value(f"{button('play')}.click()")
    browser.until("document.querySelector('#list audio')?.duration > 0.9")
    browser.value(f"{button('edit')}.click()")
    assert browser.value("document.querySelector('#list textarea').value") == "two <i>"
    browser.value("document.querySelector('#list textarea').value = 'too'")
    browser.value("document.querySelector('#list form').requestSubmit()")
    browser.until(f"{words} == 'three|too|one'")
    browser.value(f"{button('delete')}.click()")
    browser.until(f"{words} == 'three|one'")
    assert [u.text for u in read_manifest(page.folder / "manifest.jsonl")[0]] == ["one", "three"]
    browser.value("document.getElementById('undo').click()")
    browser.until(f"{words} == 'three|too|one'")
    browser.value(f"{button('delete')}.click()")
    browser.until(f"{words} == 'three|one'")
    browser.open(f"http://127.0.0.1:{page.port}/")  # it can be undone later
    browser.until("!document.getElementById('deleted').hidden")
    browser.value("document.querySelector('#deleted .restore').click()")
    browser.until(f"{words} == 'three|too|one'")
    assert browser.complaints() == []


def test_sentences_are_read_one_after_the_other(tmp_path: Path, browser: Chromium) -> None:
    page = served(tmp_path, BASE, BASE, prompts=("First one.", "Second, here.", "Third."))
    page.keep(id=page.hear(wav(1.0))[1]["id"], text="first one", speaker="")
    browser.open(f"http://127.0.0.1:{page.port}/")
    aloud = "document.getElementById('prompt-text').textContent"
    browser.until(f"{aloud} == 'Second, here.'")
    browser.value("document.getElementById('record').click()")
    browser.until("document.getElementById('clock').textContent == '0:01'")  # it heard something
    browser.value("document.getElementById('record').click()")
    browser.until("document.querySelectorAll('.heard').length == 1")
    assert browser.value("document.querySelector('.heard textarea').value") == "Second, here."
    terms = "[...document.querySelectorAll('.heard dt')].map(d => d.textContent).join()"
    assert browser.value(terms) == "both"
    assert "same" in browser.value("document.querySelector('.heard .meta').textContent")
    browser.value("document.querySelector('.heard textarea').value = 'I said it otherwise.'")
    browser.value("document.querySelector('.heard form').requestSubmit()")
    browser.until(f"{aloud} == 'Third.'")
    browser.value("document.getElementById('prompt-off').click()")
    assert browser.value("document.getElementById('prompt').hidden")
    browser.open(f"http://127.0.0.1:{page.port}/")
    assert browser.value("document.getElementById('prompt').hidden")  # it is remembered
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--port", "99999999"], "--port 99999999: give one of 0..65535"),
        (["--port", "-1"], "--port -1: give one of 0..65535"),
        (["--max-seconds", "0"], "must be above 0"),
        (["--max-megabytes", "-5"], "must be above 0"),
    ],
)
def test_a_number_that_cannot_be_is_one_line(flags, says, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--no-open-page", *flags]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
