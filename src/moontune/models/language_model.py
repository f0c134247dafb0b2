"""How likely words are behind others in texts of a domain, for the choice among beams.

A trigram of words as they are counted (`normalize`), smoothed down to every word alike (Witten and
Bell 1991, method C), so that a text of a few hundred sentences does. It changes which of a clip's
beams are taken for likely and how much each weighs, by `WEIGHT` of its log probability; the beams
are the model's own.
"""

from __future__ import annotations

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

from moontune.data.normalizer import normalize

WEIGHT = 0.1  # nats of a beam for each nat; measured in docs/recipe.md
_ORDER, _WORDS = 3, 30_000  # words of a history and the next; words there are
_Place = tuple[tuple[str, ...], str]  # a history, and the word behind it; "" begins and ends


class LanguageModel:
    """A trigram of texts, in the language that is current when it is first asked."""

    def __init__(self, texts: Sequence[str], weight: float = WEIGHT) -> None:
        self._texts, self._weight = texts, weight

    def weighing(self, weight: float) -> LanguageModel:
        """The same with another weight; what was counted is shared."""
        self._counts  # noqa: B018 -- counted now, the copy has it too
        other = copy.copy(self)
        other._weight = weight
        return other

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
            seen = self._counts.get(history[_ORDER - 1 - n :])
            if seen:
                found = (seen[word] + len(seen) * found) / (seen.total() + len(seen))
        return found

    @cached_property
    def _counts(self) -> dict[tuple[str, ...], Counter[str]]:
        counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in self._texts:
            for history, word in _places(text):
                for n in range(_ORDER):
                    counts[history[_ORDER - 1 - n :]][word] += 1
        return dict(counts)


def _places(text: str) -> Iterator[_Place]:
    words = [*[""] * (_ORDER - 1), *normalize(text).split(), ""]
    for i in range(_ORDER - 1, len(words)):
        yield tuple(words[i - _ORDER + 1 : i]), words[i]
