"""Whether an adapter that was chosen by its loss is kept: it must be better in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moontune.evaluation.acceptance import WER_GAIN
from moontune.evaluation.degeneration import as_written, degenerated
from moontune.evaluation.error_rates import relative_gain
from moontune.languages.table import current
from moontune.models.decoding import Transcript
from moontune.system.formatting import counted, percent

if TYPE_CHECKING:
    from moontune.evaluation.evaluate import Evaluation

MOSTLY_WRONG = 0.6  # error rate; of nothing that the base is for it has been so high


def reason_to_keep_base(before: Evaluation, after: Evaluation) -> str | None:
    """A sentence, if the tuned model wrote no speech or is no better in words; else None.

    Both are of the same validation clips. Where the base has most of the words wrong, a loss falls
    already when the model becomes less sure of itself, whatever the texts; there, errors must be
    fewer.
    """
    collapsed = degenerated(_transcripts(before), _transcripts(after))
    if collapsed is not None:
        return collapsed
    clips = counted(after.utterances, "validation clip")
    if after.loss_words >= before.loss_words:
        return (
            f"on {clips} the loss of words is {after.loss_words:.3f}, "
            f"the base's {before.loss_words:.3f}"
        )
    gain = relative_gain(before.rate, after.rate)
    if before.rate is None or before.rate < MOSTLY_WRONG or (gain or 0.0) >= WER_GAIN:
        return None
    assert after.rate is not None
    return (
        f"on {clips} {percent(after.rate)} of the {current().unit}s are wrong, the "
        f"base's {percent(before.rate)}: the texts hardly belong to the audio, or teach no hearing"
    )


def _transcripts(done: Evaluation) -> list[Transcript]:
    return as_written(p.row() for p in done.predictions)
