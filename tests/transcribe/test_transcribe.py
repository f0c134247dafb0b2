"""`moontune transcribe`: files in, text out."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    AudioError,
    audio_blocks,
    header_duration_s,
    read_audio,
)
from moontune.data.sources.bundled_speech import bundled_recordings
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.languages.table import Language
from moontune.models.confidence.calibration import Calibration
from moontune.models.decoding import TimedWord, Transcript
from moontune.models.key_terms.weighing import KeyTerms
from moontune.transcribe import recognizer as recognizers
from moontune.transcribe.command import TranscribeArgs, transcribe_files
from moontune.transcribe.long_form import loops, transcribe_long
from moontune.transcribe.recognizer import Recognizer
from moontune.transcribe.recordings import find_recordings

CAP = TokenCap(6.5, 8)


@pytest.fixture(scope="module")
def speech(bundled_base) -> np.ndarray:
    """Ten seconds of Beckett."""
    return read_audio(bundled_recordings()[0][0])


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, speech) -> Path:
    """10 s, 10 s in a folder, 73 s with pauses."""
    made = tmp_path_factory.mktemp("in")
    long = np.concatenate([np.pad(speech, (0, 4 * SAMPLE_RATE_HZ))] * 5)
    (made / "deep").mkdir()
    soundfile.write(made / "a.wav", speech, SAMPLE_RATE_HZ)
    soundfile.write(made / "deep/b.flac", speech, SAMPLE_RATE_HZ)
    soundfile.write(made / "long.ogg", long, SAMPLE_RATE_HZ)
    return made


@pytest.fixture
def folder(tmp_path, monkeypatch, recordings) -> Path:
    """The three recordings in a folder `in`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recordings, "in")
    return tmp_path


@pytest.fixture
def fake(monkeypatch) -> SimpleNamespace:
    """A recognizer that says how long each clip is; `calls` counts, `stop_at` interrupts."""
    state = SimpleNamespace(calls=0, stop_at=None, text=None)

    def hear(clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        state.calls += 1
        if state.calls == state.stop_at:
            raise KeyboardInterrupt
        texts = [state.text or f"heard {len(c) / 16_000:.1f}" for c in clips]
        return [Transcript(text, [5, 2], False) for text in texts]

    state.hear = hear
    monkeypatch.setattr(
        recognizers,
        "open_recognizer",
        lambda *a, **_: Recognizer(a[0], "model", "cpu", CAP, None, hear),
    )
    return state


# Reading


@pytest.mark.parametrize(
    ("suffix", "rate", "channels"),
    [("wav", 8_000, 1), ("flac", 48_000, 2), ("mp3", 44_100, 2), ("ogg", 22_050, 1)],
)
def test_blocks_are_the_file(tmp_path, suffix, rate, channels) -> None:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(int(25.3 * rate)) * 2 * np.pi * 440 / rate)
    sound = 0.3 * wave[:, None] * rng.uniform(0.5, 1, channels)
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, sound.astype(np.float32), rate)
    whole = read_audio(path)
    blocks = list(audio_blocks(path))
    assert len(blocks) >= 3
    assert max(map(len, blocks)) <= 11 * SAMPLE_RATE_HZ
    streamed = np.concatenate(blocks)
    assert abs(len(streamed) - len(whole)) <= 1
    size = min(len(streamed), len(whole))
    assert np.abs(streamed[:size] - whole[:size]).max() < 1e-3
    assert abs(header_duration_s(path) - len(whole) / SAMPLE_RATE_HZ) < 0.1
    with open(path, "rb") as stream:
        assert np.array_equal(np.concatenate(list(audio_blocks(stream))), streamed)


