"""A text as it is written, each word with what WER counts for it.

Words are normalised together where the normaliser takes several as one ("twenty one" is 21), and
one may be none ("uh") or several ("I've").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from moontune.data.normalizer import normalize
from moontune.languages.words import joined_words, written_words


class Chunk(NamedTuple):
    """Written words that are normalised together, as in "twenty one" to 21."""

    raw: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class WrittenText:
    """Written words in order, and the tokens of the whole text."""

    chunks: list[Chunk]
    tokens: list[str]
    owner: list[int]  # of each token, the chunk it belongs to

    def raw(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return joined_words(
            self.chunks[c].raw for c in dict.fromkeys(self.owner[t] for t in tokens)
        )


def read_written(text: str) -> WrittenText:
    """A text as written words, each with the tokens that WER counts for it."""
    chunks = [Chunk(word, tuple(normalize(word).split())) for word in written_words(text)]
    whole = normalize(text).split()
    if [t for c in chunks for t in c.tokens] != whole:
        chunks = _joined(chunks, whole)
    owner = [i for i, c in enumerate(chunks) for _ in c.tokens]
    return WrittenText(chunks, whole, owner)


def _joined(words: list[Chunk], whole: list[str]) -> list[Chunk]:
    """Words joined where the text as a whole is normalised otherwise than word by word."""
    from rapidfuzz.distance import Levenshtein

    single = [t for w in words for t in w.tokens]
    start = [0]
    for w in words:
        start.append(start[-1] + len(w.tokens))
    same = {
        op.src_start + k: op.dest_start + k
        for op in Levenshtein.opcodes(single, whole)
        if op.tag == "equal"
        for k in range(op.src_end - op.src_start)
    }
    chunks: list[Chunk] = []
    group: list[str] = []
    taken = 0
    for w, word in enumerate(words):
        places = [same.get(t) for t in range(start[w], start[w + 1])]
        first = places[0] if places else None
        if first is None or None in places or places != list(range(first, first + len(places))):
            group.append(word.raw)
            continue
        if group:
            chunks.append(Chunk(joined_words(group), tuple(whole[taken:first])))
            group, taken = [], first
        end = first + len(places)
        chunks.append(Chunk(word.raw, tuple(whole[taken:end])))
        taken = end
    if group or taken < len(whole):
        chunks.append(Chunk(joined_words(group), tuple(whole[taken:])))
    return chunks
