"""Templates and elements that hold any text: what others wrote stays text in HTML and SVG.

Every value is escaped, and freed of characters that could hide or reorder text, because
transcripts, names and paths are other people's.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from moontune.evaluation.acceptance import is_caution
from moontune.languages.table import ENGLISH, current

FIXED_SPACE = "\u00a0"
# The joiner holds emoji together, the other one keeps letters of Persian apart.
_KEPT = FIXED_SPACE + "\u200d\u200c"


@functools.cache
def templates(package: str) -> Environment:
    """The templates in a package's folder `templates`, with the filters below."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["prose"] = prose
    environment.filters["breakable"] = breakable
    environment.filters["count"] = lambda n: f"{n:,}"
    environment.filters["span"] = _span
    environment.filters["signed"] = lambda n: f"{n:+,}".replace("-", "−") if n else "0"
    environment.tests["caution"] = is_caution
    environment.globals |= {"language": current, "said": said_attributes}
    return environment


def said_attributes() -> Markup:
    """Attributes of an element that holds what was said or written, in another language than the
    page's own: which one it is, and that its letters tell the direction."""
    language = current()
    return Markup() if language == ENGLISH else Markup(f' lang="{language.code}" dir="auto"')


def prose(text: str) -> str:
    """A sentence of the Markdown report with the signs of a printed page."""
    text = text.replace(" -> ", " → ").replace(" %", FIXED_SPACE + "%")
    return re.sub(r"(?<![\w.)-])-(?=\d)", "−", text)


def breakable(name: str) -> Markup:
    """A name that may be broken behind its own marks, before it is anywhere else."""
    parts = re.split(r"(?<=[_./ ])", visible(name))
    return Markup("<wbr>").join(parts)


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}{FIXED_SPACE}%"


def _span(seconds: float) -> str:
    """A length of time as people say it."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def visible(value: Any) -> Any:
    """Text without characters that hide, reorder or break it, nothing as a dash; markup and
    numbers as they are."""
    if value is None:
        return "–"
    if isinstance(value, Markup) or not isinstance(value, (str, Path)):
        return value
    return "".join(map(_shown, str(value)))


def _shown(c: str) -> str:
    if c.isprintable() or c in _KEPT:
        return c
    return " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"


def element(name: str, content: object = "", **attributes: object) -> Markup:
    """One element; content and attributes are escaped unless they are markup already."""
    parts = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), visible(value))
        for key, value in attributes.items()
    ]
    return Markup("<{0}{1}>{2}</{0}>").format(
        Markup(name), Markup("").join(parts), visible(content)
    )
