"""Transcripts of models, how sure their words are, and their errors, as counts: a share of so few
words would say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moontune.evaluation.error_rates import sum_edits, word_edits
from moontune.evaluation.word_diff import Marked
from moontune.languages.table import current
from moontune.languages.words import written_words
from moontune.system.formatting import counted


@dataclass(frozen=True)
class Hypothesis:
    """One model's transcript of a clip."""

    name: str  # "base", "tuned", "model"
    text: str
    seconds: float  # of computing
    # Chance that each written word of the text is right; None where no consensus was asked for.
    confidences: tuple[float, ...] | None = None
    calibration: str = ""  # what they rest on


def with_confidences(
    marked: Marked, confidences: Sequence[float] | None
) -> list[tuple[str, str] | tuple[str, str, float]]:
    """Marked words of a transcript, each with its confidence where there are any. Words that are
    marked as one have one."""
    if confidences is None:
        return [*marked]
    found, place = [], 0
    for text, kind in marked:
        sure = confidences[min(place, len(confidences) - 1)]
        found.append((text, kind, round(sure, 3)))
        place += len(written_words(text))
    return found


def difference(hypotheses: Sequence[Hypothesis]) -> str:
    """How two transcripts differ, in words; "" of one alone."""
    if len(hypotheses) < 2:
        return ""
    one, other = hypotheses
    if one.text == other.text:
        return "both write the same"
    differing = word_edits(one.text, other.text).errors
    if not differing:
        return "only case, punctuation or fillers differ"
    return f"{counted(differing, current().unit)} {'differs' if differing == 1 else 'differ'}"


def sentence(clips: Sequence[tuple[str, Sequence[Hypothesis]]]) -> str:
    """How often each model was wrong on clips whose right texts are known, at least one, such as
    `4 words: base 7 errors, tuned none`."""
    names = [h.name for h in clips[0][1]]
    edits = [
        sum_edits(word_edits(text, hypotheses[i].text) for text, hypotheses in clips)
        for i in range(len(names))
    ]
    words = counted(edits[0].words, current().unit)
    errors = [counted(e.errors, "error") if e.errors else "no error" for e in edits]
    if len(set(errors)) == 1:
        each = " each" if len(names) > 1 and edits[0].errors else ""
        return f"{words}: {errors[0]}{each}"
    return f"{words}: {', '.join(f'{n} {e}' for n, e in zip(names, errors, strict=True))}"
