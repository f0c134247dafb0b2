"""Two transcripts of one clip, with the words in which they differ marked. No torch here."""

from __future__ import annotations

from moontune.evaluation.word_diff import compare

Marked = list[tuple[str, str]]  # words as written, each "same", "style" or "other"


def marked(one: str, other: str) -> tuple[Marked, Marked]:
    """Both with the words that the other has not marked; `style`: only its writing differs."""
    return _against(one, other), _against(other, one)


def _against(text: str, other: str) -> Marked:
    words, _ = compare(other, text, text, style=True)
    kinds = {"same": "same", "style": "style"}
    return [(w.text, kinds.get(w.kind, "other")) for w in words if w.kind != "missing"]
