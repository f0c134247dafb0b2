"""Which of several transcripts of a clip to take: the one that the others agree with most.

The transcript with the least mean word distance to the others is the one with the least expected
error (minimum Bayes risk: Kumar and Byrne 2004). By their probabilities the likeliest would decide
alone, and they are too short; equal weights heed the inventions that a model makes of what it does
not understand. So they weigh by how likely they are a word (docs/experiments.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from moontune.data.normalizer import normalize
from moontune.models.decoding import Transcript, endless
from moontune.models.language_model import LanguageModel

# The beams of a clip with their log probabilities, nats, likeliest first.
Beams = Sequence[tuple[Transcript, float]]

BEAMS = 8  # of a clip, each time that it is heard
# The likeliest that come to an end count: so many, or a third of those of a clip heard more often.
_COUNTED, _THIRD = 4, 3
_SHARPNESS = 2.0  # of the weights, a nat a word


def agreed(written: Beams, language_model: LanguageModel | None = None) -> Transcript:
    """The consensus of a clip's beams: of the first few, those without an end left out where
    others have one. With a language model they are as likely as both say."""
    if language_model is not None:
        both = [(t, likely + language_model.bonus(t.text)) for t, likely in written]
        written = sorted(both, key=lambda pair: -pair[1])
    pairs = counted(written)
    return pairs[consensus([t.text for t, _ in pairs], [likely for _, likely in pairs])][0]


def counted(written: Beams) -> Beams:
    """Of a clip's beams, likeliest first, those that its consensus is chosen from."""
    most = max(_COUNTED, len(written) // _THIRD)
    return ([pair for pair in written if not endless(pair[0])] or list(written))[:most]


def consensus(texts: Sequence[str], log_probabilities: Sequence[float]) -> int:
    """The place of the text with the least mean word distance to the others, the first of several.

    Words are as WER counts them; probabilities are of whole transcripts, nats. Raises ValueError
    where there is no text.
    """
    from rapidfuzz.distance import Levenshtein

    words = [normalize(text).split() for text in texts]
    _, weights = word_weights(texts, log_probabilities)

    def cost(mine: Sequence[str]) -> float:
        others = zip(weights, words, strict=True)
        return sum(weight * Levenshtein.distance(mine, other) for weight, other in others)

    costs = list(map(cost, words))
    return costs.index(min(costs))


def word_weights(
    texts: Sequence[str], log_probabilities: Sequence[float]
) -> tuple[list[float], list[float]]:
    """How likely each text is, nats a word, one more counted for the end; and its weight by that,
    1 of the likeliest."""
    a_word = [
        p / (len(normalize(text).split()) + 1)
        for text, p in zip(texts, log_probabilities, strict=True)
    ]
    return a_word, [math.exp(_SHARPNESS * (p - max(a_word))) for p in a_word]
