"""What is wrong with texts that are not what is said."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from moontune.data.manifest import Utterance
from moontune.evaluation.screening.mismatch import diagnosis, has_spaces

NOUNS = ("boat", "wind", "bird", "map", "rain", "net", "lamp", "crew", "king", "door")
VERBS = ("sails", "blows", "sings", "shows", "falls", "holds", "burns", "eats", "rules", "opens")
SAID = [
    f"{NOUNS[i % 10]} {VERBS[i * 7 % 10]} near {NOUNS[i * 3 // 10 % 10]}s {i} times"
    for i in range(90)
]
HEARD = {str(i): text.replace("near", "by") for i, text in enumerate(SAID)}


def rows(texts: list[str]) -> list[Utterance]:
    return [Utterance(str(i), Path(str(i)), text, 1.0, None) for i, text in enumerate(texts)]


def mixed(texts: list[str]) -> list[str]:
    texts = list(texts)
    random.Random(1).shuffle(texts)
    return texts


@pytest.mark.parametrize(
    ("texts", "looks_like"),
    [
        (["a heading", *SAID[:-1]], "the row below their audio"),
        ([*SAID[2:], "x", "y"], "2 rows above their audio"),
        (sorted(SAID, key=lambda t: t[::-1]), "beside other clips"),
        (["das Boot segelt bei der Karte und der Wind weht"] * len(SAID), "another language"),
        (["door king opens rain near lamp"] * len(SAID), "or the texts are not"),
    ],
)
def test_it_says_diagnosis(texts: list[str], looks_like: str) -> None:
    assert looks_like in diagnosis(rows(texts), HEARD)


def test_a_base_that_is_known_to_be_english_is_called_that() -> None:
    texts = ["das Boot segelt bei der Karte und der Wind weht"] * len(SAID)
    assert "it knows 11 % of their words" in diagnosis(rows(texts), HEARD)
    assert "English" not in diagnosis(rows(texts), HEARD)
    said = diagnosis(rows(texts), HEARD, writes="en")
    assert said.endswith("of their words; this base writes English only")


def test_rows_that_were_dropped_do_no_harm() -> None:
    """They are among the rows, but nothing was heard of them."""
    heard = {k: v for k, v in HEARD.items() if int(k) % 10}
    assert "the row below" in diagnosis(rows(["a heading", *SAID[:-1]]), heard)


def test_of_some_rows_that_were_sampled_the_neighbours_tell_too() -> None:
    heard = {k: v for k, v in HEARD.items() if int(k) % 7 == 3}
    assert "the row below" in diagnosis(rows(["a heading", *SAID[:-1]]), heard)


def test_where_no_spaces_tell_words_letters_are_compared() -> None:
    nouns, verbs = (
        "\u72ac\u732b\u9ce5\u8239\u98a8\u96e8\u706f\u6238\u738b\u9b5a",
        "\u8d70\u9cf4\u98db\u6cf3\u6b62\u6765\u898b\u98df\u7720\u5e30",
    )
    said = [
        f"{nouns[i % 10]}\u304c{nouns[i // 10]}\u3068{verbs[i * 7 % 10]}{verbs[i // 9]}\u308b"
        for i in range(80)
    ]
    heard = {str(i): text[:-1] for i, text in enumerate(said)}
    assert "the row below" in diagnosis(rows(["x", *said[:-1]]), heard)
    assert not has_spaces(said)
    assert has_spaces(SAID)
