"""Predictions of a run with what its text makes of them, and how that has a say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moontune.data.normalizer import normalize
from moontune.data.word_lists.domain_text import sentences_of
from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.domain_text.weight import ChosenWeight
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
    return TextUse(Sides(*chosen), sum(len(_known(run)) for run in runs))


@dataclass(frozen=True)
class TextOfModel:
    """What a model makes of its run's text."""

    texts: dict[str, str]  # test transcripts that it changes, by clip
    chosen: tuple[ChosenWeight, ...]  # of each fold, or the run's own alone
    known: frozenset[str]  # test clips with words, whose sentences all stand in the text


def text_of(run: RunDir, which: str) -> TextOfModel | None:
    """Of a run or a cross-validation; None where it has no text, or no beams for it to choose
    among. Raises UserError as above."""
    config = run.config()
    if not config.terms.has_text or config.eval.decoding == "greedy":
        return None
    parts = [run]
    if run.kind == "crossval":
        parts = [RunDir(run / f"fold-{n}") for n in range(1, run.record()["folds"] + 1)]
    found = [weighed_text(part, which) for part in parts]
    return TextOfModel(
        {clip: text for one in found for clip, text in one.texts.items()},
        tuple(one.chosen for one in found),
        frozenset().union(*map(_known, parts)),
    )


def use_of_both(before: TextOfModel, after: TextOfModel) -> TextUse:
    """Of two models that are compared, each by its own text."""
    return TextUse(Sides(before.chosen, after.chosen), len(before.known | after.known))


def _known(run: RunDir) -> set[str]:
    """Its test clips that have words, and all of whose sentences stand in its text."""
    there = set(map(normalize, run.words.sentences()))
    found = set()
    for u in run.utterances("test"):
        parts = list(filter(None, map(normalize, sentences_of(u.text))))
        if parts and there.issuperset(parts):
            found.add(u.id)
    return found
