"""Predictions of a run with what its text makes of them, and how that has a say."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.data.normalizer import normalize
from moontune.data.word_lists.domain_text import sentences_of
from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.measures import Sides, TextUse
from moontune.evaluation.predictions import PredictionRow
from moontune.pipeline.consensus.domain_text import weighed_text
from moontune.pipeline.run_folder.run_dir import RunDir


def weighed_predictions(run: RunDir, which: str) -> list[PredictionRow]:
    """What a model wrote of the test clips, and where the run has a text its consensus with that.
    Raises UserError where the text is another than at the evaluation."""
    rows = run.predictions(which)
    if not run.config().terms.has_text:
        return rows
    return with_domain_text(rows, weighed_text(run, which).texts)


def text_use_of(runs: Sequence[RunDir]) -> TextUse | None:
    """Of a run, or of folds of one text; None where they have none. Raises UserError as above."""
    if not all(run.config().terms.has_text for run in runs):
        return None
    chosen = (tuple(weighed_text(run, which).chosen for run in runs) for which in ("base", "tuned"))
    return TextUse(Sides(*chosen), sum(map(_known, runs)))


def _known(run: RunDir) -> int:
    """How many of its test clips have words, and all their sentences stand in its text."""
    there = set(map(normalize, run.words.sentences()))
    said = (u.text for u in run.utterances("test"))
    parts = [list(filter(None, map(normalize, sentences_of(text)))) for text in said]
    return sum(bool(found) and there.issuperset(found) for found in parts)
