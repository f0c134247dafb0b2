"""Praat's TextGrid, read by praatio: which tiers are what is said, and by whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import DamagedSourceError, Place

_SAID = re.compile(r"utt|sentence|transcri|ortho?\b|phrase|\btext|speech", re.IGNORECASE)
_WORDS = re.compile(r"\bwords?\b|\bort-mau\b", re.IGNORECASE)  # the latter is WebMAUS's
_NOT_SAID = re.compile(
    r"phon|segment|syll|(?<!ort-)\bmau\b|\bkan\b|tone|\bpos\b|gloss|transl|note|comment|tobi|break|pitch",
    re.IGNORECASE,
)
_PAUSES = ("sil", "sp", "spn", "<sil>", "<p:>", "<p>", "#")  # as aligners mark them
_NOBODY = re.compile(
    r"(?:words?|utt\w*|sentences?|transcri\w*|ortho?\w*|phrases?|text|speech)\W*\d*"
)


def read_textgrid(path: Path, place: Place) -> list[Captioned]:
    """The captions of a TextGrid. Raises DamagedSourceError.

    Tiers named for utterances are taken, else those of words, else all that are named for nothing
    else; a tier's name, but for that, is who speaks.
    """
    from praatio.utilities import textgrid_io

    text = read_text(path).text
    try:
        everything = textgrid_io.parseTextgridStr(text)["tiers"]
        tiers = [tier for tier in everything if tier["class"] == "IntervalTier"]
        chosen, words = _chosen([str(tier["name"]) for tier in tiers])
        captions = [
            caption
            for tier in tiers
            if tier["name"] in chosen
            for caption in _of_tier(tier, place.name_of(path), words=words, several=len(chosen) > 1)
        ]
    except Exception as error:  # praatio raises whatever its parts do
        raise DamagedSourceError(
            f"{path}: cannot be read as a TextGrid ({type(error).__name__}); open it in Praat and "
            "save it again"
        ) from error
    rest = [str(tier["name"]) for tier in everything if tier["name"] not in chosen]
    told = [f"tiers: {', '.join(chosen) or 'none'}"]
    told += [f"not used: {', '.join(rest)}"] if rest else []
    return [Captioned(tuple(captions), told=tuple(told))]


def _chosen(names: list[str]) -> tuple[list[str], bool]:
    """The tiers to take, and whether their intervals are words."""
    usual = [name for name in names if not _NOT_SAID.search(name)]
    if said := [name for name in usual if _SAID.search(name)]:
        return said, False
    if words := [name for name in usual if _WORDS.search(name)]:
        return words, True
    return usual, False


def _of_tier(tier: Any, name: str, *, words: bool, several: bool) -> list[Caption]:
    who = re.split(r"\s+-\s+|[_/]", str(tier["name"]))[0].strip()
    speaker = None if not several or _NOBODY.fullmatch(who.lower()) else who
    return [
        Caption(
            f"{name}[{tier['name']}]:{number}", float(start), float(end), tidy(text), speaker, words
        )
        for number, (start, end, text) in enumerate(tier["entries"], start=1)
        if text.strip().lower() not in _PAUSES
    ]


TEXTGRID = TimedKind("textgrid", "Praat TextGrid", (".textgrid",), read_textgrid, tells=True)
