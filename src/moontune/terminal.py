"""Text that others wrote, made safe for a terminal. No torch here."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # scripts and emoji need them, and they move nothing


def printable(text: str) -> str:
    """One line without control characters and without what hides or reorders text, so that a
    transcript, a name or a path cannot move the cursor, set the clipboard or make a link."""
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
