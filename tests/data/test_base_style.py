"""References in the base's own style, however they were written; their words stay theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whisper_normalizer.english import EnglishTextNormalizer

from moontune.data.base_style import WritingHabits, in_base_style, words_of
from moontune.data.normalizer import normalize
from moontune.data.truecasing import case_lexicon

HEARD = "Who took my sandwich? I left it on the table, by the door."
STYLES = {
    "emphasis": "Who took MY sandwich? I LEFT it on the table by the door.",
    "title case": "Who Took My Sandwich? I Left It On The Table By The Door.",
    "lower": "who took my sandwich i left it on the table by the door",
    "capitals": "WHO TOOK MY SANDWICH I LEFT IT ON THE TABLE BY THE DOOR",
    "exclamations": "Who took my sandwich! I left it! On the table! By the door!",
    "pauses": "Who took my sandwich... I left it... on the table... by the door...",
    "dashes": "Who took my sandwich \u2014 I left it on the table\u2014by the door",
    "quotes": "\u201cWho took my sandwich?\u201d I left it on \u2018the table\u2019, by the door.",
    "random case": "wHo tOOk mY sAndwIch i LefT iT oN tHe TaBle by tHe doOr",
}


def styled(pairs: list[tuple[str, str]]) -> list[str]:
    """The references of a corpus in the base's style."""
    habits, lexicon = WritingHabits.of(pairs), case_lexicon(heard for _, heard in pairs)
    return [in_base_style(reference, heard, lexicon, habits) for reference, heard in pairs]


@pytest.mark.parametrize("reference", STYLES.values(), ids=STYLES)
def test_a_reference_that_was_heard_is_written_as_the_base_wrote_it(reference: str) -> None:
    assert styled([(reference, HEARD)]) == [HEARD]


def test_what_the_base_misheard_is_written_in_its_style_too() -> None:
    pairs = [
        ("Who took MY sandwich!", "Who took my sandwich?"),
        ("I told YOU a thousand times!", "I told you a thousand times."),
        ("Give me the LANTERN, now!", "Give me the land turn now."),
    ]
    assert styled(pairs)[2] == "Give me the lantern, now."


def test_names_and_abbreviations_keep_their_case_where_the_base_has_capitals_too() -> None:
    pairs = [
        ("We flew to NASA with McKay.", "We flew to NASA with Mckay."),
        ("He works at the FBI in Oslo.", "He works at the FBI in Oslo."),
        ("She sold her iPhone to McKay.", "She sold her I phone to make."),
        ("Ask the CIA about Wanda.", "Ask the sea about wander."),
    ]
    assert styled(pairs) == [
        "We flew to NASA with McKay.",
        "He works at the FBI in Oslo.",
        "She sold her iPhone to McKay.",
        "Ask the CIA about Wanda.",
    ]


def test_capitals_for_emphasis_do_not_stay_where_the_base_misheard() -> None:
    pairs = [(f"You are SO very {w.upper()}.", f"You are so very {w}.") for w in ("big", "old")]
    made = styled([*pairs, ("That is a LAMP.", "That is a limb.")])
    assert made[2] == "That is a lamp."


@pytest.mark.parametrize(
    ("reference", "heard", "expected"),
    [
        ("Rockin' the boat, 'em all", "Rocking the boat them all.", "Rockin' the boat 'em all."),
        ("I'm gonna go, y'all", "I am going to go.", "I'm gonna go y'all."),
        ("Um, Doctor Who", "Dr. Who.", "Um, Doctor Who."),
        ("Two and a half", "Two point five.", "Two and a half."),
        ("zero", "Oh.", "Zero."),
        ("Two and a half", "2.5", "2.5"),
        ("Twenty-two cats", "Twenty two cats.", "Twenty two cats."),
        ("DON'T TELL O'BRIEN", "Don't tell O'Brien.", "Don't tell O'Brien."),
        ("I have twenty two cats", "I have 22 cats.", "I have 22 cats."),
        ("I have 22 cats", "I have twenty two cats.", "I have twenty two cats."),
        ("It cost $20, at 5%.", "It cost 20 at 5.", "It cost $20 at 5%."),
        ("IT COST 20\u00a2 MORE", "It cast 20 more.", "It cost 20\u00a2 more."),
        ("THE U.S. TODAY", "The U.S. today.", "The U.S. today."),
        ("Mr. Jones went", "Mister Jones went.", "Mister Jones went."),
        ("hello", "", "Hello."),
        ("An' th' ol' man o' war", "And the old man of war.", "An' th' ol' man o' war."),
        ("Rock 'n' roll", "Rock and roll.", "Rock 'n' roll."),
        ("The 'dogs' bark", "The dugs bark.", "The dogs bark."),
        ("He 'likes cats', you know", "He like cuts you know.", "He likes cats, you know."),
        ("'I am runnin',' he said", "I am running he said.", "I am runnin', he said."),
        ("The kids' toys", "The kid stories.", "The kids' toys."),
        ("At 10 a.m. sharp", "At tiny am sharp.", "At 10 a.m. sharp."),
        ("At 10 a.m., sharp", "At 10 a.m., sharp.", "At 10 a.m., sharp."),
        ("It's 5 p.m.", "It's 5pm.", "It's 5 p.m."),
    ],
)
def test_spelling_and_numbers(reference: str, heard: str, expected: str) -> None:
    assert styled([(reference, heard)]) == [expected]


def test_a_word_that_the_normaliser_spells_out_or_drops_is_written_as_it_was_said() -> None:
    rules = EnglishTextNormalizer()
    spelt_out = [w.strip("\\b") for w, out in rules.replacers.items() if not out.endswith(" ")]
    dropped = rules.ignore_patterns.strip("\\b()").split("|")
    for word in (w for w in [*spelt_out, *dropped] if w.isalpha()):
        full = normalize(word)
        assert styled([(f"So {word} now", f"So {full} now.")]) == [f"So {word} now."]


def test_marks_that_the_base_agrees_with_stay_where_it_misheard() -> None:
    known = [("Stop! Who goes there?", "Stop! Who goes there?")]
    assert styled([*known, ("Ay! Belay that! Now go", "I bail at now go.")])[1] == (
        "Ay! Belay that! Now go."
    )


def test_words_are_split_at_dashes_and_pauses_and_know_where_a_sentence_begins() -> None:
    words = words_of("No\u2014wait... The end. Go-kart, now!")
    assert [(w.text, w.mark, w.inside) for w in words] == [
        ("No", "", False),
        ("wait", "", True),
        ("The", "", False),
        ("end", ".", True),
        ("Go-kart", ",", False),
        ("now", "!", True),
    ]


@pytest.mark.parametrize("marks", ["'!", "!", "'", "_'", "- "])
def test_a_text_of_marks_takes_no_time_with_its_square(marks: str) -> None:
    assert [w.text for w in words_of(marks * 10_000 + "a")][-1:] == ["a"]


WORDS = "the a DR. 20 twenty No I'm 'em goin' U.S. McKay $5 5% \u2014 ... (hm) [x]"
WORD = st.sampled_from(WORDS.split())
TEXT = st.lists(st.one_of(WORD, st.text(max_size=5)), max_size=8).map(" ".join)


@given(TEXT, TEXT)
def test_no_word_that_is_scored_changes(reference: str, heard: str) -> None:
    [made] = styled([(reference, heard)])
    assert normalize(made) == normalize(reference)
