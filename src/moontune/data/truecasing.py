"""References written as the base model writes: its case and its punctuation, their own words."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from moontune.data.normalizer import normalize

Style = Literal["cased", "upper", "lower"]

_CORE = re.compile(r"[^\W_](?:.*[^\W_])?", re.DOTALL)  # a word without punctuation around it
# Of the base's punctuation only this is carried over: "5" is not "$5" or "5%" to the normaliser.
_MARKS = re.compile(r"[^.,!?;:\u2026-]")
_ABBREVIATIONS = {"mr.", "mrs.", "ms.", "dr.", "st.", "jr.", "sr.", "no."}
_SENTENCE_END = (".", "!", "?", "…", '."', '!"', '?"')


def style_of(texts: Iterable[str]) -> Style:
    """How a set of references is written: ALL CAPS, bare lower case, or properly cased."""
    upper = lower = punctuated = total = 0
    for text in texts:
        upper += sum(c.isupper() for c in text)
        lower += sum(c.islower() for c in text)
        punctuated += text.rstrip().endswith(_SENTENCE_END)
        total += 1
    letters = upper + lower
    if letters and upper >= 0.9 * letters:
        return "upper"
    if letters and upper <= 0.002 * letters and punctuated <= 0.1 * total:
        return "lower"
    return "cased"


def word_core(word: str) -> str:
    match = _CORE.search(word)
    return match.group() if match else ""


def word_key(word: str) -> str:
    return word_core(word).casefold().replace("\u2019", "'")


def ends_sentence(word: str) -> bool:
    if word.lower() in _ABBREVIATIONS:
        return False
    return word.rstrip("\"')\u201d\u2019").endswith((".", "!", "?", "…"))


def case_lexicon(hypotheses: Iterable[str]) -> dict[str, str]:
    """How the base writes each word inside a sentence: casefolded word -> its usual casing.

    Only words that are not plain lower case are kept: names, `I'm`, abbreviations.
    """
    seen: dict[str, Counter[str]] = {}
    for text in hypotheses:
        words = text.split()
        for before, word in itertools.pairwise(words):
            if not ends_sentence(before) and word_core(word):
                seen.setdefault(word_key(word), Counter())[word_core(word)] += 1
    usual = {key: counts.most_common(1)[0][0] for key, counts in seen.items()}
    return {key: form for key, form in usual.items() if form != form.lower()}


def _cased(word: str, lexicon: dict[str, str]) -> str:
    """A word of an unstyled reference in sentence case, its own punctuation kept."""
    core = word_core(word)
    if not core:
        return word
    key = word_key(word)
    if key == "i" or key.startswith("i'"):
        form = "I" + core[1:].lower()
    else:
        form = lexicon.get(key, core.lower())
    start = word.index(core)
    return word[:start] + form + word[start + len(core) :]


def _carry(reference: str, hypothesis: str) -> str:
    """One agreeing word: the base's case; the reference's punctuation where it has any."""
    core, form = word_core(reference), word_core(hypothesis)
    start = reference.index(core)
    before, after = reference[:start], reference[start + len(core) :]
    after = after or _MARKS.sub("", hypothesis[hypothesis.index(form) + len(form) :])
    return before + form + after


def restore_style(reference: str, hypothesis: str, lexicon: dict[str, str] | None = None) -> str:
    """Write `reference` the way the base model writes: its words, the base's case and punctuation.

    The two are aligned word by word. Where the words agree, or Whisper's normaliser says that they
    are the same (`DOCTOR` and `Dr.`), the base's form is taken; elsewhere the reference's word in
    sentence case, with the base's casing of that word from `lexicon`. Punctuation that the
    reference has is kept. To the normaliser, no word is added, lost or changed.
    """
    lexicon = lexicon or {}
    text = _close(_write(reference.split(), hypothesis, lexicon, equate=True), hypothesis)
    if normalize(text) != normalize(reference):
        # Numbers join with their neighbours: `20` for the second TWENTY of TWENTY TWENTY.
        text = _close(_write(reference.split(), hypothesis, lexicon, equate=False), hypothesis)
    if normalize(text) != normalize(reference):
        text = _write(reference.split(), "", lexicon, equate=False)
    return text


def _write(ref: list[str], hypothesis: str, lexicon: dict[str, str], *, equate: bool) -> str:
    from rapidfuzz.distance import Levenshtein

    hyp = [word for word in hypothesis.split() if word_core(word)]
    written: list[str] = []

    def add(word: str) -> None:
        starts = not written or ends_sentence(written[-1])
        written.append(_capitalized(word) if starts else word)

    for op in Levenshtein.opcodes([word_key(w) for w in ref], [word_key(w) for w in hyp]):
        ours = ref[op.src_start : op.src_end]
        theirs = hyp[op.dest_start : op.dest_end]
        if op.tag == "equal":
            for r, h in zip(ours, theirs, strict=True):
                add(_carry(r, h))
        elif op.tag == "replace" and equate and _same_words(ours, theirs):
            for word in theirs:
                add(word)
        else:
            for offset, word in enumerate(ours):
                other = theirs[offset] if offset < len(theirs) else ""
                if equate and len(ours) == len(theirs) and _same_words([word], [other]):
                    add(other)
                    continue
                # A name the base misheard ("Dracula" for DRASCULA) is still a name.
                at = op.dest_start + offset
                inside = bool(other) and at > 0 and not ends_sentence(hyp[at - 1])
                named = (
                    inside
                    and word_core(other)[:1].isupper()
                    and word_key(other)[:1] == word_key(word)[:1]
                )
                names = {word_key(word): word_core(word).capitalize()} if named else {}
                add(_cased(word, {**names, **lexicon}))
    return " ".join(written)


def _close(text: str, hypothesis: str) -> str:
    """End the sentence as the base does; with a full stop where it wrote nothing."""
    last = (hypothesis.split() or ["."])[-1]
    if not text or ends_sentence(text.split()[-1]) or not ends_sentence(last):
        return text
    return text.rstrip(",;:- ") + last.rstrip("\"')\u201d\u2019")[-1]


def _capitalized(word: str) -> str:
    core = word_core(word)
    start = word.index(core) if core else 0
    return word[:start] + word[start : start + 1].upper() + word[start + 1 :]


def _same_words(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two short spans say the same to the normaliser though they are spelled apart."""
    if len(ours) > 6 or len(theirs) > 6:
        return False
    if any(word_core(w) == "" for w in (*ours, *theirs)):
        return False
    left, right = normalize(" ".join(ours)), normalize(" ".join(theirs))
    return bool(left) and left == right
