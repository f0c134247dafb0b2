"""A model measured, as stages baseline and evaluate do: on the test split and general speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance
from moontune.languages.table import current
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import ProcessGroup
from moontune.system.files import write_json, write_jsonl
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.models.base_model import Base


def measure(
    run: RunDir, config: RunConfig, ui: Ui, base: Base, which: str, group: ProcessGroup
) -> None:
    """Write predictions and summaries of the model as it is now; `which` is base, tuned or earlier,
    the last on the test split alone."""
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

    for clips, prefix in (("test", ""), ("general", "general_")):
        if which == "earlier" and clips != "test":
            continue
        utterances = group.on_main(lambda clips=clips: _utterances(run, clips))
        if not utterances:
            continue  # no general speech
        evaluation = evaluate(
            base,
            utterances,
            load_audio,
            cap=config.eval.token_cap,
            decoding=config.eval.decoding if clips == "test" else "greedy",
            step=lambda i, n, clips=clips: ui.progress(i, n, f"{clips} clips, {which} model"),
            group=group,
        )
        if not group.is_main:
            continue
        rows = [prediction.row() for prediction in evaluation.predictions]
        write_jsonl(run / f"{prefix}predictions_{which}.jsonl", rows)
        write_json(run / f"{prefix}eval_{which}.json", evaluation.summary())
        rate = "none" if evaluation.rate is None else f"{100 * evaluation.rate:.2f} %"
        ui.note(
            f"{which}: loss {evaluation.loss:.4f}, {current().rate_label} {rate} on "
            f"{evaluation.utterances} {clips} clips"
        )


def _utterances(run: RunDir, clips: str) -> list[Utterance]:
    return run.utterances("test") if clips == "test" else general_speech(run, "general")
