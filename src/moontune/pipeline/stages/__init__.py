"""The stages of a run, a file each.

In reading order:

    sample      Stage sample: utterances corpus from the source into a new run
    clean       Stage clean: utterances that cannot be used dropped, with the reasons
    split       Stage split: train, val and test, by whole speakers or by recordings
    labels      Stage labels: training text in the style the base writes, from references and its
                transcripts
    baseline    Stage baseline: the base measured on the test split
    train       Stage train: settings recommended for the data, the adapter trained, the best one
                written
    evaluate    Stage evaluate: the tuned model measured as the base was
    artifact    Stage artifact: adapter and processor reloaded in a fresh process, on held-out clips
    verdict     Stage verdict: the run judged, and everything it measured in metrics.json
    report      Stage report: the run's Markdown and page, and its section in the collected report
    measure     A model measured, as stages baseline and evaluate do: on the test split and general
                speech
    confidence  Confidences of words: calibrated on clips that were not trained on, and measured on
                others
    next_steps  What to do after a run: one to three steps, each a command that can be typed
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step: what it reads must be there, what it writes makes later stages stale."""

    name: str  # also of its verb and of its file
    summary: str
    sections: tuple[str, ...] = ()  # of the configuration, that this stage obeys
    computes: bool = False  # uses the model, and so a device, in every process
    of_files: bool = False  # made of the run's files alone: what is wrong is wrong with these
    spares: tuple[str, ...] = ()  # later stages that read nothing of it, and so stay done

    def function(self) -> Callable[..., dict[str, Any]]:
        """Of RunDir, RunConfig, Ui, and where it computes of ProcessGroup. Imported only now, so
        that the table is there at once."""
        module = importlib.import_module(f"{__name__}.{self.name}")
        return getattr(module, f"{self.name}_stage")


STAGES = (
    Stage("sample", "take utterances from the source into a new run"),
    Stage("clean", "drop what cannot be used, with reasons", ("clean",)),
    Stage("split", "fix train, val and test, by whole speakers or by recordings", ("split",)),
    Stage(
        "labels",
        "write training text in the base's style, find wrong transcripts",
        ("labels", "model", "device"),
        computes=True,
    ),
    Stage(
        "baseline",
        "measure the base on the test split",
        ("eval", "device"),
        computes=True,
        spares=("train",),
    ),
    Stage("train", "train the adapter, keep the best", ("lora", "train", "device"), computes=True),
    Stage("evaluate", "measure the tuned model likewise", ("terms", "device"), computes=True),
    Stage("artifact", "reload it in a fresh process"),
    Stage("verdict", "accept or not, with the reasons", ("report",), of_files=True),
    Stage("report", "write the report", ("report",), of_files=True),
)
STAGE_NAMES = [stage.name for stage in STAGES]


def stage_named(name: str) -> Stage:
    """The stage of that name."""
    return STAGES[STAGE_NAMES.index(name)]


def stale_after(stage: Stage) -> list[str]:
    """Stages that have to be done again once this one is."""
    return [
        name
        for name in STAGE_NAMES[STAGE_NAMES.index(stage.name) + 1 :]
        if name not in stage.spares
    ]
