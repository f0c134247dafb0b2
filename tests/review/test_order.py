"""Which clip is shown first, and that none moves that was shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from review_desk import Opened, Told, data_of, rows_of, write_set

from moontune.review.clips import Clip
from moontune.review.order import Order, Wanted, suspicion

TEXTS = ("a cat sat on the mat", "birds sing", "no", "a cat sat on the mat", "rain fell")
HEARD = ("a cat sat on the mat", "birds sang", "yes", "twenty men went to mow", "rain fell")


def ids(clips: list[Clip]) -> list[str]:
    return [clip.utterance.id for clip in clips]


def test_another_text_is_more_suspicious_than_another_word() -> None:
    swapped = suspicion("a cat sat on the mat", ["twenty men went to mow"])
    one_of_two, one_alone = suspicion("birds sing", ["birds sang"]), suspicion("no", ["yes"])
    few, loop = (
        suspicion("a cat sat on the mat", ["a cat sat on a mat"]),
        suspicion("no", ["no " * 9]),
    )
    assert swapped
    assert one_of_two
    assert one_alone
    assert few
    assert loop
    assert 1 >= loop > swapped > one_alone > one_of_two > few > 0
    assert suspicion("It's Twenty-one, um!", ["it is 21"]) == 0
    assert suspicion("birds sing", []) is None
    assert suspicion("", ["words were said here"]) == suspicion("words were said here", [""])
    assert suspicion("no", ["yes", "no"]) == pytest.approx(one_alone / 2)


def test_the_most_suspicious_come_first_and_the_unheard_last(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    listener = Told(HEARD, hold=True)
    with Opened(data_of(manifest), listener) as opened:
        order = opened.desk.order
        assert ids(order.clips()) == ["c0", "c1", "c2", "c3", "c4"]  # nothing is heard yet
        listener.may.set()
        assert ids(opened.heard().desk.order.clips()) == ["c3", "c2", "c1", "c0", "c4"]
    with Opened(data_of(manifest), Told(HEARD), by="as-is") as opened:
        assert ids(opened.heard().desk.order.clips()) == ["c0", "c1", "c2", "c3", "c4"]


def test_what_was_shown_or_decided_keeps_its_place(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    listener = Told(HEARD, hold=True)
    with Opened(data_of(manifest), listener) as opened:
        order, keys = opened.desk.order, opened.keys
        order.settle(keys[0])
        order.settle(keys[1])
        opened.review.decide(keys[0], "keep")
        listener.may.set()
        opened.heard()
        assert ids(order.clips()) == ["c0", "c1", "c3", "c2", "c4"]
        following = order.step(keys[1], "open", Wanted())
        assert following is not None
        assert following.utterance.id == "c3"
    with Opened(data_of(manifest), Told(HEARD)) as opened:  # what was decided, at the next start
        assert ids(opened.heard().desk.order.clips()) == ["c0", "c3", "c2", "c1", "c4"]


def test_drafts_come_first_by_their_priority_and_suspects_of_a_run_next(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    rows = rows_of(manifest)
    rows[0] |= {"draft": True, "priority": 1}
    rows[4] |= {"draft": True, "priority": 7.5}
    rows[1] |= {"draft": "yes", "priority": 99}  # no draft
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = data_of(manifest, suspects=frozenset({"c2"}))
    with Opened(data, Told(HEARD)) as opened:
        assert ids(opened.heard().desk.order.clips()) == ["c4", "c0", "c2", "c3", "c1"]


def test_filters_and_search(tmp_path: Path) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS)), by="as-is") as opened:
        a, b, c, *_ = opened.keys
        opened.review.decide(a, "keep")
        opened.review.decide(b, "keep", "Birds SANG")
        opened.review.decide(c, "drop")
        order = opened.desk.order
        assert ids(order.clips(Wanted("open"))) == ["c3", "c4"]
        assert ids(order.clips(Wanted("changed"))) == ["c1"]
        assert ids(order.clips(Wanted("dropped"))) == ["c2"]
        assert ids(order.clips(Wanted(search="sang"))) == ["c1"]
        assert ids(order.clips(Wanted(search="SING"))) == ["c1"]  # as it was, too
        assert ids(order.clips(Wanted("open", "CAT"))) == ["c3"]


def test_steps_go_back_and_forth_and_to_what_is_open(tmp_path: Path) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS)), by="as-is") as opened:
        order, keys = opened.desk.order, opened.keys

        def to(key: str, step: str, wanted: Wanted | None = None) -> str | None:
            clip = order.step(key, step, wanted or Wanted())
            return None if clip is None else clip.utterance.id

        assert (to("", "open"), to(keys[0], "previous"), to(keys[4], "next")) == ("c0", None, None)
        opened.review.decide(keys[1], "keep")
        assert (to(keys[0], "next"), to(keys[0], "open")) == ("c1", "c2")
        assert to(keys[1], "next", Wanted("open")) == "c2"  # it is not in its own list any more
        assert to(keys[4], "open") == "c0"  # round again
        assert to(keys[0], "open", Wanted(search="rain")) == "c4"
        for key in keys:
            opened.review.decide(key, "keep")
        assert to(keys[2], "open") is None


def test_parts_take_the_place_of_the_whole(tmp_path: Path) -> None:
    with Opened(data_of(write_set(tmp_path, TEXTS)), Told(HEARD)) as opened:
        opened.heard()
        order: Order = opened.desk.order
        order.settle(opened.keys[3])
        order.settle(opened.keys[2])
        opened.review.split(opened.keys[3], 0.5, 1.3, ("a cat", "sat on the mat"))
        assert ids(order.clips())[:4] == ["c3a", "c3b", "c2", "c1"]
