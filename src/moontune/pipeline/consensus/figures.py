"""Predictions of a run with what its text makes of them, and the weights of both models."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from moontune.errors import UserError
from moontune.evaluation.domain_text.results import WeighedText, with_domain_text
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import PredictionRow, stored_predictions
from moontune.pipeline.run_dir import RunDir
from moontune.system.files import file_sha256


def weighed_predictions(run: RunDir, which: str) -> list[PredictionRow]:
    """What a model wrote of the test clips, and where the run has a text its consensus with that.
    Raises UserError where the text is another than at the evaluation."""
    rows = stored_predictions(run / f"predictions_{which}.jsonl")
    if run.config().terms.domain_text is None:
        return rows
    return with_domain_text(rows, _weighed(run, which).texts)


def text_weights_of(runs: Sequence[RunDir]) -> Sides[tuple[ChosenWeight, ...]] | None:
    """Of a run, or of folds; None where they have no text. Raises UserError as above."""
    if not all(run.config().terms.domain_text for run in runs):
        return None
    return Sides(
        *(tuple(_weighed(run, which).chosen for run in runs) for which in ("base", "tuned"))
    )


def _weighed(run: RunDir, which: str) -> WeighedText:
    found = run.weighed_text(which)
    if found is None or found.text_sha256 != file_sha256(run.domain_text):
        raise UserError(
            f"{run.domain_text}: is not the text that was measured; again: moontune evaluate "
            f"{shlex.quote(str(run.path))} --overwrite"
        )
    return found
