"""Text of a user's domain, as what is said there is worded: a text file, or a manifest's texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.system.file_kinds import binary_kind
from moontune.system.formatting import why

MOST_BYTES = 5_000_000
_SENTENCE = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])\s+|\n+")
_MANIFESTS = (".jsonl", ".json", ".gz")


def read_domain_text(file: Path, flag: str = "--domain-text") -> tuple[str, ...]:
    """The sentences of a UTF-8 text file that `flag` names, or the texts of a manifest (.jsonl),
    their spaces single. Raises UserError where there is no word."""
    if file.name.lower().endswith(_MANIFESTS):
        return _with_words(_texts(file, flag), file, flag)
    return _with_words(sentences_of(_content(file, flag)), file, flag)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text; a line is one at most."""
    return _SENTENCE.split(text)


def kept_domain_text(file: Path, called: str) -> tuple[str, ...]:
    """The same of a copy, which has one a line; `called` names it. Raises UserError."""
    return _with_words(_content(file, called).split("\n"), file, called)


def _texts(file: Path, flag: str) -> list[str]:
    try:
        return [u.text for u in read_manifest(file)[0]]
    except UserError as error:
        raise UserError(f"{flag} {error}") from None


def _content(file: Path, flag: str) -> str:
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{flag} {file}: is no file; give a text file, or a manifest (.jsonl)")
        with open(file, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{flag} {file}: cannot be read ({why(error)})") from None
    if kind := binary_kind(content[:100]):
        raise UserError(f"{flag} {file}: looks like {kind}; give text as it is spoken")
    if len(content) > MOST_BYTES:
        raise UserError(f"{flag} {file}: is larger than {MOST_BYTES / 1e6:g} MB; cut it")
    if content.lstrip().startswith(b"\\data\\"):
        raise UserError(
            f"{flag} {file}: is a language model (ARPA); give the text that it was made of"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{flag} {file}: is not UTF-8 text; save it as UTF-8") from None


def _with_words(texts: Iterable[str], file: Path, flag: str) -> tuple[str, ...]:
    sentences = tuple(" ".join(text.split()) for text in texts if any(map(str.isalnum, text)))
    if not sentences:
        raise UserError(f"{flag} {file}: holds no word; give text as it is spoken")
    return sentences
