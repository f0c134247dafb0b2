"""XML that others wrote: none is parsed that declares entities, and what is not quite XML is made
such where that is sure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from pathlib import Path
from xml.sax.saxutils import escape

from moontune.importing.text_files import decode
from moontune.importing.values import DamagedSourceError

LARGEST_BYTES = 2**28
_DECLARES = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_AMPERSAND = re.compile(r"&(?:(#\d+|#x[0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);)?")
_AS_IT_IS = "<![CDATA[", "]]>"
_OF_XML = ("amp", "lt", "gt", "quot", "apos")


def without_entities(path: Path, remedy: str) -> str:
    """The text of an XML file, whatever its encoding, in which entities of HTML (`&nbsp;`) are
    characters, and an `&` of none is one too. Raises DamagedSourceError."""
    content = path.read_bytes()[: LARGEST_BYTES + 1]
    if len(content) > LARGEST_BYTES:
        raise DamagedSourceError(f"{path}: is over 256 MB of XML; divide it, or {remedy}")
    try:
        text = decode(content).text.lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise DamagedSourceError(f"{path}: is not in {error.encoding}; {remedy}") from None
    if _DECLARES.search(text):
        raise DamagedSourceError(f"{path}: declares entities, and is not opened; {remedy}")
    return "".join(_mended(_DECLARATION.sub("", text, count=1)))


def _mended(text: str) -> Iterator[str]:
    opens, closes = _AS_IT_IS
    at = 0
    while (begin := text.find(opens, at)) >= 0 and (end := text.find(closes, begin)) >= 0:
        yield _AMPERSAND.sub(_character, text[at:begin])
        at = end + len(closes)
        yield text[begin:at]
    yield _AMPERSAND.sub(_character, text[at:])


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name and (name.startswith("#") or name in _OF_XML):
        return found[0]
    return escape(html5.get(f"{name};", found[0]) if name else "&")
