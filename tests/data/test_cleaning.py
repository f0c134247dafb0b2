from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
from builders import noise

from moontune.config.schema import CleanConfig
from moontune.data import cleaning
from moontune.data.audio import write_flac
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance


def test_every_unusable_row_is_dropped_with_its_reason(tmp_path: Path) -> None:
    write_flac(tmp_path / "good.flac", noise(1, 1.0))
    write_flac(tmp_path / "short.flac", noise(1, 0.2))
    write_flac(tmp_path / "long.flac", noise(1, 3.0))
    write_flac(tmp_path / "silent.flac", np.zeros(16_000, "float32"))
    whole = (tmp_path / "good.flac").read_bytes()
    (tmp_path / "broken.flac").write_bytes(b"fLaC" + whole[4:40])
    soundfile.write(tmp_path / "48k.wav", np.tile(noise(2, 1.0), 3), 48_000)
    texts = {
        "good": "Two words.",
        "48k": "Two words.",
        "short": "Two words.",
        "long": "Two words.",
        "silent": "Two words.",
        "broken": "Two words.",
        "missing": "Two words.",
        "nothing": "",
        "marks": "?! ...",
        "toomuch": "words " * 20,
    }
    files = {"nothing": "good", "marks": "good", "toomuch": "good"}
    rows = [
        Utterance(
            name,
            tmp_path / f"{files.get(name, name)}{'.wav' if name == '48k' else '.flac'}",
            text,
            None,
            "s",
            where="my.jsonl:7" if name == "missing" else None,
        )
        for name, text in texts.items()
    ]
    done = clean(rows, CleanConfig(max_duration_s=2.0))
    assert {u.id for u in done.utterances} == {"good", "48k"}
    assert [u.duration for u in done.utterances] == [1.0, 1.0]
    assert {d.id: d.reason for d in done.dropped} == {
        "short": "too short",
        "long": "too long",
        "silent": "silent",
        "broken": "unreadable",
        "missing": "unreadable",
        "nothing": "empty text",
        "marks": "empty text",
        "toomuch": "too much text for the audio",
    }
    assert {d.where for d in done.dropped} >= {"my.jsonl:7", str(tmp_path / "short.flac")}
    assert all(d.detail for d in done.dropped)
    assert set(done.audio_sha256) == {"good", "48k"}


def test_silence_is_kept_where_it_is_the_point(tmp_path: Path) -> None:
    write_flac(tmp_path / "silent.flac", np.zeros(16_000, "float32"))
    row = Utterance("a", tmp_path / "silent.flac", "Nothing.", None, "s")
    assert clean([row], CleanConfig(), keep_silence=True).utterances[0].id == "a"


def rows_of_one_recording(folder: Path, **texts: str) -> list[Utterance]:
    """Of copies of one recording, by the manifest and line they are in."""
    write_flac(folder / "a.flac", noise(1, 1.0))
    write_flac(folder / "b.flac", noise(1, 1.0))
    write_flac(folder / "else.flac", noise(2, 1.0))
    rows = [
        Utterance(
            *(name, folder / f"{'ab'[i % 2]}.flac", text, None, "s"),
            where=f"{name[:-1]}.jsonl:{name[-1]}",
        )
        for i, (name, text) in enumerate(texts.items())
    ]
    other = Utterance(
        "else", folder / "else.flac", "Something else.", None, "s", where="old.jsonl:9"
    )
    return [*rows, other]


def test_a_later_manifest_corrects_an_earlier_one(tmp_path: Path) -> None:
    rows = rows_of_one_recording(tmp_path, old1="Two birds.", old2="Two words.", new1="Two words!")
    done = clean(rows, CleanConfig())
    assert [u.id for u in done.utterances] == ["old2", "new1", "else"]
    (gone,) = done.dropped
    assert (gone.where, gone.id, gone.reason) == ("old.jsonl:1", "old1", "another text")
    assert gone.detail == "the same recording has another text in new.jsonl:1"
    assert done.audio_sha256.keys() == {"old2", "new1", "else"}


def test_of_two_texts_in_one_manifest_neither_is_believed(tmp_path: Path) -> None:
    done = clean(rows_of_one_recording(tmp_path, my1="Two birds.", my2="Two words."), CleanConfig())
    assert [u.id for u in done.utterances] == ["else"]
    assert [(d.where, d.detail.rpartition(" ")[2]) for d in done.dropped] == [
        ("my.jsonl:1", "my.jsonl:2"),
        ("my.jsonl:2", "my.jsonl:1"),
    ]


def test_few_clips_are_read_ahead_and_come_in_order() -> None:
    """A hundred hours would else all wait at once."""
    asked: list[int] = []

    def asking() -> Iterator[Future[int]]:
        for i in range(1000):
            asked.append(i)
            future: Future[int] = Future()
            future.set_result(i)
            yield future

    found = cleaning._in_order(asking())
    assert next(found) == 0
    assert len(asked) < 100
    assert list(found) == list(range(1, 1000))


def test_an_end_in_between_reads_no_clips_that_wait(tmp_path: Path, monkeypatch) -> None:
    write_flac(tmp_path / "a.flac", noise(1, 1.0))
    rows = [Utterance(str(i), tmp_path / "a.flac", "Two words.", None, None) for i in range(200)]
    begun, goes_on = [], Event()
    check = cleaning._check

    def slow(u: Utterance, *more) -> cleaning._Look:
        begun.append(u.id)
        if u.id != "0":
            goes_on.wait(0.2)
        return check(u, *more)

    def stopped(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cleaning, "_check", slow)
    with pytest.raises(KeyboardInterrupt):
        clean(rows, CleanConfig(), progress=stopped)
    assert len(begun) < 20
