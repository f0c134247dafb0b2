"""Words of consensus transcripts, each with its confidence and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moontune.evaluation.predictions import PredictionRow
from moontune.languages.words import written_words
from moontune.models.confidence.agreement import agreed_chunks
from moontune.models.confidence.written import read_written


@dataclass(frozen=True)
class JudgedWord:
    """A word that WER counts, or words that are normalised together."""

    confidence: float  # 0 to 1
    right: bool


def judged_words(reference: str, hypothesis: str, confidences: Sequence[float]) -> list[JudgedWord]:
    """Of one clip, the written words of the hypothesis and their confidences. A word is right where
    all that is normalised of it stands at its place in the reference; what WER does not count is
    left out."""
    text = read_written(hypothesis)
    right = agreed_chunks(text, read_written(reference))
    found, place = [], 0
    for i, chunk in enumerate(text.chunks):
        width = len(written_words(chunk.raw))
        if chunk.tokens and width:
            found.append(JudgedWord(confidences[place], i in right))
        place += width
    return found


def judged_row(row: PredictionRow) -> list[JudgedWord] | None:
    """Of the consensus in a prediction row; None where it has none, or no confidences, as in runs
    older than that."""
    consensus = row.get("consensus")
    confidences = None if consensus is None else consensus.get("confidences")
    if consensus is None or confidences is None:
        return None
    return judged_words(row["reference"], consensus["hypothesis"], confidences)
