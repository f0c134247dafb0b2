"""Confidences of words, in words and in figures."""

from __future__ import annotations

from dataclasses import dataclass

from moontune.evaluation.confidence.reliability import WordConfidence
from moontune.languages.table import current
from moontune.report.markdown import cell, table
from moontune.system.formatting import counted


@dataclass(frozen=True)
class ReliabilityRow:
    """Words of like confidence, in figures."""

    called: str
    words: int
    mean: str
    right: str
    interval: str


def reliability_rows(found: WordConfidence) -> list[ReliabilityRow]:
    """A row a tenth of confidences that has words."""
    return [
        ReliabilityRow(
            called=f"{100 * one.low:.0f} to {100 * one.high:.0f} %",
            words=one.words,
            mean=tenth(one.predicted),
            right=tenth(one.observed),
            interval=" to ".join(f"{100 * end:.0f}" for end in one.interval),
        )
        for one in found.test.bins
    ]


def reliability_sentence(found: WordConfidence) -> str:
    """Calibration error, AUC and Brier score, and what they are of."""
    test, unit = found.test, current().unit
    pairs = (
        ""
        if test.auc is None
        else f"Of a right and a wrong {unit} the right one is surer in {tenth(test.auc)} (AUC). "
    )
    return (
        f"{counted(test.words, unit)} of {counted(test.clips, 'test clip')}, "
        f"{tenth(test.right / test.words)} of them right; {found.says}. Confidences are off by "
        f"{100 * test.ece:.1f} points on average (ECE; {100 * found.default_ece:.1f} by default). "
        f"{pairs}Brier score {test.brier:.4f} ({found.default_brier:.4f} by default, "
        f"{test.brier_share:.4f} of one confidence for all). "
        f"{unit.capitalize()}s that were left out have none."
    )


def confidence_section(found: WordConfidence | None) -> list[str]:
    """The same as Markdown; nothing where it was not measured."""
    if found is None:
        return []
    rows = [(r.called, r.words, r.mean, r.right, r.interval) for r in reliability_rows(found)]
    head = ("called", f"{current().unit}s", "mean", "right", "95 % interval")
    sentence = cell(reliability_sentence(found))
    return [f"### How sure it is of a {current().unit}\n\n{table(head, rows)}\n\n{sentence}"]


def tenth(share: float) -> str:
    """A share in percent, with a tenth."""
    return f"{100 * share:.1f} %"
