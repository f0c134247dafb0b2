"""Captions joined to sentences, and those left out that cannot be cut out of their recording."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from moontune.data.annotations import speakers_named
from moontune.data.manifest import Dropped
from moontune.importing.timed.captions import Caption
from moontune.importing.values import BAD_TIMES, NO_TEXT, OVERLAPPING, TWICE, left_out
from moontune.languages.words import joined_lines

APART_S = 1.0  # a pause of this length ends a sentence
_WORDS_APART_S = 0.5  # and this between words that tell no sentence's end
SLACK_S = 0.1  # so much may captions overlap, or the last one end behind its recording
_BEHIND_S = 1.0
_FEWEST_ROLLING, _ROLLING = 4, 0.6  # captions, of all, that stay on while the next is said
_NAMED = 0.8  # of the captions begin with a name
_CLOSING = "\"'”’»)]}*_ "
_TURN = re.compile(r"\s*>{2,}\s*")  # another speaks, as in broadcasts and on YouTube
_STOPS = (".", "…", "。")
_ENDS = (*_STOPS, "?", "!", "？", "！", "؟")
# Of the captions, or of single words, end with a full stop; with fewer, none is known to end a
# sentence: those of some writers have question marks and no full stops.
_PUNCTUATED, _PUNCTUATED_WORDS = 0.1, 0.03


@dataclass(frozen=True)
class Sorted:
    """Captions in order of time, and those that no clip is made of."""

    usable: list[Caption]
    clashing: list[Caption]  # said while another is
    left_out: list[Dropped]


def with_speakers(captions: Sequence[Caption]) -> list[Caption]:
    """Captions whose texts begin with who speaks, as Zoom writes them: with the names as speakers
    where nearly all have one, else each still in its text, which joins none before it."""
    captions = [_without_turn(c) for c in captions]
    if any(c.speaker is not None or c.is_word for c in captions):
        return captions
    named = speakers_named([c.text for c in captions])
    if sum(name is not None for name, _ in named) >= _NAMED * len(named):
        return [
            replace(c, text=text, speaker=name, begins=c.begins or name is not None)
            for c, (name, text) in zip(captions, named, strict=True)
        ]
    return [
        replace(c, begins=c.begins or name is not None)
        for c, (name, _) in zip(captions, named, strict=True)
    ]


def _without_turn(caption: Caption) -> Caption:
    """A caption that begins with the mark of another speaker without it."""
    if (turn := _TURN.match(caption.text)) is None:
        return caption
    return replace(caption, text=caption.text[turn.end() :], begins=True)


def sort_out(captions: Sequence[Caption], seconds: float) -> Sorted:
    """Captions without those that are empty, outside of a recording of so many seconds, or said
    while another is; and these, each with its reason."""
    good: list[Caption] = []
    bad: list[Dropped] = []
    ordered = sorted(captions, key=lambda c: (c.start_s, c.end_s))
    for caption in _one_at_a_time([*_to_next(ordered, seconds)]):
        if (why := _unusable(caption, seconds)) is not None:
            bad.append(left_out(caption.where, caption.text[:60], *why))
        else:
            good.append(replace(caption, end_s=min(caption.end_s, seconds)))
    return _without_overlaps(good, bad)


def _to_next(captions: Sequence[Caption], seconds: float) -> Iterator[Caption]:
    """Captions in order of time, each with an end."""
    for caption, following in itertools.zip_longest(captions, captions[1:]):
        if caption.to_next:
            end = min(following.start_s, seconds) if following is not None else seconds
            caption = replace(caption, end_s=end)
        yield caption


def _one_at_a_time(captions: list[Caption]) -> list[Caption]:
    """Captions in order of time; where most stay on while the next is said, as YouTube's of two
    lines do, each up to the next one's begin. Speakers who are named may speak at once."""
    pairs = [*itertools.pairwise(captions)]
    over = [(a, b) for a, b in pairs if b.start_s < a.end_s - SLACK_S]
    rolls = all(a.start_s < b.start_s and a.end_s <= b.end_s for a, b in over)
    named = any(c.speaker is not None for c in captions)
    if named or not rolls or len(over) < max(_FEWEST_ROLLING, _ROLLING * len(pairs)):
        return captions
    shorter = [replace(a, end_s=min(a.end_s, b.start_s)) for a, b in pairs]
    return [*shorter, captions[-1]]


