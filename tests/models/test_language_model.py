"""A language model of a domain's text: proper probabilities, and a say among beams."""

from __future__ import annotations

import math

import pytest

from moontune.config.schema import TokenCap
from moontune.languages.table import language_named, speaking
from moontune.models import language_model as module
from moontune.models.consensus import agreed
from moontune.models.decoding import Transcript
from moontune.models.language_model import LanguageModel

TEXTS = ["Hoist the main sail.", "Hoist the jib!", "the anchor"]
UNSEEN = "zebra"


@pytest.mark.parametrize("history", [("", ""), ("hoist", "the"), ("", "the"), (UNSEEN, UNSEEN)])
def test_what_may_follow_adds_up_to_one(history) -> None:
    known = LanguageModel(TEXTS)
    seen = {"hoist", "the", "main", "sail", "jib", "anchor", ""}
    total = sum(known.probability(history, word) for word in seen)
    total += (module._WORDS - len(seen)) * known.probability(history, UNSEEN)
    assert total == pytest.approx(1.0)


def test_it_is_wittens_and_bells() -> None:
    """By hand: behind `hoist the` are two words, each once, behind `the` three, each once; at all
    twelve places, ends among them, seven different ones."""
    known = LanguageModel(TEXTS)
    one = (1 + 7 / 30_000) / (12 + 7)
    two = (1 + 3 * one) / (3 + 3)
    three = (1 + 2 * two) / (2 + 2)
    assert known.probability(("hoist", "the"), "main") == pytest.approx(three)
    assert known.log_probability("hoist the main sail") == pytest.approx(
        sum(
            math.log(known.probability(*place))
            for place in [
                (("", ""), "hoist"),
                (("", "hoist"), "the"),
                (("hoist", "the"), "main"),
                (("the", "main"), "sail"),
                (("main", "sail"), ""),
            ]
        )
    )


def beams(*texts: str) -> list[tuple[Transcript, float]]:
    """Each less likely than the one before, by a tenth of a nat."""
    return [(Transcript(text, [5, 2], False), -5 - 0.1 * i) for i, text in enumerate(texts)]


def test_words_of_the_domain_win_where_sounds_are_as_likely() -> None:
    found = beams("Hoist the mane sale.", "Hoist the main sail.")
    assert agreed(found).text == "Hoist the mane sale."
    assert agreed(found, LanguageModel(TEXTS)).text == "Hoist the main sail."
    assert agreed(found, LanguageModel(TEXTS, 0.0)).text == "Hoist the mane sale."
    sure = [found[0], (found[1][0], -20.0)]  # by the model that listens
    assert agreed(sure, LanguageModel(TEXTS)).text == "Hoist the mane sale."


def test_models_of_one_text_share_what_was_counted() -> None:
    """Whatever their weights; not in another language, whose words are others."""
    known, other = LanguageModel(TEXTS), LanguageModel(list(TEXTS), 0.5)
    assert other.bonus(TEXTS[0]) == pytest.approx(5 * known.bonus(TEXTS[0]))
    assert other._counts is known._counts
    with speaking(language_named("ja")):
        assert LanguageModel(TEXTS)._counts != known._counts


def test_it_counts_characters_where_words_are_not_separated() -> None:
    with speaking(language_named("ja")):
        known = LanguageModel(["\u65e5\u672c\u8a9e", "\u65e5\u672c"])
        assert known.probability(("", "\u65e5"), "\u672c") > 0.5


def test_a_transcriber_asks_it_of_a_consensus_alone(tiny_base) -> None:
    from builders import noise

    from moontune.models.transcriber import Transcriber

    asked: list[str] = []

    class Asked(LanguageModel):
        def bonus(self, text: str) -> float:
            asked.append(text)
            return super().bonus(text)

    clips, cap = [noise(0, 1.0)], TokenCap(6.5, 8)
    Transcriber(tiny_base, mends_loops=False, language_model=Asked(TEXTS))(clips, cap)
    assert not asked
    Transcriber(tiny_base, "consensus", language_model=Asked(TEXTS))(clips, cap)
    assert len(asked) == 8
