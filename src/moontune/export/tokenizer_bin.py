"""`tokenizer.bin`, which Moonshine's own runtime reads: the bytes of every token, by id.

A token is its length and its bytes; a length from 128 on is two bytes, `n % 128 + 128` and
`n // 128`. The runtime joins the bytes of what was written and turns each U+2581 into a space.
"""

from __future__ import annotations

import json
from pathlib import Path

from moontune.errors import UserError
from moontune.models.standalone import byte_level, sentence_piece
from moontune.system.formatting import why

_LONGEST = 128 * 256 - 1


def token_bytes(tokenizer: Path) -> list[bytes]:
    """The bytes of each token of a `tokenizer.json`, by id. Raises UserError."""
    try:
        made = json.loads(Path(tokenizer).read_text(encoding="utf-8"))
        names = {i: name for name, i in made["model"]["vocab"].items()}
        special = {row["id"]: row["content"] for row in made["added_tokens"]}
        decoder = made["decoder"] or {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{tokenizer}: is not a tokenizer.json with a vocabulary ({why(error)})"
        ) from None
    plain = byte_level if decoder.get("type") == "ByteLevel" else sentence_piece
    found = {i: plain(name) for i, name in names.items()}
    found |= {i: content.encode() for i, content in special.items()}
    if sorted(found) != list(range(len(found))):
        raise UserError(f"{tokenizer}: its ids have gaps, which tokenizer.bin cannot have")
    return [found[i] for i in range(len(found))]


def pack(tokens: list[bytes]) -> bytes:
    assert all(len(token) <= _LONGEST for token in tokens)
    return b"".join(_length(len(token)) + token for token in tokens)


def _length(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n % 128 + 128, n // 128])


def write_tokenizer_bin(tokenizer: Path, folder: Path) -> None:
    """Write `tokenizer.bin` from a `tokenizer.json` into a folder. Raises UserError."""
    content = pack(token_bytes(tokenizer))
    (folder / "tokenizer.bin").write_bytes(content)
