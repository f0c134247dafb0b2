"""Key terms put into transcripts: where they may stand, and when the model's losses let them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import noise

from moontune.config.schema import TokenCap
from moontune.data.word_lists.key_terms import KeyTerm, term_of
from moontune.models.base_model import Base
from moontune.models.decoding import Transcript
from moontune.models.key_terms.candidates import MOST, TermIndex, skeleton
from moontune.models.key_terms.weighing import KeyTerms, KeyTermWriter, Tokenized
from moontune.models.transcriber import Transcriber


def texts(transcript: str, *terms: str) -> list[str]:
    return [c.text for c in TermIndex([term_of(t) for t in terms]).candidates(transcript)]


@pytest.mark.parametrize(
    ("transcript", "term", "text"),
    [
        ("I met the dracula today.", "Drascula", "I met the Drascula today."),
        ("a pick-me coffee shop", "pygmy", "a pygmy coffee shop"),
        ('He said "crystals cool!"', "Crystal Skull", 'He said "Crystal Skull!"'),
        ("Iron stain is here, friend", "Ironstein", "Ironstein is here, friend"),
        ("Look. it's floater.", "Floda", "Look. it's Floda."),
        ("drag you la comes", "dracula | drag you la", "Dracula comes"),
    ],
)
def test_a_term_stands_in_the_place_of_words_that_are_like_it(
    transcript: str, term: str, text: str
) -> None:
    """Marks around stay, and a sentence begins with a capital."""
    assert texts(transcript, term) == [text]


@pytest.mark.parametrize(
    ("transcript", "term"),
    [
        ("I met Drascula today.", "drascula"),  # it is there
        ("The cat is on the mat.", "Drascula"),  # nothing is like it
        ("", "Drascula"),
        ("... !", "Drascula"),
        ("The dracula is here.", "Drascula || 0"),  # it is only measured
    ],
)
def test_where_no_term_may_stand(transcript: str, term: str) -> None:
    assert texts(transcript, term) == []


def test_a_term_that_is_there_is_not_taken_for_another() -> None:
    assert texts("Marten came.", "Marten", "Martin") == []


def test_of_many_terms_the_most_alike_are_tried() -> None:
    many = [f"dracul{letter}" for letter in "abcdefghijklmnop"]
    found = texts("A dracula came.", *many[1:])
    assert len(found) == MOST
    assert texts("A draculb came", "draculb", "dracula") == []


def test_letters_are_spoken_roughly() -> None:
    assert skeleton("pygmy") == skeleton("pickme")
    assert skeleton("phone") == skeleton("fon")
    assert skeleton("abba") != skeleton("cabba")
    assert skeleton("дракула") == "дракула"


def written(
    transcript: Transcript, terms: Sequence[KeyTerm], costs: dict[str, float], bonus: float = 2.0
) -> Transcript:
    """With tokens that are characters, and losses from a table; others are 100 nats."""

    def losses(asked: Sequence[Tokenized]) -> list[float]:
        return [costs.get("".join(map(chr, text.ids[:-1])), 100.0) for text in asked]

    def tokenize(text: str) -> list[int]:
        return [*map(ord, text.lstrip()), 0]

    [found] = KeyTermWriter(KeyTerms(tuple(terms), bonus), tokenize)([transcript], losses)
    return found


def transcript(text: str, confidences: tuple[float, ...] | None = None) -> Transcript:
    return Transcript(text, [*map(ord, text), 0], truncated=False, confidences=confidences)


TERM = KeyTerm("Zorba")
HEARD, WITH = "the sorber came", "the Zorba came"


@pytest.mark.parametrize(
    ("weight", "bonus", "cost", "taken"),
    [
        (1.0, 2.0, 9.9, True),  # five tokens of two nats
        (1.0, 2.0, 10.1, False),
        (0.5, 2.0, 5.1, False),
        (2.0, 2.0, 19.9, True),
        (1.0, 0.0, -0.1, True),
        (1.0, 0.0, 0.1, False),
    ],
)
def test_a_term_may_cost_its_bonus(weight: float, bonus: float, cost: float, taken: bool) -> None:
    terms = [KeyTerm("Zorba", (), weight)]
    found = written(transcript(HEARD), terms, {HEARD: 20.0, WITH: 20.0 + cost}, bonus)
    assert found.text == (WITH if taken else HEARD)
    assert found.tokens == [*map(ord, found.text), 0]


def test_another_spelling_is_weighed_and_the_term_is_written() -> None:
    terms = [KeyTerm("Zorba", ("sorba",))]
    costs = {HEARD: 20.0, WITH: 60.0, "the sorba came": 25.0}
    assert written(transcript(HEARD), terms, costs).text == WITH


def test_of_two_terms_in_one_place_the_likelier_is_taken_and_both_in_two() -> None:
    terms = [KeyTerm("Zorba"), KeyTerm("Sorbet")]
    costs = {HEARD: 20.0, WITH: 22.0, "the Sorbet came": 21.0}
    assert written(transcript(HEARD), terms, costs).text == "the Sorbet came"
    two = "the sorber saw floater"
    costs = {two: 20.0, "the Zorba saw floater": 22.0, "the sorber saw Floda": 21.0}
    terms = [KeyTerm("Zorba"), KeyTerm("Floda")]
    assert written(transcript(two), terms, costs).text == "the Zorba saw Floda"


def test_of_two_terms_one_may_take_more_words_than_it_has_or_fewer() -> None:
    text = "no sorber you the lord saw harbor bridges"
    costs = {
        text: 20.0,
        "no Zorba you the lord saw harbor bridges": 20.0,
        "no sorber you dullard saw harbor bridges": 20.0,
        "no sorber you the lord saw Harbour Bridge": 20.0,
    }
    terms = [KeyTerm("Zorba"), KeyTerm("dullard"), KeyTerm("Harbour Bridge")]
    found = written(transcript(text, tuple(i / 10 for i in range(8))), terms, costs)
    assert found.text == "no Zorba you dullard saw Harbour Bridge"
    assert found.confidences == (0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.6)


def test_confidences_stay_with_their_words() -> None:
    text = "iron stain came today"
    found = written(
        transcript(text, (0.9, 0.4, 0.8, 0.7)),
        [KeyTerm("Ironstein")],
        {text: 20.0, "Ironstein came today": 20.0},
    )
    assert found.text == "Ironstein came today"
    assert found.confidences == (0.4, 0.8, 0.7)


def test_a_transcript_without_an_end_stays_as_it_is() -> None:
    cut = Transcript(HEARD, [*map(ord, HEARD)], truncated=True)
    assert written(cut, [TERM], {HEARD: 20.0, WITH: 0.0}) is cut


def test_with_a_list_of_which_nothing_is_like_all_is_as_without(tiny_base: Base) -> None:
    """And what is taken costs by the model's own losses what it may."""
    clips, cap = [noise(1, 1.0), noise(2, 1.6), noise(3, 1.3)], TokenCap(6.5, 8)
    plain = Transcriber(tiny_base, mends_loops=False)(clips, cap)
    terms = KeyTerms((KeyTerm("Xylophonist"),), 0.0)
    assert Transcriber(tiny_base, mends_loops=False, key_terms=terms)(clips, cap) == plain
