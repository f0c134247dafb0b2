"""References written as the base model writes: its case and its punctuation, their own words."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from moontune.data.normalizer import normalize
from moontune.languages.table import ENGLISH, current
from moontune.languages.words import CLOSES, COMMAS, ENDS, joined_words, written_words

Style = Literal["cased", "upper", "lower"]

_CORE = re.compile(r"[^\W_](?:.*[^\W_])?", re.DOTALL)  # a word without punctuation around it
# Of the base's punctuation only this is carried over: "5" is not "$5" or "5%" to the normaliser.
_MARKS = re.compile(rf"[^{re.escape(COMMAS + ENDS)}-]")
_ABBREVIATIONS = {"mr.", "mrs.", "ms.", "dr.", "st.", "jr.", "sr.", "no."}
# Said as they are spelled, though the normaliser spells them out or leaves them out.
_AS_SAID = {
    *("gonna", "gotta", "wanna", "gimme", "lemme", "kinda", "sorta", "dunno", "imma", "cause"),
    *("woulda", "coulda", "shoulda", "cannot", "lets", "uh", "um", "mm", "mmm", "hmm", "mhm"),
}
_GO_ON = "".join({*COMMAS, *ENDS} - {"\u2026"})  # where the base ended and the text goes on
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+")  # U.S., J.
_DIGIT = re.compile(r"\d")
_SENTENCE_END = (*ENDS, '."', '!"', '?"')


def style_of(texts: Iterable[str]) -> Style:
    """How a set of references is written: ALL CAPS, bare lower case, or properly cased, as all are
    in a language whose letters have one case."""
    if not current().cased:
        return "cased"
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
    """A word without the punctuation around it. Marks that belong to its last letter are its own,
    as the vowels of Hindi and Arabic are."""
    match = _CORE.search(word)
    if not match:
        return ""
    end = match.end()
    while end < len(word) and unicodedata.category(word[end])[0] == "M":
        end += 1
    return word[match.start() : end]


def word_key(word: str) -> str:
    return word_core(word).casefold().replace("\u2019", "'")


def ends_sentence(word: str) -> bool:
    if word.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(word):
        return False
    return word.rstrip(f"\"'\u201d\u2019{CLOSES}").endswith(tuple(ENDS))


def case_lexicon(hypotheses: Iterable[str]) -> dict[str, str]:
    """How the base writes each word inside a sentence: casefolded word -> its usual casing.

    Only words that are not plain lower case are kept: names, `I'm`, abbreviations.
    """
    seen: dict[str, Counter[str]] = {}
    for text in hypotheses:
        words = written_words(text)
        for before, word in itertools.pairwise(words):
            if not ends_sentence(before) and word_core(word):
                seen.setdefault(word_key(word), Counter())[word_core(word)] += 1
    usual = {key: counts.most_common(1)[0][0] for key, counts in seen.items()}
    return {key: form for key, form in usual.items() if form != form.lower()}


def _cased(word: str, lexicon: dict[str, str]) -> str:
    """A word of an unstyled reference in sentence case, its own punctuation kept."""
    core = word_core(word)
    if not core or not current().cased:
        return word
    key = word_key(word)
    if current() == ENGLISH and (key == "i" or key.startswith("i'")):
        form = "I" + core[1:].lower()
    else:
        form = lexicon.get(key, core.lower())
    start = word.index(core)
    return word[:start] + form + word[start + len(core) :]


def _carry(reference: str, hypothesis: str, spellings: dict[str, str]) -> str:
    """One agreeing word: the base's case; the reference's punctuation where it has any."""
    core, form = word_core(reference), word_core(hypothesis)
    start = reference.index(core)
    before, after = reference[:start], reference[start + len(core) :]
    theirs = _MARKS.sub("", hypothesis[hypothesis.index(form) + len(form) :])
    after = theirs if theirs.startswith(after) else after  # of `a.m.` and `a.m.,` the latter
    own = spellings.get(word_key(reference)) if form != form.lower() else None
    return before + (own or form) + after


def restore_style(reference: str, hypothesis: str, lexicon: dict[str, str] | None = None) -> str:
    """Write `reference` the way the base model writes: its words, the base's case and punctuation.

    The two are aligned word by word. Where the words agree, or the normaliser says that they are
    the same (`DOCTOR` and `Dr.`), the base's form is taken; elsewhere the reference's word in
    sentence case, with the base's casing of that word from `lexicon`. Punctuation that the
    reference has is kept. To the normaliser, no word is added, lost or changed.
    """
    lexicon, ours = lexicon or {}, written_words(reference)
    text = close_sentence(write_words(ours, hypothesis, lexicon), hypothesis)
    if normalize(text) != normalize(reference):
        # Numbers join with their neighbours: `20` for the second TWENTY of TWENTY TWENTY.
        text = close_sentence(write_words(ours, hypothesis, lexicon, equate=False), hypothesis)
    if normalize(text) != normalize(reference):
        text = write_words(ours, "", lexicon, equate=False)
    return text


def aligned_words(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the words that two texts share, by the fewest edits between them."""
    return [
        (of_ours.start + i, of_theirs.start + i)
        for alike, of_ours, of_theirs in _spans(ours, theirs)
        if alike
        for i in range(of_ours.stop - of_ours.start)
    ]


