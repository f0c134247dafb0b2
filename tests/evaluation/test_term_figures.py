"""Key terms counted in transcripts: recall, inventions and the errors in all other words."""

from __future__ import annotations

import pytest

from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.key_terms.counting import TermCounts, clip_terms
from moontune.evaluation.key_terms.figures import TermFigures, term_figures
from moontune.evaluation.predictions import prediction_row

TERMS = (KeyTerm("Drascula"), KeyTerm("New York"))


def counted(reference: str, hypothesis: str):
    return clip_terms(TERMS, normalize(reference), normalize(hypothesis))


def test_what_is_said_twice_and_written_once_is_found_once() -> None:
    clip = counted("Drascula, Drascula in New York", "Dracula Drascula in New Cork")
    assert clip.terms == {"Drascula": TermCounts(2, 1, 1), "New York": TermCounts(1, 0, 0)}
    assert (clip.other_errors, clip.other_words) == (0, 1)
    assert clip.total == TermCounts(3, 1, 1)
    assert clip.total.recall == pytest.approx(1 / 3)


def test_what_nobody_said_is_an_invention_and_no_error_of_other_words() -> None:
    clip = counted("the count is here now", "Drascula is near now")
    assert clip.terms == {"Drascula": TermCounts(0, 0, 1)}
    assert clip.total.invented == 1
    assert (clip.total.precision, clip.total.recall) == (0.0, None)
    assert (clip.other_errors, clip.other_words) == (3, 5)  # count, the, here


def test_errors_of_other_words_and_of_terms_are_all_errors() -> None:
    reference, hypothesis = "we saw Drascula fly to New York today", "he saw a cooler fly to York"
    clip = counted(reference, hypothesis)
    row = prediction_row({"reference": reference, "hypothesis": hypothesis}, "1")
    edits = row["edits"]
    errors = edits["substitutions"] + edits["deletions"] + edits["insertions"]
    assert clip.other_errors == 3  # he, a, today
    assert errors - clip.other_errors == 2  # cooler, New


def rows(*texts: tuple[str, str], speaker: str = "s"):
    return [
        prediction_row(
            {
                "id": str(i),
                "reference": ref,
                "hypothesis": hyp,
                "speaker": f"{speaker}{i}",
                "duration": 36.0,
            },
            "",
        )
        for i, (ref, hyp) in enumerate(texts)
    ]


def figures() -> TermFigures:
    said = ["Drascula is here", "New York is big", "nothing at all", "Drascula again"] * 3
    before = ["the cooler is here", "New York is big", "Drascula at all", "a cooler again"] * 3
    after = ["Drascula is here", "Newark is big", "nothing at all", "Drascula again"] * 3
    one = rows(*zip(said, before, strict=True))
    other = rows(*zip(said, after, strict=True))
    return term_figures(TERMS, one, list(reversed(other)), 7)


def test_figures_of_both_sides_with_intervals() -> None:
    found = figures()
    assert found.counts.before == TermCounts(9, 3, 6)
    assert found.counts.after == TermCounts(9, 6, 6)
    assert found.hours == pytest.approx(12 * 36 / 3600)
    assert (found.missed.before, found.missed.after) == pytest.approx((6 / 9, 3 / 9))
    assert found.missed.difference_interval is not None
    low, high = found.missed.difference_interval
    assert low < -1 / 3 < high
    assert (found.other_rate.before, found.other_rate.after) == pytest.approx((9 / 24, 0))
    assert [(r.term, r.before.said, r.after.found) for r in found.by_term] == [
        ("Drascula", 6, 6),
        ("New York", 3, 0),
    ]
    assert [(m.clip, m.term, m.before) for m in found.missed_clips] == [
        (clip, "New York", True) for clip in ("1", "5", "9")
    ]


def test_figures_are_read_back_from_json() -> None:
    import json

    found = figures()
    assert TermFigures.from_json(json.loads(json.dumps(found.to_json()))) == found
