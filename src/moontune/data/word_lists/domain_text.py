"""Text of a user's domain, as what is said there is worded: a text file, or a manifest's texts."""

from __future__ import annotations

import re
from pathlib import Path

from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.system.formatting import why

MOST_BYTES = 5_000_000
_SENTENCE = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])\s+|\n+")


def read_domain_text(file: Path, flag: str = "--domain-text") -> tuple[str, ...]:
    """The sentences of a UTF-8 text file that `flag` names, or the texts of a manifest (.jsonl).
    Raises UserError where there is no word."""
    if file.suffix == ".jsonl":
        found = [u.text for u in read_manifest(file)[0]]
    else:
        try:
            with open(file, "rb") as stream:
                content = stream.read(MOST_BYTES + 1)
        except OSError as error:
            raise UserError(f"{flag} {file}: cannot be read ({why(error)})") from None
        if len(content) > MOST_BYTES:
            raise UserError(f"{flag} {file}: is larger than {MOST_BYTES / 1e6:g} MB; cut it")
        try:
            found = _SENTENCE.split(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise UserError(f"{flag} {file}: is not UTF-8 text; save it as UTF-8") from None
    sentences = tuple(text for text in found if any(map(str.isalnum, text)))
    if not sentences:
        raise UserError(f"{flag} {file}: holds no word; give text as it is spoken")
    return sentences
