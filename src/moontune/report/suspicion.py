"""Transcripts that look wrong, in words."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.evaluation.screening.suspects import Suspect
from moontune.system.formatting import counted


def suspicion(suspects: Sequence[Suspect]) -> str:
    """How many there are, what was done with them and where all are listed."""
    aside = sum(s.set_aside for s in suspects)
    tested = sum(s.split == "test" for s in suspects)
    text = (
        f"{counted(len(suspects), 'transcript')} fit their audio no better than that of other clips"
        " does. Listen: what is said may be something else."
    )
    if aside:
        text += f" {aside} were not trained on."
    if tested:
        text += f" {tested} are test clips and count in every figure."
    return f"{text} All are in suspects.jsonl."


def used_for(suspect: Suspect) -> str:
    """What became of it."""
    if suspect.split == "test":
        return "tested on"
    return "set aside" if suspect.set_aside else "trained on"
