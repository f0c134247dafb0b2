"""Case and punctuation, which WER cannot see: how models write, and whether two write alike."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.data.normalizer import normalize
from moontune.data.truecasing import ends_sentence, restore_style, style_of, word_core, word_key
from moontune.evaluation.measures import Habits, StyleRetention
from moontune.languages.table import current
from moontune.languages.words import joined_words, written_words


def reference_in_style_of(reference: str, hypothesis: str) -> str:
    """The words of `reference` written as the author of `hypothesis` writes: what a model that
    heard every word would have put there. The reference itself where its words would change."""
    cores = (word_core(word) for word in written_words(reference))
    bare = joined_words(core for core in cores if core)
    bare = bare.lower() if current().cased else bare
    habit = style_of([hypothesis])
    if habit == "cased":
        text = restore_style(bare, hypothesis)
    else:
        text = bare.upper() if habit == "upper" else bare
    return text if normalize(text) == normalize(reference) else reference


def retention(before: Sequence[str], after: Sequence[str]) -> StyleRetention:
    """Shares of transcripts that begin with a capital and end in punctuation, for both; and, over
    the words both wrote, how often the case and the punctuation behind the word are the same."""
    words = same_case = same_marks = 0
    for one, other in zip(before, after, strict=True):
        for a, b in _agreeing(written_words(one), written_words(other)):
            words += 1
            same_case += word_core(a) == word_core(b)
            same_marks += a.rpartition(word_core(a))[2] == b.rpartition(word_core(b))[2]
    return StyleRetention(
        before=_habits(before),
        after=_habits(after),
        words_compared=words,
        same_case=same_case / words if words else None,
        same_punctuation=same_marks / words if words else None,
    )


def _agreeing(one: list[str], other: list[str]) -> list[tuple[str, str]]:
    from rapidfuzz.distance import Levenshtein

    one, other = [w for w in one if word_core(w)], [w for w in other if word_core(w)]
    pairs: list[tuple[str, str]] = []
    for op in Levenshtein.opcodes([word_key(w) for w in one], [word_key(w) for w in other]):
        if op.tag == "equal":
            pairs += zip(
                one[op.src_start : op.src_end], other[op.dest_start : op.dest_end], strict=True
            )
    return pairs


def _habits(texts: Sequence[str]) -> Habits:
    """Of the transcripts that have words, how many are written as sentences are."""
    cores = [(word_core(text)[:1], ends_sentence(text)) for text in texts if word_core(text)]
    n = len(cores)
    return Habits(
        capital=sum(first.isupper() for first, _ in cores) / n if n else None,
        punctuation=sum(ends for _, ends in cores) / n if n else None,
    )
