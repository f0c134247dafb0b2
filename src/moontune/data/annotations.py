"""What stands in transcripts and is not speech: tags of sounds, speakers' names, times, markup.

`without_annotations` takes it out of a set of references, by kind. What is between round brackets
or asterisks may be said; it goes only where it names a sound or a numbered speaker.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from html.entities import html5

NON_SPEECH, SPEAKERS, TIMES = "tags of sounds", "speaker labels", "timestamps"
MARKUP, ENTITIES, MUSIC = "markup", "HTML entities", "music notes"

# Whole words: a sober musician is no sob and no music.
_SOUNDS = (
    r"(?:laugh|cough|groan|grunt|moan|gasp|sigh|sob|sneez|sniff|snort|yawn|whistl|scream|giggl)"
    r"[bp]?e?(?:s|ing|ed)?",
    r"(?:chuckl|mumbl|whisper|burp|hiccup|inhal|exhal|cheer|clap|beep|bleep|click|gulp|bark)"
    r"[bp]?e?(?:s|ing|ed)?",
    r"(?:hum(?:m(?=i))?|sing|knock|swallow|shout|yell|spit(?:t(?=i))?|ring)(?:s|ing)",
    r"laughter|cry(?:ing)?|cries|breath(?:e|es|ing|s)?|throat|lip ?smack(?:s|ing)?|tsk|footsteps",
    r"inaudible|unintelligible|indistinct|indiscernible|incomprehensible|unclear|unknown|unk|xxx",
    r"cross ?talk|overlap(?:s|ping)?|music|songs?|noises?|silence|pauses?|static|background",
    r"applause|sounds? of|speak(?:s|ing) (?!of\b)\w+|foreign(?: (?:language|speech|words?)|$)",
    r"blank|redacted|censored|no (?:speech|audio|sound)",
    r"(?:door|phone|bell|dog|car|horn|alarm|chair|glass)s? "
    r"(?:slam(?:m(?=i))?|clos|open|creak|buzz|vibrat|honk|break)e?(?:s|ing)",
)
_SOUND = re.compile(rf"\b(?:{'|'.join(_SOUNDS)})\b", re.IGNORECASE)
# The same of other languages: laughter, applause, music, noise, silence, not to be understood.
_SOUNDS_ELSEWHERE = frozenset(
    (
        *("笑", "笑い", "拍手", "音楽", "雑音", "沈黙", "聞き取り不能"),
        *("笑声", "掌声", "音乐", "噪音", "听不清"),
        *("웃음", "박수", "음악", "소음"),
        *("ضحك", "تصفيق", "موسيقى"),
        *("сміх", "сміється", "оплески", "музика", "шум"),
        *("cười", "nhạc", "risas", "aplausos", "música", "ruido"),
    )
)
# Of a remark or an aside that is read out, not of a sound's name.
_SPOKEN = re.compile(
    r"\b(?:i|me|my|you|your|we|our|us|it|its|to|for|not|is|are|was|were|am|do|did|that|this)\b"
    r"|\b(?:here|on|up|along)\b|\bno\b(?! (?:speech|audio|sound))"
    r"|['\u2019](?:s|m|re|ve|ll|d|t)\b",
    re.IGNORECASE,
)
_MOST_WORDS, _LONGEST = 4, 80  # words and characters of a sound's name
_TIMES = re.compile(
    r"\d{1,2}:\d{2}(?::\d{2})?[.,]\d{3}\s*-->\s*\d{1,2}:\d{2}(?::\d{2})?[.,]\d{3}"
    r"|[\[<{]\s*\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?\s*[\]>}]"
    # Between round brackets an hour may be said, but not seconds, nor minutes of none.
    r"|(?:^\s*\(\s*\d{1,2}:\d{2}|\(\s*(?:0\d?:\d{2}|\d{1,2}:\d{2}:\d{2}))(?:[.,]\d+)?\s*\)"
    r"|<\|?\d+\.\d+\|?>"
)
_NAME = r"(?:\.[\w.-]+)?(?:\s+[\w-]+=[^<>]*)?\s*/?>"  # the rest of a tag: class, attributes
_BREAKS = re.compile(rf"</?(?:br|p|div){_NAME}", re.IGNORECASE)
_FORMAT = re.compile(
    rf"</?(?:i|b|u|em|strong|s|font|span|c|v|ruby|rt|lang){_NAME}|(?<!\w)<v(?:\.[\w.-]+)?\s[^<>]{{1,60}}>",
    re.IGNORECASE,
)
# A tag of several words stands apart: `x<y and y>z` is a comparison.
_TAGGED = re.compile(
    r"</?[A-Za-z][^<>\s]{0,40}>|(?<!\w)</?[A-Za-z][^<>]{0,40}>(?!\w)|<\|[^<>|]{1,40}\|>"
    r"|\[[^\[\]]*\]|\{[^{}]*\}"
)
_COMPLETED = re.compile(r"(?:(?<=[^\W\d_])\[([^\W\d_]+)\]|\[([^\W\d_]+)\](?=[^\W\d_]))")
_ROUND = re.compile(r"[(\uff08]([^()\uff08\uff09]*)[)\uff09]")
_DEEPEST = 4  # brackets within brackets
_STARS = re.compile(r"(?<!\w)(\*{1,3}|_{1,2}|`{1,3})(?=\S)([^*_`]+?)(?<=\S)\1(?!\w)")
_LINKS = re.compile(r"!?\[([^\[\]]+)\]\([^()\s]+\)")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+|[-*\u2022]\s+)")
_ENTITY = re.compile(r"&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_MUSIC = re.compile(r"[\u2669-\u266c\U0001f3b5\U0001f3b6]")
_TURN = re.compile(r"^\s*(?:>{2,}|&gt;&gt;|\u00bb)\s*")
# A letter stands apart, or `So:` were a speaker S O.
_SPEAKER = r"(?:(?:speaker|spk|voice|person)(?:[ _-]?\d{1,3}|[ _-][A-Z])|s\d{1,3})"
_NUMBERED = re.compile(rf"(?:^|(?<=[.!?\u2026]\s))\s*{_SPEAKER}\s*:\s*", re.IGNORECASE)
_LABELLED = re.compile(rf"\s*[\[(]?({_SPEAKER})[\])]?\s*:\s*(?=\S)", re.IGNORECASE)
_ONLY_SPEAKER = re.compile(rf"\s*{_SPEAKER}\s*:?\s*", re.IGNORECASE)
_NAMED = re.compile(r"^\s*([A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,2})\s*:\s+(?=\S)")
_FEW, _SHARE = 3, 0.05  # rows that begin with a name and a colon, from which on it is a habit
_NO_NAMES = {  # what people say before a colon
    *(
        "note",
        "warning",
        "attention",
        "caution",
        "reminder",
        "alert",
        "remember",
        "question",
        "answer",
        "example",
    ),
    *(
        "subject",
        "title",
        "chapter",
        "rule",
        "step",
        "tip",
        "fact",
        "result",
        "update",
        "news",
        "look",
        "listen",
    ),
    *(
        "yes",
        "no",
        "so",
        "ok",
        "okay",
        "well",
        "now",
        "today",
        "first",
        "second",
        "third",
        "finally",
        "correction",
    ),
}
_LONE_MARKS = (
    (re.compile(r"\s+(?=[,.;:!?](?:\s|$))"), ""),
    (re.compile(r"[,;:](?=[,.;:!?])"), ""),
    (re.compile(r"^\s*[,.;:!?]+(?=\s)|[\"\u201c(\[{]\s*[\"\u201d)\]}]"), " "),
)


def without_annotations(texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
    """The texts without what is not speech, and of how many texts each kind was taken."""
    counts: Counter[str] = Counter()
    names = _names_of_speakers(texts)
    cleaned = []
    for text in texts:
        found: set[str] = set()
        cleaned.append(_clean(text, names, found))
        counts.update(found)
    return cleaned, counts


def speakers_named(texts: Sequence[str]) -> list[tuple[str | None, str]]:
    """For each text who speaks by the name and colon that it begins with, and the rest of it; None
    and all of it where it names nobody."""
    names = _names_of_speakers(texts, in_capitals=True)
    found: list[tuple[str | None, str]] = []
    for text in texts:
        named = _NAMED.match(text)
        if named and named.group(1) not in names:
            named = None
        label = named or _LABELLED.match(text)
        found.append((label.group(1), text[label.end() :]) if label else (None, text))
    return found


def labels_of_speakers(texts: Sequence[str]) -> list[str]:
    """What texts have before a colon that is taken for a speaker's name, the commonest first."""
    names = _names_of_speakers(texts)
    found = (match.group(1) for text in texts if (match := _NAMED.match(text)))
    return [name for name, _ in Counter(name for name in found if name in names).most_common()]


