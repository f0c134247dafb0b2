"""The validation clips' beams of a model, for the weight of a text and to calibrate confidences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance
from moontune.models.consensus import Beams
from moontune.models.decoding import Transcript
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import ProcessGroup
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.models.base_model import Base


@dataclass(frozen=True)
class SearchedClip:
    """A validation clip with its beams, and what they agree on."""

    utterance: Utterance
    beams: Beams
    consensus: Transcript  # with confidences by default


def search_validation(
    run: RunDir, config: RunConfig, ui: Ui, base: Base, which: str, group: ProcessGroup
) -> list[SearchedClip]:
    """Search those of the model as it is now; `which` is base or tuned."""
    from moontune.models.transcriber import Transcriber, transcripts_of

    def step(done: int, total: int) -> None:
        ui.progress(done, total, f"validation clips by consensus, {which} model")

    clips = group.on_main(lambda: run.fitting("val"))
    transcriber, cap = Transcriber(base, config.eval.decoding), config.eval.token_cap
    found = transcripts_of(transcriber.search_clips, clips, cap, group, step)
    return [
        SearchedClip(u, beams, transcriber.agreed(beams))
        for u, beams in zip(clips, found, strict=True)
    ]
