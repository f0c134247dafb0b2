"""What stands in transcripts and is not speech: tags of sounds, speakers' names, times, markup.

`without_annotations` takes it out of a set of references, by kind. What is between round brackets
or asterisks may be said; it goes only where it names a sound.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence

NON_SPEECH, SPEAKERS, TIMES = "tags of sounds", "speaker labels", "timestamps"
MARKUP, ENTITIES, MUSIC = "markup", "HTML entities", "music notes"

_SOUND = re.compile(
    r"\b(?:laugh|chuckl|giggl|cough|sigh|breath|inhal|exhal|sneez|sniff|sob|cry|cries|gasp|groan|grunt|moan|"
    r"yawn|whistl|hum(?:s|ming)?\b|scream|clears? (?:his |her |their )?throat|throat|lip ?smack|"
    r"inaudible|unintelligible|indistinct|incomprehensible|unclear|crosstalk|cross talk|overlap|"
    r"applause|clap|cheer|music|song|noise|silence|pause|beep|bleep|click|static|ring(?:s|ing)\b|"
    r"background|foreign|unk\b|unknown\b|blank|no speech|door|phone)",
    re.IGNORECASE,
)
_MOST_WORDS = 4  # of a sound's name
_TIMES = re.compile(
    r"\d{1,2}:\d{2}(?::\d{2})?[.,]\d{3}\s*-->\s*\d{1,2}:\d{2}(?::\d{2})?[.,]\d{3}"
    r"|[\[(<{]\s*\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?\s*[\])>}]"
)
_FORMAT = re.compile(
    r"</?(?:i|b|u|em|strong|s|font|span|br|p|c|v|ruby|rt|lang|div)\b[^<>]*>", re.IGNORECASE
)
_TAGGED = re.compile(r"</?[A-Za-z][^<>]{0,40}>|\[[^\[\]]*\]|\{[^{}]*\}")
_ROUND = re.compile(r"\(([^()]*)\)")
_STARS = re.compile(r"(?<!\w)(\*{1,3}|_{1,2}|`{1,3})(?=\S)([^*_`]+?)(?<=\S)\1(?!\w)")
_LINKS = re.compile(r"\[([^\[\]]+)\]\([^()\s]+\)")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+|[-*\u2022]\s+)")
_MUSIC = re.compile(r"[\u2669-\u266c\U0001f3b5\U0001f3b6]")
_TURN = re.compile(r"^\s*(?:>{2,}|&gt;&gt;|\u00bb)\s*")
_NUMBERED = re.compile(
    r"^\s*(?:speaker|spk|s|voice|person)[ _-]?(?:\d{1,3}|[A-Z])\s*:\s*", re.IGNORECASE
)
_NAMED = re.compile(r"^\s*([A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,2})\s*:\s+(?=\S)")
_FEW, _SHARE = 3, 0.05  # rows that begin with a name and a colon, from which on it is a habit


def without_annotations(texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
    """The texts without what is not speech, and of how many texts each kind was taken."""
    counts: Counter[str] = Counter()
    names = sum(bool(_NAMED.match(text)) for text in texts)
    named = names >= _FEW and names >= _SHARE * len(texts)
    cleaned = []
    for text in texts:
        found: set[str] = set()
        cleaned.append(_clean(text, named, found))
        counts.update(found)
    return cleaned, counts


def _clean(text: str, named: bool, found: set[str]) -> str:
    def taken(pattern: re.Pattern[str], kind: str, by: str, text: str) -> str:
        new, count = pattern.subn(by, text)
        if count:
            found.add(kind)
        return new

    text = taken(_TURN, SPEAKERS, "", text)
    if (plain := html.unescape(text)) != text:
        found.add(ENTITIES)
        text = plain
    text = taken(_TIMES, TIMES, " ", text)
    text = taken(_LINKS, MARKUP, r"\1", text)
    text = taken(_FORMAT, MARKUP, "", text)
    text = taken(_TAGGED, NON_SPEECH, " ", text)
    text = _enclosed(_STARS, 2, text, found)
    text = _enclosed(_ROUND, 1, text, found)
    text = taken(_HEADING, MARKUP, "", text)
    text = taken(_MUSIC, MUSIC, " ", text)
    text = taken(_TURN, SPEAKERS, "", text)
    text = taken(_NUMBERED, SPEAKERS, "", text)
    if SPEAKERS in found or (named and not _is_all_caps(_NAMED.sub("", text))):
        text = taken(_NAMED, SPEAKERS, "", text)
    return " ".join(text.split()) if found else text


def _is_all_caps(text: str) -> bool:
    return text.upper() == text and len(text.split()) > 1


def _enclosed(pattern: re.Pattern[str], group: int, text: str, found: set[str]) -> str:
    """What names a sound goes, of the rest the signs around it."""

    def replaced(match: re.Match[str]) -> str:
        inner = match.group(group)
        if _SOUND.search(inner) and len(inner.split()) <= _MOST_WORDS:
            found.add(NON_SPEECH)
            return " "
        found.add(MARKUP)
        return inner

    return pattern.sub(replaced, text)