def _names_of_speakers(texts: Sequence[str], *, in_capitals: bool = False) -> set[str]:
    """What stands before a colon at the beginning of texts and is a name, where that is a habit.

    An ordinary word of the texts is one only if it begins several, and, but with `in_capitals`,
    what stands before capitals alone, where ordinary words cannot be told.
    """
    starts = Counter(match.group(1) for text in texts if (match := _NAMED.match(text)))
    if not starts:
        return set()
    named = ((text, match.group(1)) for text in texts if (match := _NAMED.match(text)))
    told = {name for text, name in named if in_capitals or not _is_all_caps(text)}
    ordinary = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    names = {
        name
        for name, count in starts.items()
        if _may_name(name) and (count >= _FEW or (name in told and name.lower() not in ordinary))
    }
    count = sum(starts[name] for name in names)
    return names if count >= _FEW and count >= _SHARE * len(texts) else set()


def _may_name(words: str) -> bool:
    return words.lower() not in _NO_NAMES


def _clean(text: str, names: set[str], found: set[str]) -> str:
    def taken(pattern: re.Pattern[str], kind: str, by: str, text: str) -> str:
        new, count = pattern.subn(by, text)
        if count:
            found.add(kind)
        return new

    text = taken(_TURN, SPEAKERS, "", text)
    text = _unescaped(text, found)
    text = taken(_TIMES, TIMES, " ", text)
    text = taken(_LINKS, MARKUP, r"\1", text)
    text = taken(_BREAKS, MARKUP, " ", text)
    text = taken(_FORMAT, MARKUP, "", text)
    text = _completed(text, found)
    for _ in range(_DEEPEST):
        before = text
        text = taken(_TAGGED, NON_SPEECH, " ", text)
        text = _enclosed(_STARS, 2, text, found)
        text = _enclosed(_ROUND, 1, text, found)
        if text == before:
            break
    text = taken(_HEADING, MARKUP, "", text)
    text = taken(_MUSIC, MUSIC, " ", text)
    text = taken(_TURN, SPEAKERS, "", text)
    text = taken(_NUMBERED, SPEAKERS, "", text)
    named = _NAMED.match(text)
    if named and ((SPEAKERS in found and _may_name(named.group(1))) or named.group(1) in names):
        text = taken(_NAMED, SPEAKERS, "", text)
    return _tidy(text) if found else text


