"""Sentences to read aloud: of moontune's own, or of a file.

The own ones are short, everyday, and together have every sound of English. Each is read in three to
six seconds, all of them in twenty to thirty minutes. Whoever trains for a trade brings the trade's
own sentences (`--prompts FILE`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from moontune.errors import UserError
from moontune.web.corrected_clips import MOST_CHARACTERS

_MOST_BYTES = 1_000_000


def own_sentences() -> list[str]:
    """Those of `sentences.txt` beside this file."""
    file = resources.files("moontune.web") / "sentences.txt"
    return _items(file.read_text(encoding="utf-8"))


def read_prompts(file: Path) -> list[str]:
    """The sentences of a UTF-8 text file, one a line; empty lines and those that begin with # are
    left out. Raises UserError."""
    return read_items(file, "--prompts", "sentence", MOST_CHARACTERS)


def read_items(file: Path, flag: str, what: str, most_characters: int) -> list[str]:
    """The lines of a UTF-8 text file that `flag` names, each once, their spaces single; without
    empty ones and those that begin with #. Raises UserError where there is none, or one that cannot
    be read aloud."""
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{flag} {file}: is no file; give a text file, one {what} a line")
        with open(file, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(f"{flag} {file}: is larger than {_MOST_BYTES / 1e6:g} MB; cut it")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{flag} {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{flag} {file}: is not UTF-8 text; save it as UTF-8") from None
    for number, line in enumerate(text.splitlines(), start=1):
        item = " ".join(line.split())
        if not item.startswith("#") and not (len(item) <= most_characters and item.isprintable()):
            raise UserError(
                f"{flag} {file}:{number}: is longer than {most_characters:,} characters, or holds "
                "some that cannot be seen"
            )
    items = _items(text)
    if not items:
        raise UserError(f"{flag} {file}: holds no {what}; write one a line")
    return items


def _items(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
