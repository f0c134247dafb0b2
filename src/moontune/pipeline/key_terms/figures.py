"""Key terms and rare words of a run, or of all folds, in figures."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.data.word_lists.key_terms import read_key_terms
from moontune.evaluation.key_terms.rare_words import ComparedClips, RareWords, rare_words, words_in
from moontune.evaluation.key_terms.results import (
    KeyTermResults,
    key_term_results,
)
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import current
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.key_terms.writing import written_terms
from moontune.pipeline.run_folder.run_dir import RunDir

_SIDES = ("base", "tuned")


def key_terms_of(runs: Sequence[RunDir], seed: int) -> KeyTermResults | None:
    """Of a run, or of folds of one list; None where they have none. Raises UserError where a list
    is another one than at the evaluation."""
    if not all(run.config().terms.key_terms for run in runs):
        return None
    rows = Sides(*([r for run in runs for r in _predictions(run, which)] for which in _SIDES))
    found = Sides(*([written_terms(run, which) for run in runs] for which in _SIDES))
    return key_term_results(
        read_key_terms(runs[0].words.key_terms),
        rows,
        Sides(
            *({k: v for one in side for k, v in one.texts.items()} for side in vars(found).values())
        ),
        Sides(*(tuple(one.chosen for one in side) for side in vars(found).values())),
        seed,
    )


def rare_words_of(runs: Sequence[RunDir], seed: int) -> RareWords | None:
    """Of a run, or of folds, each by its own training; None where words are not separated."""
    if not current().spaced:
        return None
    return rare_words(
        [
            ComparedClips(
                _predictions(run, "base"),
                _predictions(run, "tuned"),
                words_in(u.text for u in [*run.fitting("train"), *general_speech(run, "replay")]),
            )
            for run in runs
        ],
        seed,
    )


def _predictions(run: RunDir, which: str) -> list[PredictionRow]:
    return run.predictions(which)
