"""The bonus chosen on validation clips: what is tried, and by which rule one is taken."""

from __future__ import annotations

import json

import pytest

from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.key_terms.bonus import (
    ChosenBonus,
    TriedBonus,
    choose_bonus,
    tried_bonuses,
)
from moontune.evaluation.key_terms.counting import TermCounts


def tried(*rows: tuple[float | None, int, int, int], said: int = 20) -> list[TriedBonus]:
    """Of rows of bonus, found, invented, errors in other words."""
    return [TriedBonus(b, TermCounts(said, k, k + false), e) for b, k, false, e in rows]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        # the most found
        ([(None, 5, 1, 9), (0.5, 6, 1, 9), (1.0, 9, 1, 8), (2.0, 8, 0, 9)], 1.0),
        # more false alarms than without the list
        ([(None, 5, 1, 9), (1.0, 6, 1, 9), (2.0, 9, 2, 9), (3.0, 9, 3, 9)], 1.0),
        # more errors in other words
        ([(None, 5, 1, 9), (0.5, 6, 0, 9), (2.0, 9, 0, 10)], 0.5),
        # of equals the one nearest to the usual one
        ([(None, 5, 1, 9), (0.5, 6, 1, 9), (1.0, 6, 1, 9), (2.0, 6, 1, 9), (3.0, 6, 1, 9)], 2.0),
        ([(None, 5, 1, 9), (0.5, 6, 1, 9), (1.0, 6, 1, 9), (2.0, 6, 2, 9)], 1.0),
        # none will do
        ([(None, 5, 1, 9), (0.5, 9, 2, 9), (2.0, 9, 1, 10)], None),
    ],
)
def test_the_most_found_without_more_false_alarms_or_other_errors(rows, chosen) -> None:
    found = choose_bonus(tried(*rows), 30)
    assert found.bonus == chosen
    assert "20 terms said in 30 validation clips" in found.why


def test_too_few_terms_said_choose_nothing() -> None:
    found = choose_bonus(tried((None, 5, 0, 9), (0.5, 9, 0, 9), (2.0, 5, 9, 99), said=9), 30)
    assert found.bonus == 2.0
    assert found.why == (
        "the usual one, as 9 terms said in 30 validation clips choose nothing, being fewer than 10"
    )


def test_what_was_written_by_each_bonus_is_counted() -> None:
    terms = [KeyTerm("Drascula")]
    said = ["Drascula is here.", "Nobody at all."]
    written = {
        None: ["the cooler is here", "Nobody at all"],
        1.0: ["Drascula is here", "Drascula at all"],
    }
    none, one = tried_bonuses(terms, said, written)
    assert (none.bonus, none.counts, none.other_errors) == (None, TermCounts(1, 0, 0), 1)
    assert (one.bonus, one.counts, one.other_errors) == (1.0, TermCounts(1, 1, 2), 1)
    chosen = choose_bonus([none, one], 2)
    assert ChosenBonus.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen
