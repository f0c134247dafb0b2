"""Subtitles in several languages at once: which of them is said."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from moontune.data.manifest import Dropped
from moontune.importing.timed.captions import Caption
from moontune.importing.values import ANOTHER_TEXT, left_out
from moontune.languages.letters import is_latin, looks_like, words_about
from moontune.languages.table import language_named
from moontune.languages.words import joined_lines
from moontune.system.formatting import counted

_AT_ONCE = 0.6  # of the captions of each are shown while the other has one
_COVERED = 0.7  # of a caption's time
_MOST_COMPARED = 40  # groups
_SHOWN_S = 0.5  # a caption of which only the begin is told, at least

_LANGUAGE, _SCRIPT = "language", "script"  # kinds of groups that --language tells apart
_HAN = {"zh", "ja"}  # which a few words without kana do not tell apart
_ASIDE = re.compile(r".*[:\uff1a]|[\[(].*[\])]|[♪♫].*")  # who speaks, a sound, a song
_LATIN, _OTHER = "Latin letters", "other letters"

Groups = Mapping[str, Sequence[Caption]]
CodeOf = Callable[[str], str | None]


@dataclass(frozen=True)
class Spoken:
    """The groups of captions that are said, and those that say the same in another language."""

    names: frozenset[str]
    left_out: tuple[Dropped, ...] = ()
    told: tuple[str, ...] = ()


def spoken(groups: Groups, asked: str | None, code_of: CodeOf, kind: str) -> Spoken:
    """Of groups of captions that are shown at the same times the one in the language asked for, by
    its code; else the one of most words. Groups at other times are all said.

    `kind` is what a group is in words, `language` or `style`, and `code_of` tells its language by
    its name. Raises ValueError where nothing is left, as no group of several is in the language
    asked for.
    """
    kept: list[str] = []
    rest: list[Dropped] = []
    told: list[str] = []
    rivals = _rivals(groups)
    for names in rivals:
        suit = {name: _suits(asked, code_of(name), groups[name]) for name in names}
        if len(names) > 1 and asked is not None and {*suit.values()} == {False}:
            there = " and ".join(f'"{name}"' for name in names)
            none = f"{kind}s {there} at the same times, none in --language {asked}"
            if len(rivals) == 1:
                raise ValueError(f"has {none}; give the one that is spoken")
            told.append(f"left out: {none}")
            rest += [_foreign(one, name, kind) for name in names for one in groups[name]]
            continue
        best = max(names, key=lambda name: (_rank(suit[name]), _words(groups[name])))
        kept.append(best)
        for name in names:
            if name != best:
                told.append(_told(best, name, groups[name], kind))
                rest += [_left_out(one, best, name, kind) for one in groups[name]]
    return Spoken(frozenset(kept), tuple(rest), tuple(told))


def in_one_script(captions: Sequence[Caption], asked: str | None) -> tuple[list[Caption], Spoken]:
    """Captions of which each has a line in Latin letters and one in others, or that come in pairs
    of such, with the lines that are said; all others as they are. Raises ValueError as `spoken`.
    """
    groups: dict[str, list[Caption]] = defaultdict(list)
    for caption in captions:
        for name, lines in _by_script(caption).items():
            groups[name].append(replace(caption, text=joined_lines(lines), lines=tuple(lines)))
    said = spoken(groups, asked, lambda name: None, _SCRIPT)
    if len(groups) < 2 or not said.left_out:
        return [*captions], Spoken(frozenset(groups))
    [name] = said.names
    return groups[name], said


def _by_script(caption: Caption) -> dict[str, list[str]]:
    """A caption's lines by their letters; those without any belong to what is before them, and who
    speaks and remarks to what is behind."""
    found: dict[str, list[str]] = {}
    name = _LATIN
    aside: list[str] = []
    for line in caption.lines or (caption.text,):
        if _ASIDE.fullmatch(line):
            aside.append(line)
            continue
        if any(map(str.isalpha, line)):
            name = _LATIN if is_latin(line) else _OTHER
        found.setdefault(name, []).extend((*aside, line))
        aside.clear()
    if aside:
        found.setdefault(name, []).extend(aside)
    return found


def _rivals(groups: Groups) -> list[list[str]]:
    """Names of groups, those together that are shown at the same times; of very many, as songs
    have styles, the largest are compared."""
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:_MOST_COMPARED]
    found: list[list[str]] = [[name] for name in groups.keys() - largest]
    for name in (name for name in groups if name in largest):
        captions = groups[name]
        mine = [
            one
            for one in found
            if any(other in largest and _at_once(captions, groups[other]) for other in one)
        ]
        found = [one for one in found if one not in mine]
        found.append([*itertools.chain.from_iterable(mine), name])
    return found


def _told(best: str, other: str, captions: Sequence[Caption], kind: str) -> str:
    """What is left out, and how to have it instead."""
    told = kind in (_LANGUAGE, _SCRIPT)
    remedy = "--language CODE says which" if told else f'delete "{best}" to have them'
    lines = counted(len(captions), "line")
    return f'{kind}: "{best}"; left out: {lines} of "{other}" at the same times, {remedy}'


def _left_out(caption: Caption, best: str, other: str, kind: str) -> Dropped:
    detail = f'is of {kind} "{other}", and "{best}" has what is said at the same time'
    return left_out(caption.where, caption.text[:60], ANOTHER_TEXT, detail)


def _foreign(caption: Caption, name: str, kind: str) -> Dropped:
    detail = f'is of {kind} "{name}", and not in the language of --language'
    return left_out(caption.where, caption.text[:60], ANOTHER_TEXT, detail)


def _words(captions: Sequence[Caption]) -> float:
    return sum(words_about(caption.text) for caption in captions)


def _rank(suits: bool | None) -> int:
    return {True: 2, None: 1, False: 0}[suits]


def _suits(asked: str | None, code: str | None, captions: Sequence[Caption]) -> bool | None:
    """Whether captions are in the language asked for; None where that cannot be told."""
    if asked is None:
        return None
    if code is not None:
        return code == asked
    texts = [caption.text for caption in captions]
    if (found := looks_like(texts)) is not None and {found.code, asked} != _HAN:
        return found.code == asked
    return None if is_latin(" ".join(texts)) == language_named(asked).latin else False


def _at_once(one: Sequence[Caption], other: Sequence[Caption]) -> bool:
    """Whether most captions of each are shown while the other has one."""
    return all(_share(a, b) >= _AT_ONCE for a, b in ((one, other), (other, one)))


def _share(captions: Sequence[Caption], others: Sequence[Caption]) -> float:
    """Of captions, how many are shown while one of the others is."""
    shown = _stretches(others)
    begins = [start for start, _ in shown]
    mine = _times(captions)
    return sum(_covered(one, shown, begins) for one in mine) / len(mine)


def _covered(
    time: tuple[float, float], shown: list[tuple[float, float]], begins: list[float]
) -> bool:
    start, end = time
    first = max(0, bisect.bisect_right(begins, start) - 1)
    near = shown[first : bisect.bisect_left(begins, end)]
    there = sum(max(0.0, min(end, e) - max(start, s)) for s, e in near)
    return there >= _COVERED * (end - start) > 0


def _times(captions: Sequence[Caption]) -> list[tuple[float, float]]:
    """Begins and ends in order; of those without an end up to the next one's begin."""
    ordered = sorted(captions, key=lambda c: c.start_s)
    times = []
    for caption, following in itertools.zip_longest(ordered, ordered[1:]):
        end = caption.end_s
        if caption.to_next:
            end = following.start_s if following else caption.start_s + _SHOWN_S
        times.append((caption.start_s, end))
    return times


def _stretches(captions: Sequence[Caption]) -> list[tuple[float, float]]:
    """Times in which a caption is shown, in order and apart."""
    found: list[tuple[float, float]] = []
    for start, end in _times(captions):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
