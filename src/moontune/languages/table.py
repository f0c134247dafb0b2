"""Languages: what of measuring, writing and decoding depends on the one that is spoken.

A process works with one language, that of its model, as it does with one locale: `current` is asked
wherever text is split, normalised, counted or shown, and `speaking` sets it, once for a verb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from moontune.errors import UserError

_NAMES = {
    "en": "English",
    "ar": "Arabic",
    "ja": "Japanese",
    "ko": "Korean",
    "zh": "Chinese",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "es": "Spanish",
}


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ISO_639_1 = _codes(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia
    id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo
    lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl
    ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk
    tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """
)
_UNSPACED = _codes("ja zh th lo km my bo dz")
# Letters of two cases, and not Latin.
_TWO_CASES = _codes("ab av ba be bg ce cu cv el hy kk kv ky mk mn os ru sr tg tt uk")
_ONE_CASE = _UNSPACED | _codes(
    "am ar as bn dv fa gu he hi ii iu ka kn ko ks ml mr ne or pa pi ps sa sd si ta te ti ug ur yi"
)
LATIN_RATE, OTHER_RATE = 6.5, 13.0  # tokens a second
RateName = Literal["wer", "cer"]
RATES: dict[RateName, tuple[str, str]] = {"wer": ("WER", "word"), "cer": ("CER", "character")}


@dataclass(frozen=True)
class Language:
    """A language of ISO 639-1, and how it is written."""

    code: str

    @property
    def name(self) -> str:
        """Its English name; of a language that the vendor has no model for, its code."""
        return _NAMES.get(self.code, self.code)

    @property
    def latin(self) -> bool:
        """Whether it is written in Latin letters."""
        return self.code not in _ONE_CASE | _TWO_CASES

    @property
    def tokens_per_second(self) -> float:
        """The token cap's rate, the model cards': twice that of Latin scripts for the others.

        Vietnamese has the higher one too: its letters have two marks, and the tokenizer takes
        2.8 tokens a syllable of it, 1.2 a word of English (docs/languages.md).
        """
        return LATIN_RATE if self.latin and self.code != "vi" else OTHER_RATE

    @property
    def spaced(self) -> bool:
        """Whether spaces stand between words. Elsewhere characters are counted instead of words."""
        return self.code not in _UNSPACED

    @property
    def spaces_are_sure(self) -> bool:
        """Whether a space is as it is spelled, so that CER counts it. In Korean writers differ."""
        return self.spaced and self.code != "ko"

    @property
    def cased(self) -> bool:
        """Whether its letters have two cases."""
        return self.code not in _ONE_CASE

    @property
    def full_stop(self) -> str:
        return {"ja": "\u3002", "zh": "\u3002", "hi": "\u0964", "ur": "\u06d4"}.get(self.code, ".")

    @property
    def rate(self) -> RateName:
        """The error rate that leads: `wer`, or `cer` where words are not separated."""
        return "wer" if self.spaced else "cer"

    @property
    def rate_label(self) -> str:
        return RATES[self.rate][0]

    @property
    def unit(self) -> str:
        """What errors are counted in: word or character."""
        return RATES[self.rate][1]


ENGLISH = Language("en")
_current = ENGLISH


def language_named(code: str) -> Language:
    """The language of a code. Raises UserError."""
    if code not in _ISO_639_1:
        known = ", ".join(f"{code} ({name})" for code, name in _NAMES.items())
        raise UserError(
            f"--language {code}: no code of ISO 639-1; give one of two small letters, such as "
            f"{known}"
        )
    return Language(code)


def assumed(what: str) -> str:
    """A line for where English is a guess: nothing tells the language of `what`."""
    return f"language: taken for English, as {what} names none; --language CODE says another"


def is_language(code: object) -> bool:
    """Whether it is a code of ISO 639-1."""
    return isinstance(code, str) and code in _ISO_639_1


def is_named(language: Language) -> bool:
    """Whether it is one that the vendor has models for."""
    return language.code in _NAMES


def current() -> Language:
    """The language that this process works with."""
    return _current


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Within the block this process works with another language, in all its threads."""
    global _current  # noqa: PLW0603
    before, _current = _current, language
    try:
        yield
    finally:
        _current = before
