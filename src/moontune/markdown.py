"""Markdown that holds any text without letting it become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def cell(value: Any) -> str:
    """Text that is inert in a Markdown table: no markup, no HTML, no control characters."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def code(text: str) -> str:
    """Inline code that holds any text."""
    text = "".join(c if c.isprintable() else " " for c in text)
    ticks = "`" * (max((len(m) for m in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
