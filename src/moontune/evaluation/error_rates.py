"""Word and character error rates from references and hypotheses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.normalizer import normalize
from moontune.languages.table import current


@dataclass(frozen=True)
class Edits:
    """Edits that turn a normalised reference into a normalised hypothesis: of words, or of
    characters in a language that does not separate words."""

    substitutions: int
    deletions: int
    insertions: int
    words: int  # in the normalised reference

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def word_edits(reference: str, hypothesis: str) -> Edits:
    """Edits between two texts after normalisation of both."""
    ref, hyp = normalize(reference), normalize(hypothesis)
    if not ref:
        return Edits(0, 0, len(hyp.split()), 0)
    import jiwer

    out = jiwer.process_words(ref, hyp)
    return Edits(out.substitutions, out.deletions, out.insertions, len(ref.split()))


def sum_edits(edits: Iterable[Edits]) -> Edits:
    rows = list(edits)
    return Edits(
        sum(e.substitutions for e in rows),
        sum(e.deletions for e in rows),
        sum(e.insertions for e in rows),
        sum(e.words for e in rows),
    )


def corpus_wer(edits: Iterable[Edits]) -> float | None:
    """Sum of edits over sum of reference words, or characters, as edits are counted; None where
    there are none."""
    total = sum_edits(edits)
    return total.errors / total.words if total.words else None


def leading_rate(row: Mapping[str, Any]) -> Any:
    """The error rate that leads, of a row of JSON that has it alone under its name. Raises KeyError
    where it has none."""
    return row["wer"] if "wer" in row else row["cer"]


def evaluated_rate(row: Mapping[str, Any]) -> float | None:
    """The error rate that leads, of an evaluation's summary, which has both: CER where there is no
    WER. Raises KeyError."""
    return row.get("cer") if row["wer"] is None else row["wer"]


@dataclass(frozen=True)
class CharacterEdits:
    """Character edits between a normalised reference and hypothesis: spaces included, where they
    are as words are spelled."""

    errors: int
    characters: int  # in the normalised reference


def character_edits(reference: str, hypothesis: str) -> CharacterEdits:
    """Edits between two texts after normalisation of both."""
    from rapidfuzz.distance import Levenshtein

    ref, hyp = normalize(reference), normalize(hypothesis)
    if not current().spaces_are_sure:
        ref, hyp = ref.replace(" ", ""), hyp.replace(" ", "")
    return CharacterEdits(Levenshtein.distance(ref, hyp), len(ref))


def corpus_cer(edits: Iterable[CharacterEdits]) -> float | None:
    """Sum of edits over sum of reference characters; None where there are none."""
    rows = list(edits)
    characters = sum(e.characters for e in rows)
    return sum(e.errors for e in rows) / characters if characters else None


def corpus_rate(pairs: Iterable[tuple[str, str]]) -> float | None:
    """The error rate that leads, of references and what was written for them; None where there is
    nothing in the references."""
    if current().spaced:
        return corpus_wer(word_edits(*pair) for pair in pairs)
    return corpus_cer(character_edits(*pair) for pair in pairs)


def words_heard(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """For each word of a normalised reference, whether the aligned hypothesis has it."""
    from rapidfuzz.distance import Levenshtein

    heard = [False] * len(reference)
    for op in Levenshtein.opcodes(reference, hypothesis):
        if op.tag == "equal":
            heard[op.src_start : op.src_end] = [True] * (op.src_end - op.src_start)
    return heard


def relative_gain(before: float | None, after: float | None) -> float | None:
    """The decrease to `after`, as a share of `before`; None where that has no meaning."""
    if before is None or after is None or before == 0:
        return None
    return (before - after) / before
