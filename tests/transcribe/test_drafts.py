"""`moontune transcribe --draft`: recordings in, clips with transcripts to correct out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.data.manifest import parse_line, read_manifest
from moontune.data.sources.bundled_speech import bundled_recordings
from moontune.errors import UserError
from moontune.models.decoding import Transcript
from moontune.pipeline.run_folder.lock import one_at_a_time
from moontune.system.files import read_jsonl
from moontune.transcribe import recognizer as recognizers
from moontune.transcribe.command import TranscribeArgs, review_words
from moontune.transcribe.recognizer import Recognizer

TEXTS = {"sure": 0.95, "doubtful": 0.2}


@pytest.fixture(scope="module")
def speech(bundled_base) -> np.ndarray:
    """Three seconds of Beckett."""
    return read_audio(bundled_recordings()[0][0])[: 3 * SAMPLE_RATE_HZ]


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: np.ndarray) -> list[Any]:
    """in/sure.wav and in/doubtful.wav, and a model that says how sure it is; what it was opened
    with."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    soundfile.write("in/sure.wav", speech, SAMPLE_RATE_HZ)
    soundfile.write("in/doubtful.wav", speech[:-4000], SAMPLE_RATE_HZ)
    opened: list[Any] = []

    def hear(clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        found = []
        for clip in clips:
            name = "sure" if len(clip) == len(speech) else "doubtful"
            said = f"what was {name}"
            found.append(Transcript(said, [5, 2], False, confidences=(TEXTS[name],) * 3))
        return found

    def opens(*given: Any, **more: Any) -> Recognizer:
        opened.append(more["decoding"])
        return Recognizer(given[0], "model", "cpu", TokenCap(6.5, 8), None, hear)

    monkeypatch.setattr(recognizers, "open_recognizer", opens)
    return opened


def test_drafts_are_clips_with_their_confidences_the_doubtful_first(recordings, capsys) -> None:
    assert main(["transcribe", "in", "--draft", "out"]) == 0
    assert recordings == ["consensus"]
    rows = read_jsonl(Path("out/manifest.jsonl"))
    assert [row["text"] for row in rows] == ["what was doubtful", "what was sure"]
    assert [row["confidences"] for row in rows] == [[0.2] * 3, [0.95] * 3]
    assert rows[0]["priority"] > rows[1]["priority"]
    assert all(row["draft"] is True for row in rows)
    heard = read_audio(Path("out") / rows[1]["audio_filepath"])
    assert np.abs(heard - read_audio(Path("in/sure.wav"))).max() < 1e-4
    assert Path(rows[1]["source_file"]) == Path("in/sure.wav").resolve()
    assert not Path("out/unranked.jsonl").exists()
    out, err = capsys.readouterr()
    assert "written: 2 drafts, 0.1 minutes: out/manifest.jsonl" in out
    assert "moontune review out" in err


def test_no_training_takes_what_nobody_has_read(recordings, capsys) -> None:
    main(["transcribe", "in", "--draft", "out"])
    with pytest.raises(UserError, match="nobody has read it; correct it with moontune review"):
        read_manifest(Path("out/manifest.jsonl"))
    rows = read_jsonl(Path("out/manifest.jsonl"))
    rows[0]["draft"] = False
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    Path("out/read.jsonl").write_text(lines)
    utterances, bad = read_manifest(Path("out/read.jsonl"))
    assert [u.text for u in utterances] == ["what was doubtful"]
    assert [row.reason for row in bad] == ["draft"]


def test_silence_leaves_no_folder(recordings, capsys) -> None:
    soundfile.write("in/silence.wav", np.zeros(3 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert main(["transcribe", "in/silence.wav", "--draft", "out"]) == 0
    assert "1 recording in which no words were heard" in capsys.readouterr().err
    assert not Path("out").exists()


def test_words_that_are_known_come_later(recordings) -> None:
    known = {"audio_filepath": "in/sure.wav", "text": "What was doubtful and sure?"}
    Path("known.jsonl").write_text(json.dumps(known) + "\n")
    main(["transcribe", "in", "--draft", "all"])
    main(["transcribe", "in", "--draft", "new", "--known", "known.jsonl"])
    worth = [
        [row["priority"] for row in read_jsonl(Path(f"{n}/manifest.jsonl"))] for n in ("all", "new")
    ]
    assert worth[1][0] < worth[0][0]


def test_recordings_are_added_and_the_rows_before_stay(recordings, speech, capsys) -> None:
    main(["transcribe", "in/sure.wav", "--draft", "out"])
    before = Path("out/manifest.jsonl").read_bytes()
    assert main(["transcribe", "in", "--draft", "out"]) == 2
    assert "--draft out: is there already" in capsys.readouterr().err
    assert Path("out/manifest.jsonl").read_bytes() == before
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    after = Path("out/manifest.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(after.splitlines()) == 2
    assert "1 recording skipped" in capsys.readouterr().err
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert Path("out/manifest.jsonl").read_bytes() == after


def test_what_an_earlier_start_heard_is_not_lost(recordings, capsys) -> None:
    """The process was killed between two recordings, and in the middle of a line."""
    main(["transcribe", "in/sure.wav", "--draft", "out"])
    rows = read_jsonl(Path("out/manifest.jsonl"))
    Path("out/manifest.jsonl").unlink()
    Path("out/unranked.jsonl").write_text(json.dumps(rows) + "\n" + '[{"audio_filep')
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert len(read_jsonl(Path("out/manifest.jsonl"))) == 2
    assert "1 recording skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--format", "srt"], "--format writes transcripts; drop one"),
        (["--output-dir", "x"], "--output-dir writes transcripts; drop one"),
        (["--decoding", "greedy"], "drop --decoding greedy"),
    ],
)
def test_flags_that_drafts_cannot_follow_are_refused(recordings, capsys, flags, says) -> None:
    assert main(["transcribe", "in", "--draft", "out", *flags]) == 2
    assert says in capsys.readouterr().err
    assert not Path("out").exists()


