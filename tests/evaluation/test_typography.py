from __future__ import annotations

import pytest

from moontune.data.normalizer import normalize
from moontune.evaluation.measures import Habits
from moontune.evaluation.typography import reference_in_style_of, retention


@pytest.mark.parametrize(
    ("reference", "hypothesis", "written"),
    [
        ("IT IS FIRMLY LOCKED", "It is firmly locked.", "It is firmly locked."),
        ("It is firmly locked!", "IT IS FIRMLY LOCKED", "IT IS FIRMLY LOCKED"),
        ("It is firmly locked!", "it is firmly locked", "it is firmly locked"),
        ("Well you were mistaken.", "Well, you were mistaken.", "Well, you were mistaken."),
        ("It is locked.", "", "it is locked"),
    ],
)
def test_reference_is_written_as_the_model_writes(reference, hypothesis, written) -> None:
    text = reference_in_style_of(reference, hypothesis)
    assert text == written or (not hypothesis and text.lower().startswith("it is locked"))
    assert normalize(text) == normalize(reference)


def test_retention_counts_habits_and_words_written_alike() -> None:
    base = ["Hello, Tom.", "It is late.", ""]
    same = retention(base, base)
    assert same.before == same.after == Habits(1.0, 1.0)
    assert (same.words_compared, same.same_case, same.same_punctuation) == (5, 1.0, 1.0)
    caps = retention(base, ["HELLO TOM", "it was late.", ""])
    assert caps.after == Habits(0.5, 0.5)
    assert caps.words_compared == 4  # hello, tom, it, late
    assert caps.same_case == 0.25
    assert caps.same_punctuation == 0.5
    assert retention([""], [""]).same_case is None