def _spans(ref: Sequence[str], hyp: Sequence[str]) -> Iterator[tuple[bool, slice, slice]]:
    """Both texts cut where they begin and cease to have the same words: whether a span has, and its
    places in either."""
    from rapidfuzz.distance import Levenshtein

    ops = Levenshtein.opcodes([word_key(w) for w in ref], [word_key(w) for w in hyp])
    for alike, group in itertools.groupby(ops, lambda op: op.tag == "equal"):
        parts = list(group)
        first, last = parts[0], parts[-1]
        yield (
            alike,
            slice(first.src_start, last.src_end),
            slice(first.dest_start, last.dest_end),
        )


def write_words(
    ref: Sequence[str],
    hypothesis: str,
    lexicon: dict[str, str],
    *,
    equate: bool = True,
    spellings: dict[str, str] | None = None,
    marks: dict[int, str] | None = None,
) -> str:
    """The words of `ref` as the base writes: its form of each where both have the same word, else
    the word in lower case or as `lexicon` has it.

    `equate` takes the base's form for words that are the same to the normaliser only; `spellings`
    are forms that are kept where the base has capitals too; `marks` are punctuation by
    place, put behind words that the base has not.
    """
    hyp = [word for word in written_words(hypothesis) if word_core(word)]
    spellings = spellings or {}
    written: list[str] = []

    def add(word: str) -> None:
        starts = not written or ends_sentence(written[-1])
        written.append(_capitalized(word) if starts else word)

    for alike, of_ref, of_hyp in _spans(ref, hyp):
        ours, theirs = ref[of_ref], hyp[of_hyp]
        if alike:
            ends_early = of_hyp.stop == len(hyp) and of_ref.stop < len(ref)
            for place, (r, h) in enumerate(zip(ours, theirs, strict=True), start=1):
                last = ends_early and place == len(ours)  # where the base ended, this goes on
                add(_carry(r, h.rstrip(_GO_ON) if last else h, spellings))
        elif theirs and equate and _same_words(ours, theirs):
            for word in theirs:
                add(word)
        else:
            for offset, word in enumerate(ours):
                other = theirs[offset] if offset < len(theirs) else ""
                if equate and len(ours) == len(theirs) and _same_words([word], [other]):
                    add(other)
                    continue
                # A name the base misheard ("Dracula" for DRASCULA) is still a name.
                at = of_hyp.start + offset
                inside = bool(other) and at > 0 and not ends_sentence(hyp[at - 1])
                named = (
                    inside
                    and _is_name(word_core(other))
                    and "." not in word_core(word)
                    and word_key(other)[:1] == word_key(word)[:1]
                )
                names = {word_key(word): word_core(word).capitalize()} if named else {}
                mark = (marks or {}).get(of_ref.start + offset, "")
                add(_cased(word, {**names, **lexicon}) + mark)
    return joined_words(written)


def close_sentence(text: str, hypothesis: str) -> str:
    """End the sentence as the base does; with a full stop where it wrote nothing."""
    last = (hypothesis.split() or [current().full_stop])[-1]
    if not text or ends_sentence(text.split()[-1]) or not ends_sentence(last):
        return text
    text, mark = text.rstrip(f"{COMMAS}- "), last.rstrip(f"\"')\u201d\u2019{CLOSES}")[-1]
    return text if text.endswith(mark) else text + mark  # `p.m.` has its full stop


def _is_name(form: str) -> bool:
    """Whether it has a name's capital, not that of `I'm` or of an abbreviation."""
    return form[:1].isupper() and not form.isupper() and not form.startswith(("I'", "I\u2019"))


def _capitalized(word: str) -> str:
    core = word_core(word)
    # iPhone: its capital stands where it should.
    if not current().cased or core[1:] != core[1:].lower():
        return word
    start = word.index(core) if core else 0
    return word[:start] + word[start : start + 1].upper() + word[start + 1 :]


def _same_words(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two short spans say the same to the normaliser though they are spelled apart:
    numbers, titles, compounds, British spellings. Contractions are said as they are spelled, and so
    are numbers in words: `two and a half` is not `two point five`, only both are `2.5`.
    """
    if len(ours) > 6 or len(theirs) > 6:
        return False
    keys = [word_key(w) for w in (*ours, *theirs)]
    if any(key == "" or "'" in key or key in _AS_SAID for key in keys):
        return False
    left, right = normalize(joined_words(ours)), normalize(joined_words(theirs))
    if not left or left != right:
        return False
    if _DIGIT.search(left) and not any(_DIGIT.search(key) for key in keys):
        ours, theirs = (" ".join(span).replace("-", " ").split() for span in (ours, theirs))
        return [word_key(w) for w in ours] == [word_key(w) for w in theirs]
    return True