def test_what_cannot_be_read_says_why(tmp_path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    for name, why in (
        ("text.wav", "cannot be decoded"),
        ("empty.wav", "holds no samples"),
        ("nan.wav", "NaN"),
        ("none.wav", "no such file"),
        (".", "is a folder"),
    ):
        with pytest.raises(AudioError, match=why):
            list(audio_blocks(tmp_path / name))


# Names


def test_names_that_collide_take_their_folders_then_their_suffix(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("x/a.wav", "y/a.wav", "x/b.wav", "x/b.mp3", "x/c.v1.wav", "x/.hidden.wav", "x/n.txt")
    for name in files:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    found = find_recordings(["x", "y/a.wav", "x/a.wav", "-"])
    stems = {r.shown: r.stem for r in found}
    assert stems == {
        "x/a.wav": "x/a",
        "x/b.mp3": "x/b.mp3",
        "x/b.wav": "x/b.wav",
        "x/c.v1.wav": "c.v1",
        "y/a.wav": "y/a",
        "-": "stdin",
    }


# Loops


def test_files_of_kinds_that_are_not_read_are_not_passed_over_in_silence(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    for name in ("a.avi", "b.MTS", "notes.txt"):
        Path("x", name).touch()
    assert main(["transcribe", "x"]) == 2
    assert "holds no audio but 2 files that are not read, as x/a.avi" in capsys.readouterr().err
    Path("x/c.wav").touch()
    assert main(["transcribe", "x"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("moontune: passed over: 2 files that are not read, as x/a.avi")


def test_names_that_lead_nowhere_are_told_when_they_are_read(tmp_path, monkeypatch, capsys) -> None:
    """A link to itself, a home of nobody's, and a name that looks like a flag."""
    monkeypatch.chdir(tmp_path)
    Path("loop.wav").symlink_to("loop.wav")
    assert [r.shown for r in find_recordings(["loop.wav", "~nobody/a.wav"])] == [
        "loop.wav",
        "~nobody/a.wav",
    ]
    assert main(["transcribe", "loop.wav", "~nobody/a.wav"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("moontune: loop.wav: cannot be opened")
    assert told[1] == "moontune: ~nobody/a.wav: no such file"
    assert main(["transcribe", "https://example.org/a.wav"]) == 2
    assert "a.wav: is an address; download the recording" in capsys.readouterr().err
    Path("-1st.wav").touch()
    assert main(["transcribe", "-1st.wav"]) == 2
    assert "to name the file, write ./-1st.wav" in capsys.readouterr().err


def test_a_loop_is_told_from_speech() -> None:
    assert loops([7, 8, 9] + [4, 5, 6] * 5)
    assert loops([3] * 12)
    assert loops([1, 2] + list(range(10, 40)) * 3 + [10, 11])
    assert not loops([1, 2, 3, 4] * 2)
    assert not loops([9] * 5 + list(range(40)))
    assert not loops([])


def test_a_segment_that_loops_is_transcribed_again_in_halves(speech) -> None:
    def hear(clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        return [
            Transcript("la " * 20, [3] * 30, True)
            if len(c) > 8 * SAMPLE_RATE_HZ
            else Transcript("word", [4, 2], False)
            for c in clips
        ]

    found = transcribe_long(speech, hear, CAP)
    assert [s.text for s in found] == ["word", "word"]
    assert all(s.again and not s.truncated for s in found)
    assert found[0].segment.end == found[1].segment.start


# The command


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_one_file_is_printed_and_the_rest_goes_to_stderr(folder, speech, fake, capsys) -> None:
    assert main(["transcribe", "in/a.wav"]) == 0
    out, err = capsys.readouterr()
    assert out == f"heard {len(speech) / SAMPLE_RATE_HZ:.1f}\n"
    assert "10" in err
    assert "on cpu: RTF" in err


def test_several_files_of_a_folder_in_order_under_their_names(folder, fake, capsys) -> None:
    assert main(["transcribe", "in"]) == 0
    out = capsys.readouterr().out
    heads = [line for line in out.splitlines() if line.startswith("==>")]
    assert heads == [f"==> in/{name} <==" for name in ("a.wav", "deep/b.flac", "long.ogg")]
    assert fake.calls == 2  # segments of several files together; first a short window
    assert out.count("heard") == 1 + 1 + 5


def test_files_of_every_format_with_times(folder, fake, capsys) -> None:
    forms = [word for form in ("text", "jsonl", "srt", "vtt") for word in ("--format", form)]
    assert main(["transcribe", "in", "--output-dir", "out", *forms]) == 0
    assert capsys.readouterr().out == ""
    made = sorted(str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file())
    stems = ("a", "deep/b", "long")
    assert made == sorted(f"{s}.{x}" for s in stems for x in ("txt", "jsonl", "srt", "vtt"))
    rows = lines("out/long.jsonl")
    assert {r["file"] for r in rows} == {"in/long.ogg"}
    assert rows[0].keys() == {"file", "start_s", "end_s", "text", "tokens", "truncated", "model"}
    times = [t for r in rows for t in (r["start_s"], r["end_s"])]
    assert times == sorted(times)
    assert Path("out/long.txt").read_text() == "".join(r["text"] + "\n" for r in rows)
    said = [line for line in Path("out/long.srt").read_text().split("\n") if line]
    shown = " ".join(line for line in said if "-->" not in line and not line.isdecimal())
    assert shown == " ".join(r["text"] for r in rows)
    assert Path("out/long.vtt").read_text().startswith("WEBVTT\n\n00:00:00.")


def test_words_of_a_consensus_have_confidences_in_json_lines_alone(
    folder, monkeypatch, capsys
) -> None:
    """Joined with their times, or without where the model tells none."""
    timed = (TimedWord("heard", 0.0, 0.4, 0.97449), TimedWord("you", 0.4, 0.6, 0.31))

    def hear(clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        sure = (0.97449, 0.31)
        return [Transcript("heard you", [5, 2], False, words, None, sure) for _ in clips]

    words: tuple[TimedWord, ...] | None = timed
    calibration = Calibration()
    monkeypatch.setattr(
        recognizers,
        "open_recognizer",
        lambda *a, **_: Recognizer(a[0], "model", "cpu", CAP, None, hear, calibration=calibration),
    )

    def shown(form: str) -> tuple[str, str]:
        asked = ["--format", form, "--decoding", "consensus"]
        assert main(["transcribe", "in/a.wav", *asked]) == 0
        return capsys.readouterr()

    out, told = shown("jsonl")
    assert "note: confidences of words are not calibrated on your voice" in told
    found = [(w["word"], w["confidence"]) for w in json.loads(out)["words"]]
    assert found == [("heard", 0.974), ("you", 0.31)]
    assert json.loads(out)["words"][1].keys() == {"word", "start_s", "end_s", "confidence"}
    words = None
    assert json.loads(shown("jsonl")[0])["words"][1] == {"word": "you", "confidence": 0.31}
    assert shown("text")[0] == "heard you\n"
    assert "calibrated" not in shown("text")[1]
    calibration = Calibration(own=True)
    assert "calibrated" not in shown("jsonl")[1]


def test_standard_input(folder, fake, capsys, monkeypatch) -> None:
    data = Path("in/deep/b.flac").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert main(["transcribe", "-", "--format", "jsonl"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["file"] == "-"


def test_silence_gives_no_text_and_is_counted(tmp_path, monkeypatch, fake, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("quiet.wav", np.zeros(40 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert main(["transcribe", "quiet.wav", "--output-dir", "o", "--format", "srt"]) == 0
    assert Path("o/quiet.srt").read_text() == ""
    assert fake.calls == 0
    assert "1 recording in which no words were heard" in capsys.readouterr().err


def test_a_sound_of_which_nothing_is_written_is_counted_too(folder, fake, capsys) -> None:
    """The command would end without a word otherwise."""
    fake.text = " "
    assert main(["transcribe", "in/a.wav"]) == 0
    told = capsys.readouterr()
    assert not told.out.strip()
    assert "1 recording in which no words were heard" in told.err


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(folder, fake, capsys) -> None:
    Path("in/bad.wav").write_text("no sound")
    assert main(["transcribe", "gone.wav", "in", "--output-dir", "out"]) == 2
    err = capsys.readouterr().err
    assert "moontune: gone.wav: no such file\n" in err
    assert "moontune: in/bad.wav: cannot be decoded" in err
    assert "2 recordings failed" in err
    assert {p.name for p in Path("out").glob("*")} == {"a.txt", "deep", "long.txt"}


def test_an_interruption_keeps_what_is_done_and_skip_existing_goes_on(
    folder, fake, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("moontune.transcribe.batching._WINDOW_S", {"cpu": 25.0})
    fake.stop_at = 3
    go = ["transcribe", "in", "--output-dir", "out"]
    assert main(go) == 130
    err = capsys.readouterr().err
    assert "interrupted; 2 of 3 recordings are done; of in/long.ogg the first " in err
    assert " is kept in out/long.partial.txt; go on with" in err
    assert "--skip-existing" in err
    partial = Path("out/long.partial.txt").read_text()
    assert 0 < partial.count("heard") < 5
    assert not Path("out/long.txt").exists()
    fake.stop_at = None
    assert main([*go, "--skip-existing"]) == 0
    assert "2 recordings skipped" in capsys.readouterr().err
    assert Path("out/long.txt").read_text().startswith(partial)
    assert not Path("out/long.partial.txt").exists()


def test_the_first_piece_is_kept_and_shown_before_the_second_is_heard(
    folder, fake, capsys, monkeypatch
) -> None:
    """Where batches are no faster, each piece is transcribed as soon as it is cut."""
    monkeypatch.setattr(
        recognizers,
        "open_recognizer",
        lambda *a, **_: Recognizer(a[0], "onnx", "cpu", CAP, None, fake.hear, one_by_one=True),
    )
    fake.stop_at = 2
    assert main(["transcribe", "in/long.ogg", "--output-dir", "out"]) == 130
    err = capsys.readouterr().err
    assert "0 of 1 recordings are done; of in/long.ogg the first " in err
    assert Path("out/long.partial.txt").read_text().count("heard") == 1


def test_the_bar_is_there_before_the_first_text_and_knows_the_time_left(folder, fake) -> None:
    shown: list[tuple[int, int, int]] = []

    class Ui:
        def progress(self, done: int, wanted: int, what: str) -> None:
            shown.append((done, wanted, fake.calls))

        def __getattr__(self, name: str) -> Any:
            return lambda *given: None

    args = TranscribeArgs(("in/long.ogg",), output_dir=Path("out"))
    transcribe_files(args, Ui(), print, io.StringIO(), io.BytesIO())
    assert shown[0] == (0, shown[0][1], 0)
    assert shown[0][1] > 60
    assert [calls for _, _, calls in shown] == sorted(calls for _, _, calls in shown)
    assert any(0 < done < wanted for done, wanted, _ in shown)


def test_a_short_recording_asks_for_no_gpu(folder, fake, capsys, monkeypatch) -> None:
    devices = []

    def opened(what: str, device: str, *more: object, **_: object) -> Recognizer:
        devices.append(device)
        return Recognizer(what, "model", "cpu", CAP, None, fake.hear)

    monkeypatch.setattr(recognizers, "open_recognizer", opened)
    assert main(["transcribe", "in/a.wav"]) == 0
    assert main(["transcribe", "in/a.wav", "--device", "mps"]) == 0
    monkeypatch.setattr("moontune.transcribe.command._SHORT_S", 5.0)
    assert main(["transcribe", "in/a.wav"]) == 0
    assert devices == ["cpu", "mps", "auto"]


def test_a_failed_file_alone_has_no_figures(folder, capsys) -> None:
    assert main(["transcribe", "gone.wav"]) == 2
    err = capsys.readouterr().err
    assert "RTF" not in err
    assert err.endswith("  1 recording failed\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_what_is_loaded_before_it_is(folder, fake, monkeypatch) -> None:
    err = Terminal()
    told: list[str] = []
    opened = recognizers.open_recognizer

    def slow(*given: Any, **more: Any) -> Recognizer:
        told.append(err.getvalue())
        return opened(*given, **more)

    monkeypatch.setattr(recognizers, "open_recognizer", slow)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["transcribe", "in/a.wav", "--model", "outputs/my"]) == 0
    assert told == ["loading outputs/my ...\r"]
    assert "\x1b[K" in err.getvalue()


def test_a_file_that_breaks_off_keeps_what_came_before(folder, fake, capsys, monkeypatch) -> None:
    def breaking(source: Path) -> Iterator[np.ndarray]:
        for i, block in enumerate(audio_blocks(source)):
            if i == 6:
                raise AudioError("cannot be decoded (broken)")
            yield block

    monkeypatch.setattr("moontune.transcribe.batching.audio_blocks", breaking)
    assert main(["transcribe", "in/long.ogg", "in/a.wav", "--output-dir", "out"]) == 2
    err = capsys.readouterr().err
    assert "moontune: in/long.ogg: cannot be decoded (broken); the first " in err
    assert {p.name for p in Path("out").iterdir()} == {"a.txt", "long.partial.txt"}


def test_of_a_short_file_that_is_cut_off_the_words_that_are_there_are_kept(
    folder, fake, capsys
) -> None:
    """Though its one segment had not ended."""
    whole = Path("in/a.wav").read_bytes()
    Path("in/cut.wav").write_bytes(whole[: len(whole) // 2])
    assert main(["transcribe", "in/cut.wav", "--output-dir", "out"]) == 2
    err = capsys.readouterr().err
    assert "in/cut.wav: is cut off: 50 % of what its header tells; the first " in err
    assert "kept in out/cut.partial.txt" in err
    assert Path("out/cut.partial.txt").read_text().startswith("heard 5.")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_transcribed(
    folder, fake, capsys
) -> None:
    assert main(["transcribe", "in", "--output-dir", "in/a.wav/out"]) == 2
    err = capsys.readouterr().err
    assert "--output-dir in/a.wav/out: cannot be written" in err
    assert err.count("\n") == 1
    assert fake.calls == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "names no recording"),
        (["empty"], "empty: holds no audio"),
        (["in/a.wav", "--format", "srt", "--format", "vtt"], "add --output-dir"),
        (["in", "--format", "srt"], "add --output-dir"),
        (["in", "--format", "srt", "vtt"], "vtt: no such file; as a format it is --format vtt"),
        (["in", "--skip-existing"], "add --output-dir"),
        (["in", "--output-dir", "in/a.wav"], "is a file; name a folder"),
        (["in", "--speech-threshold", "2"], "between 0 and 1"),
        (["in", "--tokens-per-second", "0"], "tokens_per_second"),
        (["in", "--format", "doc"], "--format"),
        (["in", "--model", "./nothing"], "no such folder; give a run"),
    ],
)
def test_mistakes_have_one_line(folder, capsys, argv, message) -> None:
    Path("empty").mkdir()
    assert main(["transcribe", *argv]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


# The truth


def test_words_are_timed_where_they_are_spoken(folder, speech, capsys) -> None:
    """The same ten seconds five times, with four seconds of silence between."""
    given = ["transcribe", "in/long.ogg", "--model", "bundled", "--output-dir", "o"]
    assert main([*given, "--format", "jsonl", "--format", "srt"]) == 0
    rows = lines("o/long.jsonl")
    for row in rows:
        assert [w["word"] for w in row["words"]] == row["text"].split()
        edges = [w[edge] for w in row["words"] for edge in ("start_s", "end_s")]
        assert edges == sorted(edges)
        assert row["start_s"] <= edges[0]
        assert edges[-1] <= row["end_s"]
    period = len(speech) / SAMPLE_RATE_HZ + 4
    words = [w for row in rows for w in row["words"]]
    assert not [w for w in words if w["start_s"] % period > len(speech) / SAMPLE_RATE_HZ]
    loud = np.flatnonzero(np.abs(speech) > 0.1 * np.abs(speech).max())[0] / SAMPLE_RATE_HZ
    for i in range(5):
        first = min(w["start_s"] for w in words if w["start_s"] >= i * period)
        assert first - i * period == pytest.approx(loud, abs=0.25)
    subtitles = Path("o/long.srt").read_text()
    starts = {round(1000 * w["start_s"]) for w in words}
    shown = [ms(t.split(" --> ")[0]) for t in subtitles.splitlines() if " --> " in t]
    assert all(any(abs(start - known) <= 1 for known in starts) for start in shown)


def ms(clock: str) -> int:
    hours, minutes, seconds, thousandths = map(int, re.split("[:,]", clock))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def test_text_alone_is_not_decoded_twice(folder, monkeypatch, capsys) -> None:
    from moontune.models.transcriber import Transcriber

    timed = []
    whole = Transcriber.timed
    monkeypatch.setattr(Transcriber, "timed", lambda *a: timed.append(a) or whole(*a))
    assert main(["transcribe", "in/a.wav", "--model", "bundled"]) == 0
    text = capsys.readouterr().out
    assert not timed
    assert main(["transcribe", "in/a.wav", "--model", "bundled", "--format", "vtt"]) == 0
    assert len(timed) == 1
    assert " ".join(text.split()[-3:]) in " ".join(capsys.readouterr().out.split())


def test_a_recording_is_transcribed_as_in_evaluation_and_a_long_one_no_worse(
    folder, speech, bundled_base, capsys
) -> None:
    from moontune.models.transcriber import Transcriber

    transcribe = Transcriber(bundled_base)
    [alone] = transcribe([speech], CAP)
    [said] = transcribe_long(speech, transcribe, CAP)
    assert said.text == alone.text
    audio, text = bundled_recordings()[1]
    found = transcribe_long(read_audio(audio), transcribe, CAP)
    assert len(found) >= 2
    assert not any(s.truncated for s in found)
    wer = corpus_wer([word_edits(text, " ".join(s.text for s in found))])
    assert wer is not None
    assert wer < 0.1


@pytest.mark.slow
def test_ten_minutes_do_not_loop(tmp_path, monkeypatch, capsys, bundled_base) -> None:
    monkeypatch.chdir(tmp_path)
    parts, texts = [], []
    while sum(map(len, parts)) < 600 * SAMPLE_RATE_HZ:
        for audio, text in bundled_recordings():
            parts += [read_audio(audio), np.zeros(2 * SAMPLE_RATE_HZ, np.float32)]
            texts.append(text)
    soundfile.write("long.mp3", np.concatenate(parts), SAMPLE_RATE_HZ)
    given = ["transcribe", "long.mp3", "--model", "bundled", "--format", "jsonl"]
    assert main([*given, "--output-dir", "o"]) == 0
    rows = lines("o/long.jsonl")
    assert not any(r["truncated"] for r in rows)
    assert max(r["end_s"] - r["start_s"] for r in rows) <= 30
    wer = corpus_wer([word_edits(" ".join(texts), " ".join(r["text"] for r in rows))])
    assert wer is not None
    assert wer < 0.1


def test_key_terms_are_given_to_who_listens(folder, fake, capsys, monkeypatch) -> None:
    given: list[KeyTerms | None] = []

    def opened(*_: object, key_terms: KeyTerms | None = None, **more: object) -> Recognizer:
        given.append(key_terms)
        return Recognizer("m", "model", "cpu", CAP, None, fake.hear)

    monkeypatch.setattr(recognizers, "open_recognizer", opened)
    Path("terms.txt").write_text("Drascula | drac ula\n", encoding="utf-8")
    assert main(["transcribe", "in/a.wav"]) == 0
    assert main(["transcribe", "in/a.wav", "--key-terms", "terms.txt"]) == 0
    words = ["transcribe", "in/a.wav", "--key-terms", "terms.txt", "--key-terms-bonus", "3"]
    assert main(words) == 0
    term = KeyTerm("Drascula", ("drac ula",))
    assert given == [None, KeyTerms((term,), 2.0), KeyTerms((term,), 3.0)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--key-terms", "gone.txt"], "--key-terms gone.txt: cannot be read"),
        (["--key-terms-bonus", "3"], "add --key-terms FILE"),
        (["--key-terms", "terms.txt", "--key-terms-bonus", "11"], "give 0 to 10 nats"),
        (["--key-terms", "terms.txt", "--key-terms-bonus", "nan"], "give 0 to 10 nats"),
    ],
)
def test_key_terms_that_cannot_be_are_told_before_anything_is_loaded(
    folder, fake, capsys, words: list[str], says: str
) -> None:
    Path("terms.txt").write_text("Drascula\n", encoding="utf-8")
    assert main(["transcribe", "in/a.wav", *words]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert fake.calls == 0


def test_key_terms_between_words_without_spaces_are_refused(
    folder, fake, capsys, monkeypatch
) -> None:
    def opened(*_: object, **more: object) -> Recognizer:
        return Recognizer("m", "model", "cpu", CAP, None, fake.hear, language=Language("ja"))

    monkeypatch.setattr(recognizers, "open_recognizer", opened)
    Path("terms.txt").write_text("Drascula\n", encoding="utf-8")
    assert main(["transcribe", "in/a.wav", "--key-terms", "terms.txt"]) == 2
    assert "Japanese has no spaces between words" in capsys.readouterr().err
    assert fake.calls == 0


@pytest.mark.parametrize(
    ("content", "words", "told"),
    [
        ("Hoist the jib.", (), "has a say among beams; add --decoding consensus"),
        ("...\n!\n", ("--decoding", "consensus"), "holds no word"),
        (None, ("--decoding", "consensus"), "cannot be read"),
        ("\udcff", ("--decoding", "consensus"), "is not UTF-8 text"),
    ],
)
def test_a_text_of_the_domain_that_cannot_be_used_is_a_line(
    folder, fake, capsys, content, words, told
) -> None:
    if content is not None:
        Path("domain.txt").write_bytes(content.encode("utf-8", "surrogateescape"))
    given = ["transcribe", "in/a.wav", "--domain-text", "domain.txt", *words]
    assert main(given) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not fake.calls
