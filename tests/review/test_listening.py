"""What models hear: once, first what is looked at, and never again what they heard before."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import noise
from review_desk import Opened, Told, data_of, until, write_set

from moontune.errors import UserError
from moontune.review.listening import EndedError, ModelListener
from moontune.web.model_sources import ModelSource

TEXTS = ("one", "two", "three", "four", "five", "six")


def test_a_second_start_hears_nothing_again(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    first, second = Told(TEXTS), Told(TEXTS)
    with Opened(data_of(manifest), first) as opened:
        opened.heard()
    assert sorted(first.calls) == [10, 11, 12, 13, 14, 15]
    with open(manifest.parent / "review.heard.jsonl", "ab") as stream:
        stream.write(b'{"model": "told-ba')  # a kill
    with Opened(data_of(manifest), second) as opened:
        opened.heard()
        assert [h.text for h in opened.desk.listening.heard(opened.keys[2])] == ["three"]
    assert second.calls == []
    (tmp_path / "audio/c1.flac").write_bytes((tmp_path / "audio/c5.flac").read_bytes())
    with Opened(data_of(manifest), second) as opened:
        opened.heard()
        assert [h.text for h in opened.desk.listening.heard(opened.keys[1])] == ["six"]
    assert second.calls == [15]  # its sound is another


def test_what_is_looked_at_is_heard_first_and_by_all(tmp_path: Path) -> None:
    base, tuned = Told(TEXTS, hold=True), Told(TEXTS, "tuned")
    with Opened(data_of(write_set(tmp_path, TEXTS)), base, tuned) as opened:
        opened.desk.listening.want(opened.keys[4])
        base.may.set()
        opened.heard()
        assert [h.name for h in opened.desk.listening.heard(opened.keys[0])] == ["base", "tuned"]
    assert (base.calls[0], tuned.calls[0]) == (14, 14)
    assert len(base.calls) == len(tuned.calls) == 6


def test_parts_are_heard_too(tmp_path: Path) -> None:
    base = Told(TEXTS)
    with Opened(data_of(write_set(tmp_path, TEXTS)), base) as opened:
        opened.heard()
        opened.review.split(opened.keys[5], 0.6, 1.5, ("s", "ix"))
        part = opened.review.clips()[5]
        opened.desk.listening.want(part.key)
        until(lambda: opened.desk.listening.heard(part.key))
    assert 6 in base.calls


def test_what_a_run_knows_is_not_heard_again(tmp_path: Path) -> None:
    base = Told(TEXTS)
    known = {f"c{i}": "known" for i in range(5)}
    with Opened(data_of(write_set(tmp_path, TEXTS), transcripts=known), base) as opened:
        opened.heard()
        texts = [opened.desk.listening.heard(key)[0].text for key in opened.keys]
    assert texts == ["known"] * 5 + ["six"]
    assert base.calls == [15]


def test_a_clip_that_cannot_be_heard_stops_nothing(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    (tmp_path / "audio/c2.flac").write_bytes(b"no sound")
    (tmp_path / "audio/c3.flac").unlink()
    base = Told(TEXTS)
    with Opened(data_of(manifest), base) as opened:
        opened.heard()
        assert set(opened.desk.listening.faults) == {opened.keys[2], opened.keys[3]}
    assert sorted(base.calls) == [10, 11, 14, 15]


def test_a_model_that_cannot_be_loaded_is_told_and_the_review_goes_on(tmp_path: Path) -> None:
    class Broken(Told):
        def __call__(self, clips):
            raise UserError("no such model; give another --model x")

    with Opened(data_of(write_set(tmp_path, TEXTS)), Broken(TEXTS)) as opened:
        opened.heard()
        error = opened.desk.listening.progress().error
        assert error == "no such model; give another --model-id x"
        opened.review.decide(opened.keys[0], "drop")
        assert len(opened.write()) == 5


def test_the_end_waits_for_what_is_being_heard(tmp_path: Path) -> None:
    """A process that ends while a library computes is aborted."""
    base = Told(TEXTS, hold=True)
    with Opened(data_of(write_set(tmp_path, TEXTS)), base) as opened:
        listening = opened.desk.listening
        listening.start()
        listening.end()
        assert not listening._thread.is_alive()
        assert len(base.calls) <= base.together


def test_a_model_that_is_told_to_end_breaks_off(tiny_model: Path) -> None:
    listener = ModelListener(ModelSource("base", str(tiny_model)), "cpu", "greedy")
    listener.end()
    with pytest.raises(EndedError):
        listener([noise(1, 1.0)])
