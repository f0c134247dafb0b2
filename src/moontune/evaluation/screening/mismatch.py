"""Texts that do not belong to their audio: what that looks like, from a model's transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.languages.table import Language, current

_SHIFTS = (1, -1, 2, -2, 3, -3)
_ALIKE = 0.25  # of the words in common, on the average, where texts and transcripts belong together
_CLEARLY = 1.5  # times as much as where they stand
_OTHER_ROWS = 200  # whose texts are looked for among all
_ENOUGH_WORDS = 4  # of a transcript, to tell texts apart by
_NEARLY_ALL = 0.6  # of the words in common: it is that text
_SPACED = 1.5  # words a text, in the mean
_KNOWN = 0.3  # of the texts' words a model of their language writes somewhere


def diagnosis(
    utterances: Sequence[Utterance], written: Mapping[str, str], *, writes: str | None = None
) -> str:
    """The fault of texts that are not what is said, as a sentence.

    `utterances` are all rows in their order; `written` what a model writes, by id, for those that
    were heard; `writes` is the code of the language that the model is known to write.
    """
    texts, heard = _in_parts(utterances, written)
    if shift := _shift(texts, heard):
        side = "above" if shift < 0 else "below"
        many = "the row" if abs(shift) == 1 else f"{abs(shift)} rows"
        return f"the table is shifted: most texts stand {many} {side} their audio"
    if _belong_elsewhere(texts, heard):
        return "the texts are there, but beside other clips, as where one column was sorted alone"
    vocabulary = frozenset[str]().union(*heard)
    spoken = [text for text, u in zip(texts, utterances, strict=True) if u.id in written]
    words = [word for text in spoken for word in text]
    known = sum(word in vocabulary for word in words) / len(words) if words else 0.0
    if known < _KNOWN:
        only = f"; this base writes {Language(writes).name} only" if writes else ""
        return (
            "the texts are in another language than the base writes: it knows "
            f"{100 * known:.0f} % of their words{only}"
        )
    return "the audio is in another language than the base's, or the texts are not of it"


def is_shifted(utterances: Sequence[Utterance], written: Mapping[str, str]) -> bool:
    """Whether most texts stand in rows near those of their audio; as `diagnosis` takes them."""
    return _shift(*_in_parts(utterances, written)) != 0


def _in_parts(
    utterances: Sequence[Utterance], written: Mapping[str, str]
) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    spaced = current().spaced and has_spaces([u.text for u in utterances])
    texts = [parts_of(u.text, spaced) for u in utterances]
    return texts, [parts_of(written.get(u.id, ""), spaced) for u in utterances]


def _shift(texts: Sequence[frozenset[str]], heard: Sequence[frozenset[str]]) -> int:
    """By how many rows the texts stand below their audio; 0 where they are not shifted."""
    likeness = {shift: _likeness(texts, heard, shift) for shift in (0, *_SHIFTS)}
    shift = max(_SHIFTS, key=likeness.__getitem__)
    return shift if likeness[shift] >= max(_ALIKE, _CLEARLY * likeness[0]) else 0


def has_spaces(texts: Sequence[str]) -> bool:
    """Whether words are told apart by spaces, as in Chinese, Japanese and Thai they are not."""
    return sum(len(text.split()) for text in texts) >= _SPACED * len(texts)


def parts_of(text: str, spaced: bool) -> frozenset[str]:
    """Words; pairs of letters where no spaces tell words."""
    text = normalize(text)
    if spaced:
        return frozenset(text.split())
    text = text.replace(" ", "")
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def _likeness(
    texts: Sequence[frozenset[str]], heard: Sequence[frozenset[str]], shift: int
) -> float:
    """The mean likeness of transcripts with the texts `shift` rows further down."""
    pairs = [
        (texts[i + shift], words) for i, words in enumerate(heard) if 0 <= i + shift < len(texts)
    ]
    found = [_dice(a, b) for a, b in pairs if a and b]
    return sum(found) / len(found) if found else 0.0


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))


def _belong_elsewhere(texts: Sequence[frozenset[str]], heard: Sequence[frozenset[str]]) -> bool:
    """Whether most transcripts are nearly the text of some other row."""
    looked = [(i, words) for i, words in enumerate(heard) if len(words) >= _ENOUGH_WORDS]
    best = [
        max((_dice(text, words) for j, text in enumerate(texts) if j != i and text), default=0.0)
        for i, words in looked[:_OTHER_ROWS]
    ]
    return bool(best) and sorted(best)[len(best) // 2] >= _NEARLY_ALL