def test_known_is_for_drafts_alone(recordings, capsys) -> None:
    assert main(["transcribe", "in", "--known", "known.jsonl"]) == 2
    assert "--known is for the order of drafts" in capsys.readouterr().err


def test_recordings_of_one_name_do_not_take_each_others_sound(recordings, speech) -> None:
    Path("other").mkdir()
    soundfile.write("other/SURE.wav", speech[:-4000], SAMPLE_RATE_HZ)
    main(["transcribe", "in/sure.wav", "--draft", "out"])
    main(["transcribe", "other", "--draft", "out", "--skip-existing"])
    rows = read_jsonl(Path("out/manifest.jsonl"))
    lengths = [len(read_audio(Path("out") / row["audio_filepath"])) for row in rows]
    assert lengths == [len(speech), len(speech) - 4000]
    assert len({row["id"].casefold() for row in rows}) == 2


def test_drafts_among_the_recordings_are_not_drafted_again(recordings) -> None:
    main(["transcribe", ".", "--draft", "out"])
    before = Path("out/manifest.jsonl").read_bytes()
    assert main(["transcribe", ".", "--draft", "out", "--skip-existing"]) == 0
    assert Path("out/manifest.jsonl").read_bytes() == before


def test_a_kill_around_the_last_line_neither_loses_nor_doubles_drafts(recordings) -> None:
    main(["transcribe", "in", "--draft", "out"])
    manifest, unranked = Path("out/manifest.jsonl"), Path("out/unranked.jsonl")
    rows = read_jsonl(manifest)
    line = json.dumps(rows).encode() + b"\n"
    unranked.write_bytes(line)  # after the manifest, before this file was removed
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert read_jsonl(manifest) == rows
    assert not unranked.exists()
    manifest.unlink()
    unranked.write_bytes(line)  # after the last recording, before the manifest
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert len(read_jsonl(manifest)) == 2


