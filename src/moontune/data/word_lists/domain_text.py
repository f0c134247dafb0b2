"""Text of a user's domain, as what is said there is worded: a text file, or a manifest's texts."""

from __future__ import annotations

import re
from pathlib import Path

from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.system.file_kinds import binary_kind
from moontune.system.formatting import why

MOST_BYTES = 5_000_000
_SENTENCE = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])\s+|\n+")
_MANIFESTS = (".jsonl", ".json", ".gz")
_NO_SENTENCES = (".csv", ".tsv", ".srt", ".vtt")  # whose times and names of files would be words
_NO_PROSE = ("<", "%PDF", "version https://git-lfs")  # begin files of known kinds that are text


def read_domain_text(file: Path, flag: str = "--domain-text") -> tuple[str, ...]:
    """The sentences of a UTF-8 text file that `flag` names, or of a manifest's texts (.jsonl),
    their spaces single; one a line, they are read the same again. Raises UserError where there is
    no word."""
    is_manifest = file.name.lower().endswith(_MANIFESTS)
    sentences = sentences_of(_texts(file, flag) if is_manifest else _content(file, flag))
    if not sentences:
        raise UserError(f"{flag} {file}: holds no word; give text as it is spoken")
    return sentences


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a text that have words; a line is one at least."""
    found = (" ".join(part.split()) for part in _SENTENCE.split(text))
    return tuple(sentence for sentence in found if any(map(str.isalnum, sentence)))


def _texts(file: Path, flag: str) -> str:
    """A manifest's, a line each."""
    try:
        rows, bad = read_manifest(file)
    except UserError as error:
        raise UserError(f"{flag} {error}") from None
    if bad:
        more = f", as {len(bad) - 1} more" * (len(bad) > 1)
        raise UserError(f"{flag} {bad[0].where}: {bad[0].detail}; correct or remove the row{more}")
    return "\n".join(u.text for u in rows)


def _content(file: Path, flag: str) -> str:
    if file.suffix.lower() in _NO_SENTENCES:
        raise UserError(
            f"{flag} {file}: is a table or subtitles; save its sentences alone as a text file, or "
            "make a manifest of it: moontune import"
        )
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{flag} {file}: is no file; give a text file, or a manifest (.jsonl)")
        with open(file, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{flag} {file}: cannot be read ({why(error)})") from None
    text, kind = _decoded(content), binary_kind(content[:100])
    if kind and (text is None or text.startswith(_NO_PROSE)):
        raise UserError(f"{flag} {file}: looks like {kind}; give text as it is spoken")
    if len(content) > MOST_BYTES:
        raise UserError(f"{flag} {file}: is larger than {MOST_BYTES / 1e6:g} MB; cut it")
    if text is None:
        raise UserError(f"{flag} {file}: is not UTF-8 text; save it as UTF-8")
    if text.lstrip().startswith("\\data\\"):
        raise UserError(
            f"{flag} {file}: is a language model (ARPA); give the text that it was made of"
        )
    return text


def _decoded(content: bytes) -> str | None:
    """UTF-8 as text; None where it is none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
