"""Sentences of moontune's own: enough of them, readable, and every sound of English in them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from moontune.web.prompts import own_sentences

# Words of the sentences for each phoneme of English, by hand.
WORDS = {
    "p": "paint pocket pleasure pocketful people",
    "b": "bring better bees",
    "t": "tall ten",
    "d": "dirty door drive",
    "k": "kitchen cool cake",
    "g": "garden green guests",
    "f": "fox found five",
    "v": "valley van vision",
    "θ": "three thousand thick path",
    "ð": "father breathe other though clothes",
    "s": "soup six sister",
    "z": "zoo lazy roses",
    "ʃ": "shop fish ocean",
    "ʒ": "measure vision garage beige usual treasure casual",
    "h": "house happened heavy",
    "tʃ": "church cheese watch",
    "dʒ": "judge giant orange",
    "m": "moon summer mum",
    "n": "nine snow noise",
    "ŋ": "singer long think bring",
    "l": "little yellow lamp",
    "r": "red right road",
    "w": "west wild which",
    "j": "yes uniform",
    "iː": "meet green please",
    "ɪ": "ship sister quick",
    "e": "best letters any",
    "æ": "cat hat black",
    "ɑː": "car father heart",
    "ɒ": "clock box honest",
    "ɔː": "law horses daughter",
    "ʊ": "book wolf should",
    "uː": "blue fruit choose",
    "ʌ": "country young butter",
    "ɜː": "bird nurse worm",
    "ə": "about other again",
    "eɪ": "train eight great",
    "aɪ": "light guide wild",
    "ɔɪ": "boy noise oil choice royal",
    "əʊ": "goat snow phone",
    "aʊ": "cow hour town",
    "ɪə": "near fear idea here",
    "eə": "bear chair square",
    "ʊə": "tour poor rural cure",
}


def counts() -> Counter[str]:
    return Counter(re.findall(r"[a-z']+", " ".join(own_sentences()).lower()))


def test_there_are_enough_for_twenty_minutes_and_each_is_short() -> None:
    sentences = own_sentences()
    assert len(sentences) == len(set(sentences)) >= 200
    words = [len(s.split()) for s in sentences]
    assert min(words) >= 6
    assert max(words) <= 15
    assert sum(words) >= 20 * 140  # at 140 words a minute
    for sentence in sentences:
        assert sentence.isascii()
        assert not any(c.isdigit() for c in sentence)
        assert sentence[0].isupper()
        assert sentence[-1] in ".?!"


@pytest.mark.parametrize("phoneme", WORDS)
def test_every_phoneme_comes_in_several_words(phoneme: str) -> None:
    found = counts()
    there = [word for word in WORDS[phoneme].split() if found[word]]
    assert len(there) >= 2, f"/{phoneme}/ is in none of {WORDS[phoneme]}"
    assert sum(found[word] for word in there) >= 3


def test_numbers_times_prices_and_dates_are_read() -> None:
    text = " ".join(own_sentences()).lower()
    for said in (
        *("half past two", "six forty-five", "twenty-three pounds", "the twelfth of february"),
        *("nineteen eighty-seven", "seventy percent", "two point seven", "minus eleven degrees"),
        *("zero one four seven", "one thousand two hundred and fifty dollars", "two thirds"),
    ):
        assert said in text
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert all(counts()[number] for number in numbers)


def test_serve_and_record_begin_with_the_same_ones() -> None:
    assert own_sentences()[0] == "The judge chose a pale yellow jacket for the long voyage."
