"""Which sentences have a take, and what the takes are good for.

The folder is the only record: a sentence has a take where a row of the manifest remembers it, or
has its very text. So a list of sentences may grow or be mixed anew between two starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.system.formatting import counted
from moontune.web.corrected_clips import CorrectedClips, KeptClip
from moontune.web.next_training import NextTraining


@dataclass(frozen=True)
class Progress:
    """What is recorded of a list of sentences."""

    takes: dict[int, KeptClip]  # by the sentence's place, from 0; of several the last
    sentences: int
    clips: int  # all rows of the folder, also those of other sentences
    seconds: float
    next_place: int | None  # the first sentence without a take; None: all have one

    @property
    def line(self) -> str:
        """`34 of 212 sentences, 3.1 minutes`, or seconds below a minute."""
        length = f"{self.seconds / 60:.1f} minutes"
        if self.seconds < 60:
            length = f"{self.seconds:.0f} seconds"
        beside = self.clips - len(self.takes)
        more = f", with {counted(beside, 'other clip')}" if beside else ""
        return f"{len(self.takes)} of {counted(self.sentences, 'sentence')}, {length}{more}"


def progress(clips: Iterable[KeptClip], sentences: Sequence[str]) -> Progress:
    """How far `sentences` are recorded in the rows of a folder."""
    exact = {text: place for place, text in enumerate(sentences)}
    alike = {_same(text): place for place, text in enumerate(sentences)}
    takes, count, seconds = dict[int, KeptClip](), 0, 0.0
    for clip in clips:
        count += 1
        seconds += clip.utterance.duration or 0.0
        said = clip.prompt or clip.utterance.text
        place = exact.get(said, alike.get(_same(said)))
        if place is not None:
            takes[place] = clip
    without = (place for place in range(len(sentences)) if place not in takes)
    return Progress(takes, len(sentences), count, seconds, next(without, None))


def _same(text: str) -> str:
    """What two texts share that are one sentence."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def session_state(
    corrected: CorrectedClips, sentences: Sequence[str], training: NextTraining
) -> dict[str, Any]:
    """All that the page shows of the folder, for JSON. Raises UserError."""
    kept = corrected.listed()
    done = progress(kept.clips, sentences)
    return {
        "takes": {str(place): clip.to_json() for place, clip in done.takes.items()},
        "next": done.next_place,
        "line": done.line,
        **training.advised(clip.utterance for clip in kept.clips),
        "deleted": [clip.key for clip in kept.deleted],
        "unreadable": kept.unreadable,
    }
