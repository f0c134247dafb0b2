"""Rare words: which count, and how many of them both models write."""

from __future__ import annotations

import json

import pytest

from moontune.evaluation.key_terms.rare_words import ComparedClips, RareWords, rare_words, words_in
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import prediction_row


def rows(said: list[str], written: list[str]):
    texts = enumerate(zip(said, written, strict=True))
    return [
        prediction_row({"id": str(i), "reference": r, "hypothesis": h, "speaker": f"s{i}"}, "")
        for i, (r, h) in texts
    ]


def found() -> RareWords:
    said = ["The zebra saw a kestrel.", "The zebra saw 17 lemons!", "A lemon, a lemon and a cat"]
    said = said * 4
    before = ["The zebra saw a castle.", "A zebra so lemons!", "A lemon and a cut"] * 4
    after = ["The zebra saw a kestrel.", "Zebra saw lemons!", "A melon, a melon and a cat"] * 4
    texts = ["Zebra zebra zebra.", "The lemon", "Lemon, we saw; saw. I saw"]
    training = words_in(texts)
    parts = [
        ComparedClips(rows(said, before)[:6], rows(said, after)[5::-1], training),
        ComparedClips(rows(said, before)[6:], rows(said, after)[6:], training),
    ]
    return rare_words(parts, 3)


def test_words_that_training_never_had_and_those_it_had_at_most_twice() -> None:
    """Numbers and words like `the` are none; what is said twice counts twice, and each clip by its
    own model's transcript."""
    never, seldom = found().never, found().seldom
    assert (never.words, never.said) == (3, 12)  # kestrel, lemons, cat
    assert never.written == Sides(4, 12)
    assert (never.missed.before, never.missed.after) == pytest.approx((8 / 12, 0))
    assert never.missed.outcome == "better"
    assert (seldom.words, seldom.said) == (4, 20)  # and lemon, had twice; not zebra and saw
    assert seldom.written == Sides(8, 12)


def test_what_a_folds_own_training_had_counts_for_its_clips() -> None:
    one = rows(["a kestrel"], ["a castle"])
    other = rows(["a kestrel"], ["a castle"])
    other[0]["id"] = "x"
    both = [ComparedClips(one, one, words_in(["kestrel"])), ComparedClips(other, other, {})]
    assert rare_words(both, 1).never.said == 1


def test_nothing_rare_is_no_figure() -> None:
    one = rows(["the zebra"], ["the zebra"])
    none = rare_words([ComparedClips(one, one, {"zebra": 9})], 1)
    assert (none.never.said, none.never.missed.measured) == (0, False)
    assert RareWords.from_json(json.loads(json.dumps(none.to_json()))) == none


def test_figures_are_read_back_from_json() -> None:
    assert RareWords.from_json(json.loads(json.dumps(found().to_json()))) == found()
    assert RareWords.from_json(None) is None
