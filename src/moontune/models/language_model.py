"""How likely words are behind others in texts of a domain, for the choice among beams.

A trigram of words as they are counted (`normalize`), smoothed down to every word alike (Witten and
Bell 1991, method C), so that a text of a few hundred sentences does. It changes which of a clip's
beams are taken for likely and how much each weighs, by `WEIGHT` of its log probability; the beams
are the model's own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from moontune.data.normalizer import normalize
from moontune.languages.table import current

WEIGHT = 0.1  # nats of a beam for each nat; measured in docs/experiments.md
_ORDER, _WORDS = 3, 30_000  # words of a history and the next; words there are
_Place = tuple[tuple[str, ...], str]  # a history, and the word behind it; "" begins and ends
_Counts = dict[tuple[str, ...], tuple[Counter[str], int]]  # words behind a history, and how many


class LanguageModel:
    """A trigram of texts, in the language that is current when it is first asked."""

    def __init__(self, texts: Sequence[str], weight: float = WEIGHT) -> None:
        self._texts, self._weight = tuple(texts), weight

    def bonus(self, text: str) -> float:
        """What is added to a beam's log probability, nats."""
        return self._weight * self.log_probability(text) if self._weight else 0.0

    def log_probability(self, text: str) -> float:
        """Of the whole text and its end, nats."""
        return sum(math.log(self.probability(*place)) for place in _places(text))

    def probability(self, history: tuple[str, ...], word: str) -> float:
        """Of a word behind the two before it."""
        found = 1 / _WORDS
        for n in range(_ORDER):
            behind = self._counts.get(history[_ORDER - 1 - n :])
            if behind:
                seen, total = behind
                found = (seen[word] + len(seen) * found) / (total + len(seen))
        return found

    @cached_property
    def _counts(self) -> _Counts:
        return _counted(self._texts, current().code)


@lru_cache(maxsize=1)
def _counted(texts: tuple[str, ...], code: str) -> _Counts:
    """Words behind histories, in the current language, whose code it is; of one text all models
    and weights share them."""
    counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for text in texts:
        for history, word in _places(text):
            for n in range(_ORDER):
                counts[history[_ORDER - 1 - n :]][word] += 1
    return {history: (seen, seen.total()) for history, seen in counts.items()}


def _places(text: str) -> Iterator[_Place]:
    words = [*[""] * (_ORDER - 1), *normalize(text).split(), ""]
    for i in range(_ORDER - 1, len(words)):
        yield tuple(words[i - _ORDER + 1 : i]), words[i]
