"""Sentences to read aloud: of moontune's own, or of a file.

The own ones are short, everyday, and together have every sound of English. Each is read in three to
six seconds, all of them in twenty to thirty minutes. Whoever trains for a trade brings the trade's
own sentences (`--prompts FILE`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from moontune.data.word_lists.items import items_of, read_items
from moontune.web.corrected_clips import MOST_CHARACTERS


def own_sentences() -> list[str]:
    """Those of `sentences.txt` beside this file."""
    file = resources.files("moontune.web") / "sentences.txt"
    return [item for _, item in items_of(file.read_text(encoding="utf-8"))]


def read_prompts(file: Path) -> list[str]:
    """The sentences of a UTF-8 text file, one a line; empty lines and those that begin with # are
    left out. Raises UserError."""
    return [item for _, item in read_items(file, "--prompts", "sentence", MOST_CHARACTERS)]
