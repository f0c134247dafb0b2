"""How far a clip's beams agree with each word of the transcript that is taken.

Beams are aligned with the transcript word by word, as WER aligns a hypothesis with a reference. A
written word is agreed with where all that is normalised of it stands at its place; words that are
normalised together ("twenty one" to 21) are agreed with together. A word that WER does not count
("uh", a dash) is compared as it is written, without case and punctuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moontune.languages.words import written_words
from moontune.models.confidence.written import WrittenText, read_written
from moontune.models.consensus import word_weights
from moontune.models.decoding import Transcript, endless


class Evidence(NamedTuple):
    """What a clip's beams tell of a written word."""

    agreement: float  # share of beams that have it, 0 to 1, weighted as the consensus does
    likelihood: float  # of the whole transcript, nats a word
    beams: int  # that were counted


def evidence(text: str, written: Sequence[tuple[Transcript, float]]) -> tuple[Evidence, ...]:
    """Of each word of a transcript, as `written_words` has them. `written`: the clip's beams with
    their log probabilities, nats, the transcript among them; those without an end do not count
    where others have one."""
    counted = [pair for pair in written if not endless(pair[0])] or list(written)
    texts, likely = [t.text for t, _ in counted], [p for _, p in counted]
    a_word, weights = word_weights(texts, likely)
    mine, total = read_written(text), sum(weights)
    shares = [0.0] * len(mine.chunks)
    for other, weight in zip(texts, weights, strict=True):
        for chunk in agreed_chunks(mine, read_written(other)):
            shares[chunk] += weight / total
    likelihood = a_word[texts.index(text)]
    return tuple(
        Evidence(min(share, 1.0), likelihood, len(counted))
        for chunk, share in zip(mine.chunks, shares, strict=True)
        for _ in written_words(chunk.raw)
    )


def agreed_chunks(mine: WrittenText, other: WrittenText) -> set[int]:
    """The chunks of a text all of which stands in another at its place."""
    from rapidfuzz.distance import Levenshtein

    words, owner = _compared(mine)
    theirs, _ = _compared(other)
    blocks = Levenshtein.opcodes(words, theirs).as_matching_blocks()
    same = {i for start, _, size in blocks for i in range(start, start + size)}
    missed = {chunk for i, chunk in enumerate(owner) if i not in same}
    return set(owner) - missed


def _compared(text: WrittenText) -> tuple[list[str], list[int]]:
    """Words as they are compared, and the chunk of each."""
    words = [
        (word, i)
        for i, chunk in enumerate(text.chunks)
        for word in chunk.tokens or (_plain(chunk.raw),)
    ]
    return [word for word, _ in words], [i for _, i in words]


def _plain(raw: str) -> str:
    return "".join(c for c in raw.casefold() if c.isalnum()) or raw
