"""Transcripts that look wrong, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moontune.evaluation.screening.suspects import Suspect
from moontune.system.formatting import counted


def suspicion(suspects: Sequence[Suspect]) -> str:
    """How many there are, what was done with them and where all are listed."""
    aside = sum(s.set_aside for s in suspects)
    tested = sum(s.split == "test" for s in suspects)
    own = "its own audio makes it" if len(suspects) == 1 else "their own audio makes them"
    text = (
        f"{counted(len(suspects), 'transcript')}: {own} no likelier than other clips' audio does. "
        "Listen, and correct what is not said."
    )
    if aside:
        text += f" {aside} of the training and validation clips were set aside."
    if tested:
        text += f" {tested} of the test clips count in every figure as they are."
    return f"{text} All are in suspects.jsonl."


def used_for(suspect: Suspect) -> str:
    """What became of it."""
    if suspect.split == "test":
        return "tested on"
    return "set aside" if suspect.set_aside else "trained on"


def row_of(suspect: Suspect) -> str:
    """The row it came from, without the folder."""
    return Path(suspect.where).name
