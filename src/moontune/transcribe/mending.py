"""Greedy transcripts without PyTorch, which is loaded for one that comes to no end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moontune.config.schema import TokenCap
from moontune.models.decoding import Transcribe, Transcript, endless

if TYPE_CHECKING:
    from moontune.models.transcriber import Transcriber


class MendedGreedy:
    """What `Transcriber` writes greedily, written without it as long as every transcript ends.

    One that does not gives way to the consensus of its clip's beams, as it does there and as runs
    are measured, so that the words are the same whatever they are asked for.
    """

    def __init__(self, plain: Transcribe, load: Callable[[], Transcriber]) -> None:
        """`load` is called once, for the first transcript that is to be mended."""
        self.plain, self._load = plain, load
        self._transcriber: Transcriber | None = None

    def __call__(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        found = self.plain(clips, cap)
        again = [i for i, transcript in enumerate(found) if endless(transcript)]
        if again:
            if self._transcriber is None:
                self._transcriber = self._load()
            mended = self._transcriber.mended_clips(
                [found[i] for i in again], [clips[i] for i in again], cap
            )
            for i, transcript in zip(again, mended, strict=True):
                found[i] = transcript
        return found
