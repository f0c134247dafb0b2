"""Lines of a user's text file: sentences to read, words to know."""

from __future__ import annotations

from pathlib import Path

from moontune.errors import UserError
from moontune.system.file_kinds import binary_kind, table_kind

_MOST_BYTES, _HEAD_BYTES = 1_000_000, 512
_TABLES = (".csv", ".tsv")


def read_items(file: Path, flag: str, what: str, most_characters: int) -> list[tuple[int, str]]:
    """The lines of a UTF-8 text file that `flag` names, with their numbers, from 1, each once,
    their spaces single; without empty ones and those that begin with #. Raises UserError where
    there is none, or one that cannot be read aloud."""
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
        kind = binary_kind(content[:_HEAD_BYTES])
        looks = "is not UTF-8 text" if kind is None else f"looks like {kind}"
        raise UserError(f"{flag} {file}: {looks}; save it as plain text in UTF-8") from None
    items = items_of(text)
    if file.suffix.lower() in _TABLES and items:
        kind = table_kind(text.strip().splitlines()[0].encode())
        if kind is not None:
            raise UserError(f"{flag} {file}: looks like {kind}; give text, one {what} a line")
    for number, item in items:
        if not (len(item) <= most_characters and item.isprintable()):
            raise UserError(
                f"{flag} {file}:{number}: is longer than {most_characters:,} characters, or holds "
                "some that cannot be seen"
            )
    if not items:
        raise UserError(f"{flag} {file}: holds no {what}; write one a line")
    return items


def items_of(text: str) -> list[tuple[int, str]]:
    """The lines that are items, each once, with their numbers, from 1."""
    first: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if (item := " ".join(line.split())) and not item.startswith("#"):
            first.setdefault(item, number)
    return [(number, item) for item, number in first.items()]
