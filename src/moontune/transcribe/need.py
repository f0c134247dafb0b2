"""Which drafts to correct first: those that a training has most to learn from.

A draft is worth the words in it that are likely wrong (one less its confidence, summed), and half a
word more for each right one that is in no transcript yet, by the second that it takes to correct.
Of a speaker with minutes transcribed already each further one is worth less: half after five. What
was chosen before counts as transcribed.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.languages.words import written_words

_NEW_WORD = 0.5  # of a wrong one
_EACH_CLIP_S = 2.0  # of looking at a clip, however short
_HALF_WORTH_S = 300.0


@dataclass(frozen=True)
class Draft:
    """A clip's transcript that nobody has read."""

    text: str
    confidences: Sequence[float]  # one for each written word
    seconds: float
    speaker: str | None = None

    @property
    def likely_wrong(self) -> float:
        """How many words are likely wrong."""
        return sum(1 - sure for sure in self.confidences)

    def normalized(self) -> dict[str, float]:
        """Its words as they are scored, each with its highest confidence."""
        words: dict[str, float] = {}
        for word, sure in zip(written_words(self.text), self.confidences, strict=True):
            for part in normalize(word).split():
                words[part] = max(sure, words.get(part, 0.0))
        return words


@dataclass
class Transcribed:
    """What is transcribed already: its words, and seconds by speaker."""

    words: set[str] = field(default_factory=set)
    seconds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> Transcribed:
        known = cls()
        for u in utterances:
            known.words.update(normalize(u.text).split())
            if u.speaker is not None:
                known.seconds[u.speaker] += u.duration_or_1s  # type: ignore[assignment]
        return known

    def share(self, speaker: str | None) -> float:
        """What a further minute of a speaker is worth, 0 to 1; of who is not named nothing is
        known."""
        return 1.0 if speaker is None else 1 / (1 + self.seconds[speaker] / _HALF_WORTH_S)


class _Heap:
    """A speaker's drafts. What one is worth only falls, so its worth is reckoned again only where
    it seems to be the best."""

    def __init__(self, drafts: Sequence[Draft], places: Sequence[int], known: Transcribed) -> None:
        self._drafts, self._known = drafts, known
        self._words = {i: drafts[i].normalized() for i in places}
        self._heap = [(-self._worth(i), i) for i in places]
        heapq.heapify(self._heap)

    def _worth(self, i: int) -> float:
        draft = self._drafts[i]
        new = sum(sure for word, sure in self._words[i].items() if word not in self._known.words)
        return (draft.likely_wrong + _NEW_WORD * new) / (draft.seconds + _EACH_CLIP_S)

    def best(self) -> tuple[float, int] | None:
        """The best draft's worth and place; None where none is left."""
        while self._heap:
            stale, i = self._heap[0]
            worth = self._worth(i)
            if -worth == stale:
                return worth, i
            heapq.heapreplace(self._heap, (-worth, i))
        return None

    def take(self) -> None:
        """The best one counts as transcribed."""
        _, i = heapq.heappop(self._heap)
        self._known.words.update(self._words.pop(i))


def ranked(drafts: Sequence[Draft], known: Transcribed) -> list[tuple[int, float]]:
    """Places in `drafts`, the one to correct first first, each with its worth when it was chosen:
    words to learn by the second of work.

    `known` gets them all.
    """
    places: dict[str | None, list[int]] = defaultdict(list)
    for i, draft in enumerate(drafts):
        places[draft.speaker].append(i)
    heaps = {speaker: _Heap(drafts, own, known) for speaker, own in places.items()}
    waiting = [(-float("inf"), n, speaker) for n, speaker in enumerate(heaps)]
    chosen: list[tuple[int, float]] = []
    while waiting:
        stale, n, speaker = waiting[0]
        best = heaps[speaker].best()
        if best is None:
            heapq.heappop(waiting)
            continue
        worth = known.share(speaker) * best[0]
        if -worth != stale:
            heapq.heapreplace(waiting, (-worth, n, speaker))
            continue
        heaps[speaker].take()
        if speaker is not None:
            known.seconds[speaker] += drafts[best[1]].seconds  # type: ignore[assignment]
        chosen.append((best[1], worth))
    return chosen
