"""Wrong words among those that the decoder is told it has written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class TokenDropout:
    """Replaces a share of a text's tokens by others, drawn evenly from `tokens`.

    In training the decoder is told the right words so far; in use it is told its own, errors and
    all. One that has seen wrong words listens more, and is thrown off less by them.
    """

    def __init__(self, share: float, tokens: Sequence[int], seed: Sequence[int]) -> None:
        self._share, self._tokens = share, tokens
        self._rng = np.random.default_rng((*seed, 1))

    @property
    def rng(self) -> np.random.Generator:
        """The random generator of `drawn`."""
        return self._rng

    def drawn(self, ids: Sequence[int]) -> list[int]:
        """Other tokens replaced each time."""
        return self._replaced(ids, self._rng)

    def fixed(self, ids: Sequence[int]) -> list[int]:
        """The same tokens of a text replaced always, to measure with."""
        return self._replaced(ids, np.random.default_rng(ids))

    def _replaced(self, ids: Sequence[int], rng: np.random.Generator) -> list[int]:
        wrong = rng.random(len(ids)) < self._share
        others = rng.integers(len(self._tokens), size=len(ids))
        return [
            self._tokens[other] if is_wrong else right
            for right, is_wrong, other in zip(ids, wrong, others, strict=True)
        ]
