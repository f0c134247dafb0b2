"""Taking every piece that differs makes the transcript what was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moontune.languages.table import Language, speaking
from moontune.languages.words import joined_words, written_words
from moontune.review.differences import Piece, differences


def taken(text: str, pieces: list[Piece]) -> str:
    """What the page makes of a text whose pieces are all taken, the last first."""
    words = text.split()
    for piece in reversed(pieces):
        if piece.kind != "same":
            words[piece.first : piece.end] = [] if piece.kind == "missing" else piece.text.split()
    return " ".join(words)


def test_pieces_say_what_differs_and_where() -> None:
    pieces = differences("a Cat sat on mats today", "a cat sits on big mats")
    assert [(p.text, p.kind) for p in pieces] == [
        ("a", "same"),
        ("cat", "style"),
        ("sits", "wrong"),
        ("on", "same"),
        ("big", "extra"),
        ("mats", "same"),
        ("today", "missing"),
    ]
    assert (pieces[2].first, pieces[2].end) == (2, 3)
    assert (pieces[4].first, pieces[4].end) == (4, 4)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("", "a b"),
        ("a b", ""),
        ("I've twenty one men", "I have 21 men, um"),
        ("um, yes", "yes uh"),
        ("it is it is", "it is"),
        ("- so - what -", "so what"),
        ("one hundred and two", "a hundred two"),
    ],
)
def test_all_taken_is_what_was_heard(text: str, heard: str) -> None:
    assert taken(text, differences(text, heard)) == " ".join(heard.split())


WORDS = st.lists(
    st.sampled_from(["a", "I've", "have", "twenty", "one", "21", "um", "Mr.", "-", "no,", "£5"]),
    max_size=8,
).map(" ".join)


@given(WORDS, WORDS)
def test_all_taken_is_what_was_heard_of_any(text: str, heard: str) -> None:
    assert taken(text, differences(text, heard)) == heard


def test_pieces_of_japanese_are_characters_at_their_places() -> None:
    text, heard = "今日は天気がいい。", "昨日は天気が、いい。"
    with speaking(Language("ja")):
        words = written_words(text)
        pieces = differences(text, heard)
        for piece in pieces:
            if piece.kind == "same":
                assert words[piece.first : piece.end] == written_words(piece.text)
        wrong = next(piece for piece in pieces if piece.kind == "wrong")
        words[wrong.first : wrong.end] = [wrong.text]
        assert joined_words(words) == "昨日は天気がいい。"


def test_characters_that_differ_side_by_side_are_taken_as_one() -> None:
    with speaking(Language("ja")):
        pieces = differences("駅はどこですか？", "駅まではどこでしょうか？")
        assert [(p.text, p.kind, p.first, p.end) for p in pieces if p.kind != "same"] == [
            ("まで", "extra", 1, 1),
            ("しょう", "wrong", 5, 6),
        ]
        [gone] = [p for p in differences("明日の朝に行く", "明日行く") if p.kind != "same"]
        assert (gone.text, gone.kind, gone.first, gone.end) == ("の朝に", "missing", 2, 5)


JAPANESE = st.lists(
    st.sampled_from(["今日", "は", "、", "Windows", "11", "寒い。", "」"]), max_size=7
)


@given(JAPANESE, JAPANESE)
def test_all_characters_taken_is_what_was_heard(text: list[str], heard: list[str]) -> None:
    with speaking(Language("ja")):
        one, other = joined_words(text), joined_words(heard)
        words = written_words(one)
        for p in reversed(differences(one, other)):
            if p.kind != "same":
                words[p.first : p.end] = [] if p.kind == "missing" else written_words(p.text)
        assert joined_words(words) == joined_words(written_words(other))
