"""TTML (`.ttml`, `.dfxp`, `.itt`, `.xml`): paragraphs with times, and who speaks in each.

https://www.w3.org/TR/ttml2/: times of an element count from its parent's begin.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from moontune.data.manifest import Dropped
from moontune.importing.text_files import decode
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.timed.subtitles.bilingual import spoken
from moontune.importing.timed.subtitles.ttml_times import Clock
from moontune.importing.timed.xml_files import without_entities
from moontune.importing.values import BAD_TIMES, DamagedSourceError, Place, left_out
from moontune.languages.table import is_language

_ROOT = re.compile(r"<(?:[\w.-]+:)?tt[\s>]")
_HEAD_BYTES = 4096
_NO_TEXT = ("metadata", "title", "desc", "copyright", "agent", "name", "actor")
_RUBY = ("text", "textContainer", "delimiter")  # how what stands below it is read
_REMEDY = "export it as SRT or WebVTT"
_PARAGRAPH = "p "


def is_ttml(path: Path) -> bool:
    """Whether a file is TTML: one of its own suffixes is, an `.xml` where its root says so."""
    if path.suffix.lower() != ".xml":
        return True
    with open(path, "rb") as file:
        return _ROOT.search(decode(file.read(_HEAD_BYTES)).text) is not None


@dataclass(frozen=True)
class _Span:
    """When an element is shown, seconds, and who speaks in it."""

    start_s: float = 0.0
    end_s: float | None = None  # not told
    speaker: str | None = None
    language: str = ""  # as `xml:lang` tells it


def read_ttml(path: Path, place: Place) -> list[Captioned]:
    """The captions of a TTML. Raises DamagedSourceError."""
    try:
        return [_captioned(path, place)]
    except RecursionError:
        raise DamagedSourceError(f"{path}: is nested too deep for TTML; {_REMEDY}") from None


def _captioned(path: Path, place: Place) -> Captioned:
    try:
        root = ElementTree.fromstring(without_entities(path, _REMEDY))
    except ElementTree.ParseError as error:
        raise DamagedSourceError(
            f"{path}: cannot be read as TTML ({error}); get it again, or {_REMEDY}"
        ) from None
    if _local(root.tag) != "tt":
        raise DamagedSourceError(f"{path}: is XML of another kind than TTML; {_REMEDY}")
    if any(_told(element).get("timeContainer") == "seq" for element in root.iter()):
        raise DamagedSourceError(
            f"{path}: has times that follow one another (timeContainer), which are not read; "
            f"{_REMEDY}"
        )
    try:
        clock = Clock.of(_told(root))
    except (ValueError, ZeroDivisionError) as error:
        raise DamagedSourceError(f"{path}: has {error}, which is not read; {_REMEDY}") from None
    agents = _agents(root)
    languages: dict[str, list[Caption]] = defaultdict(list)
    left: list[Dropped] = []
    span = _Span(language=_told(root).get("lang", ""))
    for body in (element for element in root if _local(element.tag) == "body"):
        for language, one in _captions(body, span, clock, agents):
            if isinstance(one, Dropped):
                left.append(one)
            else:
                languages[language].append(one)
    try:
        said = spoken(languages, place.language, _code_of, "language")
    except ValueError as error:
        raise DamagedSourceError(f"{path}: {error}") from None
    captions = [one for name in said.names for one in _shown_together(languages[name])]
    captions.sort(key=lambda one: int(one.where.removeprefix(_PARAGRAPH)))
    name = place.name_of(path)
    numbered = [replace(one, where=f"{name}:{one.where}") for one in captions]
    left = [replace(one, where=f"{name}:{one.where}") for one in (*left, *said.left_out)]
    return Captioned(tuple(numbered), left_out=tuple(left), told=said.told)


def _code_of(tag: str) -> str | None:
    """The code of a language's tag, such as `en-US`; None where it has none of ISO 639-1."""
    code = tag.replace("_", "-").partition("-")[0].lower()
    return code if is_language(code) else None


def _local(tag: object) -> str:
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""  # a comment has none


def _told(element: ElementTree.Element) -> dict[str, str]:
    """An element's attributes by their local names."""
    return {_local(name): value for name, value in element.attrib.items()}


