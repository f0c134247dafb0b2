"""Word and character error rates from references and hypotheses. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moontune.text import normalize


@dataclass(frozen=True)
class Edits:
    """Word edits that turn a normalised reference into a normalised hypothesis."""

    substitutions: int
    deletions: int
    insertions: int
    words: int  # in the normalised reference

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def word_edits(reference: str, hypothesis: str) -> Edits:
    """Edits between two texts after Whisper's English normalisation of both."""
    ref, hyp = normalize(reference), normalize(hypothesis)
    if not ref:
        return Edits(0, 0, len(hyp.split()), 0)
    import jiwer

    out = jiwer.process_words(ref, hyp)
    return Edits(out.substitutions, out.deletions, out.insertions, len(ref.split()))


def corpus_wer(edits: Iterable[Edits]) -> float | None:
    """Sum of edits over sum of reference words; None where there is no reference word."""
    errors = words = 0
    for e in edits:
        errors += e.errors
        words += e.words
    return errors / words if words else None


def relative_gain(before: float | None, after: float | None) -> float | None:
    """How much smaller `after` is, as a share of `before`; None where that has no meaning."""
    if before is None or after is None or before == 0:
        return None
    return (before - after) / before
