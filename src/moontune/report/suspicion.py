"""Transcripts that look wrong, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moontune.evaluation.screening.suspects import Suspect
from moontune.system.formatting import agreeing, counted


def suspicion(suspects: Sequence[Suspect]) -> str:
    """How many there are, what was done with them and where all are listed."""
    aside = sum(s.set_aside for s in suspects)
    tested = sum(s.split not in ("train", "val") for s in suspects)
    is_one = "does not seem" if len(suspects) == 1 else "do not seem"
    text = (
        f"{counted(len(suspects), 'transcript')} {is_one} to be what is said: hearing the clip "
        "adds no more to the text than hearing other clips does. Listen, and correct what is wrong."
    )
    if aside:
        text += f" {aside} {agreeing(aside, 'was', 'were')} set aside: not trained or validated on."
    if tested:
        clips = agreeing(tested, "is a test clip, which counts", "are test clips, which count")
        text += f" {tested} {clips} in every figure as {agreeing(tested, 'it is', 'they are')}."
    return f"{text} {'It is' if len(suspects) == 1 else 'All are'} in suspects.jsonl."


def used_for(suspect: Suspect) -> str:
    """What became of it."""
    if suspect.set_aside:
        return "set aside"
    return {"train": "trained on", "val": "validated on", "test": "tested on"}.get(
        suspect.split, f"tested on in {suspect.split}"
    )


def row_of(suspect: Suspect) -> str:
    """The row it came from, without the folder."""
    return Path(suspect.where).name