def _agents(root: ElementTree.Element) -> dict[str, str]:
    """Names of who speaks by id; the id where none is named."""
    found = {}
    for agent in (e for e in root.iter() if _local(e.tag) == "agent" and "id" in _told(e)):
        names = (" ".join("".join(e.itertext()).split()) for e in agent if _local(e.tag) == "name")
        found[_told(agent)["id"]] = next(filter(None, names), _numbered(_told(agent)["id"]))
    return found


def _numbered(name: str) -> str:
    """The id of somebody without a name: `v1` is nobody's."""
    number = re.fullmatch(r"[a-z]?(\d{1,3})", name)
    return f"Speaker {number[1]}" if number else name


def _captions(
    body: ElementTree.Element, span: _Span, clock: Clock, agents: dict[str, str]
) -> Iterator[tuple[str, Caption | Dropped]]:
    """Of the paragraphs below an element, numbered through the document, each with its language."""
    numbers = itertools.count(1)

    def below(element: ElementTree.Element, span: _Span) -> Iterator[tuple[str, Caption | Dropped]]:
        is_paragraph = _local(element.tag) == "p"
        where = f"{_PARAGRAPH}{next(numbers)}" if is_paragraph else ""
        try:
            inside = _inside(element, span, clock, agents)
        except ValueError as error:
            text = _text(element)
            yield "", left_out(where or "div", text[:60], BAD_TIMES, str(error))
            return
        if not is_paragraph:
            for child in element:
                yield from below(child, inside)
            return
        try:
            yield inside.language, _paragraph(element, inside, where, clock, agents)
        except ValueError as error:
            yield "", left_out(where, _text(element)[:60], BAD_TIMES, str(error))

    yield from below(body, span)


def _inside(
    element: ElementTree.Element, span: _Span, clock: Clock, agents: dict[str, str]
) -> _Span:
    """When and by whom an element is said, in one of `span`. Raises ValueError."""
    told = _told(element)
    start = span.start_s + (clock.seconds(told["begin"]) if "begin" in told else 0.0)
    ends = [span.end_s] if span.end_s is not None else []
    ends += [span.start_s + clock.seconds(told["end"])] if "end" in told else []
    ends += [start + clock.seconds(told["dur"])] if "dur" in told else []
    who = " ".join(agents.get(one, _numbered(one)) for one in told.get("agent", "").split())
    language = told.get("lang", span.language)
    return _Span(start, min(ends, default=None), who or span.speaker, language)


def _paragraph(
    element: ElementTree.Element, span: _Span, where: str, clock: Clock, agents: dict[str, str]
) -> Caption:
    """A paragraph's caption; one without times of its own has those of the spans in it."""
    spans = [_inside(e, span, clock, agents) for e in element.iter() if _local(e.tag) == "span"]
    told = _told(element).keys()
    timed = [one for one in spans if (one.start_s, one.end_s) != (span.start_s, span.end_s)]
    if timed and not {"begin", "end", "dur"} & told:
        ends = [one.end_s for one in timed if one.end_s is not None]
        start = min(one.start_s for one in timed)
        span = replace(span, start_s=start, end_s=max(ends) if ends else span.end_s)
    voices = {one.speaker for one in spans if one.speaker} or {span.speaker}
    speaker = voices.pop() if len(voices) == 1 else None
    end = span.end_s if span.end_s is not None else span.start_s
    return Caption(
        where, span.start_s, end, tidy(_text(element)), speaker, to_next=span.end_s is None
    )


def _text(element: ElementTree.Element) -> str:
    """What is shown: `<br/>` is the end of a line."""
    parts = [element.text or ""]
    for child in element:
        if _local(child.tag) == "br":
            parts.append("\n")
        elif _is_shown(child):
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _is_shown(element: ElementTree.Element) -> bool:
    return _local(element.tag) not in ("", *_NO_TEXT) and _told(element).get("ruby") not in _RUBY


def _shown_together(captions: list[Caption]) -> Iterator[Caption]:
    """Captions, those of one time and speaker, which are lines of one, as one."""
    for _, group in itertools.groupby(captions, lambda c: (c.start_s, c.end_s, c.speaker)):
        first, *rest = group
        lines = [c.text for c in (first, *rest)]
        text = first.text if len({*lines}) == 1 else tidy("\n".join(lines))
        yield replace(first, text=text)


TTML = TimedKind("ttml", "TTML", (".ttml", ".dfxp", ".itt", ".xml"), read_ttml, is_ttml, tells=True)
