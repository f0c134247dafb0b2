"""Differences of a hypothesis from its reference, word by word as it was written.

Words are aligned by their normalised form, the one WER counts, and shown as they were written.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from moontune.languages.table import current
from moontune.languages.words import joined_words
from moontune.models.confidence.written import WrittenText, read_written

Kind = Literal["same", "style", "wrong", "extra", "missing"]
Change = Literal["", "fixed", "broken"]


@dataclass(frozen=True)
class Word:
    """A word of a hypothesis, or one that it lacks."""

    text: str
    kind: Kind  # style: right, but for case, punctuation or what the normaliser drops
    said: str = ""  # for a wrong word, what the reference has in its place
    change: Change = ""  # against the other model


def diff_transcripts(
    reference: str, before: str, after: str, *, style: bool
) -> tuple[list[Word], list[Word]]:
    """Both hypotheses with their errors marked, and what the second fixed or broke.

    `style` marks words that differ from the reference only in case or punctuation.
    """
    ref, first, second = read_written(reference), read_written(before), read_written(after)
    old, new = _Alignment(ref, first), _Alignment(ref, second)
    return list(_words(old, None, style)), list(_words(new, old, style))


def to_read(words: Sequence[Word]) -> list[Word]:
    """The words; of characters those of a kind that stand together as one."""
    if current().spaced:
        return [*words]
    return [
        Word(joined_words(w.text for w in part), kind, joined_words(w.said for w in part), change)
        for (kind, change), group in itertools.groupby(words, lambda w: (w.kind, w.change))
        for part in [list(group)]
    ]


class _Alignment:
    """Which token of a hypothesis stands for which token of the reference."""

    def __init__(self, ref: WrittenText, hyp: WrittenText) -> None:
        from rapidfuzz.distance import Levenshtein

        self.ref, self.hyp = ref, hyp
        self.steps: list[tuple[str, int, int]] = []
        self.heard: set[int] = set()  # reference tokens that are right
        self.extra: Counter[int] = Counter()  # insertions before each reference token
        for op in Levenshtein.opcodes(ref.tokens, hyp.tokens):
            length = max(op.src_end - op.src_start, op.dest_end - op.dest_start)
            for k in range(length):
                self.steps.append((op.tag, op.src_start + k, op.dest_start + k))
            if op.tag == "equal":
                self.heard.update(range(op.src_start, op.src_end))
            elif op.tag == "insert":
                self.extra[op.src_start] += length


def _words(now: _Alignment, old: _Alignment | None, style: bool) -> Iterator[Word]:
    """The hypothesis in order, each written chunk once, missing words where they belong."""
    ref, hyp = now.ref, now.hyp
    of_chunk: dict[int, list[tuple[str, int]]] = {}
    for tag, i, j in now.steps:
        if tag != "delete":
            of_chunk.setdefault(hyp.owner[j], []).append((tag, i))
    following = 0  # the next chunk to write
    missing: list[int] = []
    for tag, i, j in now.steps:
        if tag == "delete":
            missing.append(i)
            continue
        yield from _missing(ref, missing, old)
        missing = []
        while following <= hyp.owner[j]:
            yield _word(now, following, of_chunk.get(following, []), old, style)
            following += 1
    yield from _missing(ref, missing, old)
    for rest in range(following, len(hyp.chunks)):
        yield _word(now, rest, of_chunk.get(rest, []), old, style)


def _word(
    now: _Alignment,
    chunk: int,
    steps: list[tuple[str, int]],
    old: _Alignment | None,
    style: bool,
) -> Word:
    text = now.hyp.chunks[chunk].raw
    tags = {tag for tag, _ in steps}
    if not tags:  # nothing that WER counts
        return Word(text, "style" if style else "same")
    partners = [i for tag, i in steps if tag != "insert"]
    if tags == {"equal"}:
        fixed = old is not None and any(i not in old.heard for i in partners)
        differs = style and now.ref.raw(partners) != text
        return Word(text, "style" if differs else "same", "", "fixed" if fixed else "")
    if tags == {"insert"}:
        gap = steps[0][1]
        more = old is not None and now.extra[gap] > old.extra[gap]
        return Word(text, "extra", "", "broken" if more else "")
    wrong = [i for tag, i in steps if tag == "replace"]
    broken = old is not None and any(i in old.heard for i in wrong)
    return Word(text, "wrong", now.ref.raw(partners), "broken" if broken else "")


def _missing(ref: WrittenText, tokens: list[int], old: _Alignment | None) -> Iterator[Word]:
    """Reference words that were not written; part of one ("have" of I've) as its token."""
    gone = set(tokens)
    written: set[int] = set()
    for i in tokens:
        chunk = ref.owner[i]
        if chunk in written:
            continue
        own = [t for t, owner in enumerate(ref.owner) if owner == chunk]
        lost = [t for t in own if t in gone]
        written.add(chunk)
        text = ref.chunks[chunk].raw if lost == own else joined_words(ref.tokens[t] for t in lost)
        broken = old is not None and any(t in old.heard for t in lost)
        yield Word(text, "missing", "", "broken" if broken else "")


Marked = list[tuple[str, str]]  # words as written, each "same", "style" or "other"


def diff_words(one: str, other: str) -> tuple[Marked, Marked]:
    """Both texts with the words marked that the other lacks; `style`: only the writing differs."""
    return _marked_against(one, other), _marked_against(other, one)


def _marked_against(text: str, other: str) -> Marked:
    words, _ = diff_transcripts(other, text, text, style=True)
    kinds = {"same": "same", "style": "style"}
    return [(w.text, kinds.get(w.kind, "other")) for w in words if w.kind != "missing"]
