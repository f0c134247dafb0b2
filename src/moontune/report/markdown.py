"""Markdown that holds any text without letting it become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from moontune.system.formatting import printable


def cell(value: Any) -> str:
    """Text that is inert in a Markdown table: no markup, no HTML, no control characters, and no
    addresses that GitHub makes links of."""
    text = printable(str(value)).replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*_\[\]|#~!]|:(?=//))", r"\\\1", text)
    return re.sub(r"(www)\.", r"\1\\.", text, flags=re.IGNORECASE)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(cell, head)) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def code(text: str) -> str:
    """Inline code that holds any text."""
    text = printable(text)
    ticks = "`" * (max((len(m) for m in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"