def _unusable(caption: Caption, seconds: float) -> tuple[str, str] | None:
    start, end = caption.start_s, caption.end_s
    if not caption.text.strip():
        return NO_TEXT, "the text is empty"
    if not 0 <= start < end:
        return BAD_TIMES, f"begins at {start:g} s and ends at {end:g} s"
    if start >= seconds - SLACK_S:
        return BAD_TIMES, f"begins at {start:g} s, and the recording lasts {seconds:.2f} s"
    if end > seconds + _BEHIND_S:
        return BAD_TIMES, f"ends at {end:g} s, and the recording lasts {seconds:.2f} s"
    return None


def _without_overlaps(captions: list[Caption], bad: list[Dropped]) -> Sorted:
    """Those said alone; of several that are the same, one. `bad` gets the others."""
    single: list[Caption] = []
    for caption in captions:
        last = single[-1] if single else None
        same = last and (last.start_s, last.end_s, last.text) == (
            caption.start_s, caption.end_s, caption.text,
        )  # fmt: skip
        if last and same:
            bad.append(left_out(caption.where, caption.text[:60], TWICE, f"as {last.where}"))
        else:
            single.append(caption)
    clashing: dict[int, Caption] = {}
    furthest = 0  # the caption that ends last
    for i, caption in enumerate(single):
        before = single[furthest]
        if i and caption.start_s < before.end_s - SLACK_S:
            clashing[i] = before
            clashing.setdefault(furthest, caption)
        if caption.end_s >= before.end_s:
            furthest = i
    for i, other in clashing.items():
        detail = f"said while {other.where} is ({other.start_s:g}-{other.end_s:g} s)"
        bad.append(left_out(single[i].where, single[i].text[:60], OVERLAPPING, detail))
    alone = [caption for i, caption in enumerate(single) if i not in clashing]
    return Sorted(alone, [single[i] for i in clashing], bad)


def sentences(captions: Sequence[Caption], longest_s: float) -> list[Caption]:
    """Captions in order of time, those of one sentence and speaker joined to at most `longest_s`
    seconds; words up to a pause."""
    stops = [(c.is_word, c.text.rstrip(_CLOSING).endswith(_STOPS)) for c in captions]
    of_captions = [stop for is_word, stop in stops if not is_word]
    of_words = [stop for is_word, stop in stops if is_word]
    most = _Pauses(
        APART_S if sum(of_captions) > _PUNCTUATED * len(of_captions) else 0.0,
        APART_S if sum(of_words) > _PUNCTUATED_WORDS * len(of_words) else _WORDS_APART_S,
    )
    joined: list[Caption] = []
    for group in _groups(captions, most):
        joined += [_one(part) for part in _short_enough(group, longest_s)]
    return joined


@dataclass(frozen=True)
class _Pauses:
    """How long a pause within a sentence may be, seconds; 0: what follows is another."""

    captions: float
    words: float


def _groups(captions: Sequence[Caption], most: _Pauses) -> Iterator[list[Caption]]:
    group: list[Caption] = []
    for caption in captions:
        if group and not _goes_on(group[-1], caption, most):
            yield group
            group = []
        group.append(caption)
    if group:
        yield group


def _goes_on(caption: Caption, following: Caption, most: _Pauses) -> bool:
    """Whether the next caption belongs to the same sentence."""
    pause = following.start_s - caption.end_s
    if caption.speaker != following.speaker or caption.is_word != following.is_word:
        return False
    if following.begins and following.speaker is None:
        return False
    longest = most.words if caption.is_word else most.captions
    return longest > 0 and pause < longest and not _ends(caption.text, following.text)


def _ends(text: str, following: str = "") -> bool:
    """Whether a text ends a sentence. Three dots do not where the next begins small."""
    said = text.rstrip(_CLOSING)
    if said.endswith(("...", "…")):
        begins = following.lstrip(_CLOSING)
        return not (begins[:1].islower() or begins.startswith((".", "…")))
    return said.endswith(_ENDS)


def _short_enough(group: Sequence[Caption], longest_s: float) -> Iterator[Sequence[Caption]]:
    """A group cut at its longest pause, near the middle where several are, until each part is
    short enough or one caption."""
    if len(group) == 1 or group[-1].end_s - group[0].start_s <= longest_s:
        yield group
        return

    def pause(i: int) -> tuple[float, float]:
        return round(group[i].start_s - group[i - 1].end_s, 2), -abs(i - len(group) / 2)

    at = max(range(1, len(group)), key=pause)
    yield from _short_enough(group[:at], longest_s)
    yield from _short_enough(group[at:], longest_s)


def _one(group: Sequence[Caption]) -> Caption:
    text = joined_lines(caption.text for caption in group)
    return replace(group[0], end_s=group[-1].end_s, text=text, is_word=False)