def test_a_character_that_a_kill_cut_in_two_costs_its_recording_alone(recordings) -> None:
    Path("out").mkdir()
    Path("out/unranked.jsonl").write_bytes('[{"text": "é'.encode()[:-1])
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert len(read_jsonl(Path("out/manifest.jsonl"))) == 2


def test_one_process_at_a_time_adds_drafts(recordings, capsys) -> None:
    main(["transcribe", "in/sure.wav", "--draft", "out"])
    with one_at_a_time(Path("out"), "wait"):
        assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 2
    assert "works on it; wait for it to end, or name another folder" in capsys.readouterr().err


def test_what_is_said_of_a_damaged_recording_is_so(recordings, speech, capsys) -> None:
    pauses = np.zeros(SAMPLE_RATE_HZ, np.float32)
    soundfile.write("in/cut.flac", np.concatenate([speech, pauses] * 30), SAMPLE_RATE_HZ)
    whole = Path("in/cut.flac").read_bytes()
    Path("in/cut.flac").write_bytes(whole[: len(whole) * 2 // 3])
    assert main(["transcribe", "in", "--draft", "out"]) == 2
    assert "nothing is kept" in capsys.readouterr().err
    assert len(read_jsonl(Path("out/manifest.jsonl"))) == 2


def test_recordings_in_which_nothing_was_heard_are_not_heard_again(recordings, capsys) -> None:
    soundfile.write("in/silence.wav", np.zeros(3 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    main(["transcribe", "in", "--draft", "out"])
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert "3 recordings skipped" in capsys.readouterr().err


def test_a_recording_may_have_any_name(recordings) -> None:
    for name in ("caf\udce9", "new\nline", "x" * 250):
        with suppress(OSError):  # a file system that has no such names
            shutil.copy("in/sure.wav", f"in/{name}.wav")
    assert main(["transcribe", "in", "--draft", "out"]) == 0
    rows = [parse_line(line, Path("out").resolve(), "x") for line in lines_of("out")]
    assert len(rows) == len(list(Path("in").iterdir()))
    assert all(row.audio_filepath.is_file() for row in rows)
    before = lines_of("out")
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert lines_of("out") == before


def lines_of(folder: str) -> list[bytes]:
    return Path(folder, "manifest.jsonl").read_bytes().splitlines()


def test_rows_that_others_wrote_stay_as_they_are(recordings, capsys) -> None:
    """So that what was decided on them in a review still is."""
    Path("out").mkdir()
    theirs = b'{ "audio":"a.wav", "text":"caf\\u00e9", "n":1.50 }'
    Path("out/manifest.jsonl").write_bytes(theirs)
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 0
    assert lines_of("out")[0] == theirs
    assert len(lines_of("out")) == 3
    Path("out/manifest.jsonl").write_bytes(b"[" + theirs + b"]")
    assert main(["transcribe", "in", "--draft", "out", "--skip-existing"]) == 2
    assert "rows cannot be added to it" in capsys.readouterr().err


def test_a_recording_without_a_name_is_not_taken_for_one_of_before(capsys) -> None:
    assert main(["transcribe", "-", "--draft", "out", "--skip-existing"]) == 2
    assert "standard input has no name" in capsys.readouterr().err
    assert not Path("out").exists()


def test_drafts_are_corrected_with_who_listened_to_them(finished_run, tiny_model) -> None:
    def words(**more: Any) -> str:
        return " ".join(review_words(TranscribeArgs(("a.wav",), draft=Path("out"), **more)))

    run = str(finished_run[0] / "outputs/r")
    assert words() == "out"
    assert words(model=run) == f"out --model {run}"
    told = words(model=str(tiny_model), language="ja")
    assert told == f"out --model-id {tiny_model} --language ja"
