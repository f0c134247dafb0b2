"""The weight of a text chosen on validation clips: by which rule one is taken."""

from __future__ import annotations

import json

import pytest

from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.domain_text.weight import FEWEST, WEIGHTS, ChosenWeight, choose_weight
from moontune.evaluation.error_rates import Edits


def chosen(*errors: int, words: int = FEWEST) -> ChosenWeight:
    """Of so many errors by each weight, in two clips."""
    halves = {
        weight: [Edits(wrong, 0, 0, words // 2), Edits(0, 0, 0, words - words // 2)]
        for weight, wrong in zip(WEIGHTS, errors, strict=True)
    }
    return choose_weight(halves, 2)


@pytest.mark.parametrize(
    ("errors", "weight"),
    [
        ((9, 8, 8, 7), 0.2),  # the fewest
        ((9, 7, 8, 8), 0.05),
        ((9, 8, 8, 8), 0.1),  # of equals the one nearest to the usual one
        ((8, 8, 8, 8), 0.1),
        ((8, 8, 9, 9), 0.05),
        ((8, 9, 9, 9), 0.0),  # every other does harm
        ((8, 9, 9, 8), 0.0),  # as near as 0.2, and no risk
    ],
)
def test_the_weight_with_the_fewest_errors_is_taken(errors, weight) -> None:
    found = chosen(*errors)
    assert found.weight == weight
    assert [one.errors for one in found.tried] == list(errors)
    assert ChosenWeight.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_it_says_tells_the_errors_and_whether_the_text_is_used() -> None:
    assert chosen(9, 8, 7, 8).says == (
        "weight 0.1: of 200 words of 2 validation clips 7 are wrong with it and 9 without the text"
    )
    assert chosen(7, 9, 8, 8).says == (
        "not used: of 200 words of 2 validation clips every weight leaves more wrong than the 7 "
        "without the text"
    )


def test_few_words_choose_nothing() -> None:
    found = chosen(1, 9, 9, 9, words=FEWEST - 1)
    assert found.weight == 0.1
    assert "199 words of 2 validation clips choose nothing, being fewer than 200" in found.says


def test_a_clip_that_the_text_leaves_as_it_is_has_its_consensus() -> None:
    edits = {"substitutions": 0, "deletions": 0, "insertions": 0, "words": 2}
    rows = [
        {"id": i, "reference": "a b", "consensus": {"hypothesis": "a b", "edits": edits}}
        for i in "xy"
    ]
    one, other = with_domain_text(rows, {"y": "a"})  # type: ignore[arg-type]
    assert one.get("domain_text") == rows[0]["consensus"]
    assert other.get("domain_text", {}).get("edits") == edits | {"deletions": 1}
    assert "domain_text" not in rows[1]
