"""Text that others wrote, made safe to stand in HTML and SVG. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

FIXED_SPACE = "\u00a0"
_KEPT = FIXED_SPACE + "\u200d"  # the joiner holds emoji together


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
