"""Which candidates the model finds likely enough, and the transcript with these.

A term costs what the transcript with it is less likely than without, in nats. It is taken if that
is at most the bonus for each of its tokens, times its weight. So a bonus is what shallow fusion
adds to each token of a term, without a search in which other words may change too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from moontune.data.word_lists.key_terms import KeyTerm
from moontune.models.decoding import Transcript
from moontune.models.key_terms.candidates import Candidate, TermIndex

BONUS = 2.0  # nats a token
MOST_BONUS = 10.0


@dataclass(frozen=True)
class KeyTerms:
    """Terms to write, and how likely they are beforehand."""

    terms: tuple[KeyTerm, ...]
    bonus: float = BONUS


@dataclass(frozen=True)
class Tokenized:
    """A text as the decoder is asked for it."""

    clip: int
    ids: tuple[int, ...]  # EOS included


# Nats of texts in their clips.
Losses = Callable[[Sequence[Tokenized]], Sequence[float]]


class KeyTermWriter:
    """Puts terms into transcripts of which the model finds them likely enough."""

    def __init__(self, known: KeyTerms, tokenize: Callable[[str], list[int]]) -> None:
        """`tokenize` gives the tokens of a text, EOS at its end."""
        self._index, self._tokenize, self._bonus = TermIndex(known.terms), tokenize, known.bonus

    def __call__(self, transcripts: Sequence[Transcript], losses: Losses) -> list[Transcript]:
        """Transcripts of clips with the terms that were said in them."""
        [found] = self.by_bonus(transcripts, losses, [self._bonus])
        return found

    def by_bonus(
        self, transcripts: Sequence[Transcript], losses: Losses, bonuses: Sequence[float]
    ) -> list[list[Transcript]]:
        """The same by each bonus, the losses computed once."""
        tried = [
            (i, candidate)
            for i, transcript in enumerate(transcripts)
            for candidate in self.candidates(transcript)
        ]
        costs = self._costs(tried, transcripts, losses)
        of_clip: list[list[tuple[Candidate, float]]] = [[] for _ in transcripts]
        for (i, candidate), cost in zip(tried, costs, strict=True):
            of_clip[i].append((candidate, cost))
        return [
            [self._written(t, found, bonus) for t, found in zip(transcripts, of_clip, strict=True)]
            for bonus in bonuses
        ]

    def candidates(self, transcript: Transcript) -> list[Candidate]:
        """What is tried in a transcript; nothing where it has no end of its own."""
        return [] if transcript.truncated else self._index.candidates(transcript.text)

    def _costs(
        self,
        tried: Sequence[tuple[int, Candidate]],
        transcripts: Sequence[Transcript],
        losses: Losses,
    ) -> list[float]:
        """Nats that the transcript with each candidate is less likely than without."""
        clips = sorted({i for i, _ in tried})
        asked = [Tokenized(i, tuple(transcripts[i].tokens)) for i in clips]
        texts = [(i, text) for i, candidate in tried for text in candidate.as_said]
        asked += [Tokenized(i, tuple(self._tokenize(text))) for i, text in texts]
        found = list(losses(asked)) if asked else []
        without = dict(zip(clips, found, strict=False))
        spelled = iter(found[len(clips) :])
        return [
            min(next(spelled) for _ in candidate.as_said) - without[i] for i, candidate in tried
        ]

    def _may_cost(self, term: KeyTerm, bonus: float) -> float:
        return bonus * term.weight * (len(self._tokenize(f" {term.text}")) - 1)

    def _written(
        self, transcript: Transcript, costs: Sequence[tuple[Candidate, float]], bonus: float
    ) -> Transcript:
        """With the candidates that cost least beyond what they may, none where another is."""
        beyond = [(one, cost - self._may_cost(one.term, bonus)) for one, cost in costs]
        taken: list[Candidate] = []
        for candidate, cost in sorted(beyond, key=lambda pair: pair[1]):
            if cost > 0:
                break
            if all(candidate.end <= other.first or other.end <= candidate.first for other in taken):
                taken.append(candidate)
        count = len(transcript.text.split())
        for candidate in sorted(taken, key=lambda one: -one.first):  # from behind: places hold
            transcript = self._replaced(transcript, candidate, count)
        return transcript

    def _replaced(self, transcript: Transcript, candidate: Candidate, count: int) -> Transcript:
        """With the term in its place; the candidate is of a transcript of `count` words."""
        words = transcript.text.split()
        new = candidate.text.split()
        middle = new[candidate.first : len(new) - (count - candidate.end)]
        text = " ".join([*words[: candidate.first], *middle, *words[candidate.end :]])
        sure = transcript.confidences
        if sure is not None:
            least = min(sure[candidate.first : candidate.end])
            sure = (*sure[: candidate.first], *[least] * len(middle), *sure[candidate.end :])
        return replace(transcript, text=text, tokens=self._tokenize(text), confidences=sure)