def _tidy(text: str) -> str:
    """White space folded, and no mark alone where something was taken from before it."""
    text = " ".join(text.split())
    for pattern, by in _LONE_MARKS:
        text = pattern.sub(by, text)
    return " ".join(text.split())


def _unescaped(text: str, found: set[str]) -> str:
    """The text with its entities read, also those that were escaped twice; `R&D` holds none."""
    for _ in range(2):
        plain = _ENTITY.sub(_character, text)
        if plain == text:
            break
        found.add(ENTITIES)
        text = plain
    return text


def _character(entity: re.Match[str]) -> str:
    name = entity.group(1)
    return html.unescape(entity.group()) if name[0] == "#" or f"{name};" in html5 else entity[0]


def _completed(text: str, found: set[str]) -> str:
    """Letters that an editor put into a word, joined to it: `[H]e said`, `walk[ed]`."""

    def joined(match: re.Match[str]) -> str:
        inner = match.group(1) or match.group(2)
        if _SOUND.fullmatch(inner):
            return match.group()
        found.add(MARKUP)
        return inner

    return _COMPLETED.sub(joined, text)


def _is_all_caps(text: str) -> bool:
    return text.upper() == text and len(text.split()) > 1


def _enclosed(pattern: re.Pattern[str], group: int, text: str, found: set[str]) -> str:
    """What names a sound goes, of the rest the signs around it."""

    def replaced(match: re.Match[str]) -> str:
        inner = match.group(group)
        if _names_sound(inner):
            found.add(NON_SPEECH)
            return " "
        if _ONLY_SPEAKER.fullmatch(inner):
            found.add(SPEAKERS)
            return " "
        found.add(MARKUP)
        return inner

    return pattern.sub(replaced, text)


def _names_sound(text: str) -> bool:
    """Whether what is between signs is a sound's name, or nothing at all, and not an aside."""
    if len(text) > _LONGEST or len(text.split()) > _MOST_WORDS:
        return False
    if text.strip() in _SOUNDS_ELSEWHERE:
        return True
    return not text.strip(" ?.") or bool(_SOUND.search(text) and not _SPOKEN.search(text))
