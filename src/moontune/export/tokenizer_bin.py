"""`tokenizer.bin`, which Moonshine's own runtime reads: the bytes of every token, by id.

A token is its length and its bytes; a length from 128 on is two bytes, `n % 128 + 128` and
`n // 128`. The runtime joins the bytes of what was written and turns each U+2581 into a space.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from moontune.errors import UserError

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
            f"{tokenizer}: is not a tokenizer.json with a vocabulary ({error})"
        ) from None
    plain = _byte_level if decoder.get("type") == "ByteLevel" else _sentence_piece
    found = {i: plain(name) for i, name in names.items()}
    found |= {i: content.encode() for i, content in special.items()}
    if sorted(found) != list(range(len(found))):
        raise UserError(f"{tokenizer}: its ids have gaps, which tokenizer.bin cannot have")
    return [found[i] for i in range(len(found))]


def _sentence_piece(name: str) -> bytes:
    one_byte = re.fullmatch(r"<0x([0-9A-F]{2})>", name)
    return bytes([int(one_byte[1], 16)]) if one_byte else name.encode()


def _byte_level(name: str) -> bytes:
    """GPT-2 writes each byte as a printable character: itself, or one from U+0100 on."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    codes = {chr(byte): byte for byte in own}
    codes |= {chr(0x100 + i): byte for i, byte in enumerate(others)}
    return bytes(codes[c] for c in name)


def pack(tokens: list[bytes]) -> bytes:
    assert all(len(token) <= _LONGEST for token in tokens)
    return b"".join(_length(len(token)) + token for token in tokens)


def _length(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n % 128 + 128, n // 128])


def unpack(content: bytes) -> list[bytes]:
    """The tokens in a tokenizer.bin, as the runtime reads it."""
    tokens, at = [], 0
    while at < len(content):
        n = content[at]
        at += 1
        if n >= 128:
            n += 128 * (content[at] - 1)
            at += 1
        tokens.append(content[at : at + n])
        at += n
    return tokens


def write_tokenizer_bin(tokenizer: Path, folder: Path) -> None:
    """Write `tokenizer.bin` from a `tokenizer.json` into a folder. Raises UserError."""
    content = pack(token_bytes(tokenizer))
    (folder / "tokenizer.bin").write_bytes(content)
