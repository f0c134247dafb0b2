"""Confidences of words: calibrated on clips that were not trained on, and measured on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from moontune.config.schema import Decoding
from moontune.evaluation.comparison import groups_of
from moontune.evaluation.confidence.fitting import fit_calibration
from moontune.evaluation.confidence.judged import JudgedWord, judged_row, judged_words
from moontune.evaluation.confidence.reliability import WordConfidence, word_confidence
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import current
from moontune.models.confidence.calibration import (
    NOT_YOURS,
    Calibration,
    read_calibration,
    write_calibration,
)
from moontune.pipeline.consensus.search import SearchedClip
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.formatting import counted
from moontune.system.progress import Ui


def calibrate(run: RunDir, ui: Ui, validation: Sequence[SearchedClip], decoding: Decoding) -> None:
    """Calibrate the tuned model's confidences on the validation clips, so decoded."""
    clips = [
        judged_words(clip.utterance.text, clip.consensus.text, clip.consensus.confidences or ())
        for clip in validation
    ]
    calibration = replace(fit_calibration(clips), decoding=decoding)
    write_calibration(run.confidence, calibration)
    ui.note(f"confidences of {current().unit}s: {calibration.says}")


def calibrate_on_folds(run: RunDir, folds: RunDir) -> None:
    """Calibrate an adapter on all clips by the test clips of its cross-validation: there, each was
    transcribed by an adapter that never heard it. Nothing where that was not by consensus."""
    clips = _judged(folds.predictions("tuned"))
    if clips is None:
        run.confidence.unlink(missing_ok=True)
    else:
        found = replace(fit_calibration(clips), decoding=folds.config().eval.decoding)
        write_calibration(run.confidence, found)


def confidence_of(runs: Sequence[RunDir], seed: int) -> WordConfidence | None:
    """Of the tuned models' words on test clips, each run's by its own calibration; None where they
    were not decoded by consensus, or by an older moontune."""
    rows: list[PredictionRow] = []
    default: list[list[JudgedWord]] = []
    calibrations: list[Calibration] = []
    by: list[Calibration] = []  # of each clip
    for run in runs:
        of_run = run.predictions("tuned")
        clips = _judged(of_run)
        if clips is None or not run.confidence.is_file():
            return None
        calibrations.append(read_calibration(run.confidence, run.confidence_remedy))
        by += [calibrations[-1]] * len(clips)
        rows, default = rows + of_run, default + clips
    calibrated = [
        [JudgedWord(found(word.confidence), word.right) for word in clip]
        for found, clip in zip(by, default, strict=True)
    ]
    groups = groups_of(rows)[0]
    return word_confidence(_says(calibrations), default, calibrated, (groups, seed))


def _says(calibrations: Sequence[Calibration]) -> str:
    if len(calibrations) == 1:
        return calibrations[0].says
    own = [c.origin.words for c in calibrations if c.own and c.origin]
    if not own:
        return NOT_YOURS
    each = "each fold" if len(own) == len(calibrations) else f"{len(own)} of the folds"
    return (
        f"{each} calibrated on its own validation clips, {counted(sum(own), current().unit)} in all"
    )


def _judged(rows: Sequence[PredictionRow]) -> list[list[JudgedWord]] | None:
    found = [judged_row(row) for row in rows]
    known = [clip for clip in found if clip is not None]
    return known if len(known) == len(rows) else None
