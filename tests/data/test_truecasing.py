from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moontune.data.normalizer import normalize
from moontune.data.truecasing import case_lexicon, restore_style, style_of

WORDS = st.lists(
    st.sampled_from(["YES", "THAT'S", "I", "DOOR", "DRASCULA", "TWENTY", "LIFE,", "GO!", "-"]),
    max_size=12,
).map(" ".join)
HYPOTHESES = st.lists(
    st.sampled_from(["Yes,", "that's", "I", "door.", "Dracula", "20", "life", "Go", "um", "."]),
    max_size=12,
).map(" ".join)


def test_style_of_a_set() -> None:
    assert style_of(["YES, THAT'S DONE", "OK I WILL"]) == "upper"
    assert style_of(["yes that's done", "i will not"]) == "lower"
    assert style_of(["Yes, that's done.", "NO!"]) == "cased"
    assert style_of([]) == "cased"


def test_agreeing_words_take_the_bases_case_and_punctuation() -> None:
    assert restore_style("HELLO MISTER JONES HOW ARE YOU", "Hello, Mister Jones. How are you?") == (
        "Hello, Mister Jones. How are you?"
    )


def test_other_words_are_sentence_case_and_kept() -> None:
    restored = restore_style(
        "IT IS THE SECOND BIGGEST DOOR I'VE SEEN", "It's a biggest oar I've seen."
    )
    assert restored == "It is the second biggest door I've seen."


def test_punctuation_of_the_reference_is_kept() -> None:
    assert restore_style("WAIT! WHO IS THERE?", "Wait, who is there.") == "Wait! Who is there?"


def test_spellings_that_the_normaliser_equates_become_the_bases() -> None:
    assert restore_style("I SAW DOCTOR WHO", "I saw Dr. Who.") == "I saw Dr. Who."


def test_names_keep_their_capital() -> None:
    lexicon = case_lexicon(["I met Igor today.", "So Igor left.", "He saw igor."])
    assert lexicon["igor"] == "Igor"
    assert restore_style("WHERE IS IGOR", "Where is he?", lexicon) == "Where is Igor?"
    assert restore_style("ASK DRASCULA NOW", "Ask Dracula now.") == "Ask Drascula now."


def test_the_capital_of_another_kind_of_word_makes_no_name() -> None:
    assert restore_style("I THINK IT IS IN THERE", "I think I is I'm there.") == (
        "I think it is in there."
    )
    assert restore_style("AT TEN A.M. TODAY", "At ten AM today.") == "At ten a.m. today."


def test_a_word_with_a_capital_inside_begins_a_sentence_as_it_is() -> None:
    assert restore_style("IPHONE IS GOOD", "iPhone is good.") == "iPhone is good."


def test_without_a_hypothesis_it_is_a_sentence() -> None:
    assert restore_style("I THINK I'M LOST", "") == "I think I'm lost."
    assert restore_style("", "Anything.") == ""


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("I PAID 5 TO HIM", "I paid $5 to him."),
        ("IT IS 5 NOW", "It is 5% now."),
        ("HELLO BIG WORLD NOW", "Hello (big world) now."),
        ("TWENTY TWENTY", "Yes, 20"),
    ],
)
def test_marks_that_the_normaliser_reads_are_not_carried(reference, hypothesis) -> None:
    assert normalize(restore_style(reference, hypothesis)) == normalize(reference)


@given(WORDS, HYPOTHESES)
def test_restoring_never_changes_what_is_scored(reference: str, hypothesis: str) -> None:
    """The target's words are the reference's words to the normaliser."""
    assert normalize(restore_style(reference, hypothesis)) == normalize(reference)


@given(st.text(max_size=60), st.text(max_size=60))
def test_restoring_takes_any_text(reference: str, hypothesis: str) -> None:
    restore_style(reference, hypothesis)
