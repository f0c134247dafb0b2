"""A transcript, and how long it may get. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transcript:
    text: str
    tokens: list[int]  # without the start token; ends in EOS unless truncated
    truncated: bool  # the token cap ended it


@dataclass(frozen=True)
class TokenCap:
    """The most new tokens of a greedy transcript, EOS included: without a limit it can loop.

    The rate is the model card's, 6.5 a second for Latin scripts; the margin is for clips of a
    second or two, where fast speech needs more than the rate gives (`benchmarks/token_cap.py`).
    """

    per_second: float
    margin: int

    def __call__(self, duration_s: float) -> int:
        """Tokens for a clip of so many seconds, at least one."""
        return max(1, int(duration_s * self.per_second) + self.margin)

    def __str__(self) -> str:
        return f"int(seconds x {self.per_second:g}) + {self.margin}"
