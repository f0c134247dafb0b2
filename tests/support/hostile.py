"""Texts that somebody else may have written: as transcripts, names, ids and paths."""

from __future__ import annotations

import re

TEXTS = [
    "<script>alert(1)</script>",
    "</textarea></title></style></svg><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }} {% raw %} ${x} <%= 7 %>",
    "\x1b]52;c;ZXZpbA==\x07 \x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[1;1H\x1b[31mred\x9b2K\x90q\x9c",
    "safe\rEVIL\x08\x08\x7f\x00",
    "\u202egnp.exe\u2066\u2069\u200f\ufeff\u2028\u0085",
    "\\[link=https://evil.example]here\\[/link]",
    "[/] [bold] [@click=app.quit] :bomb: [",
    "[here](https://evil.example) ![x](//evil.example/x.png) <https://evil.example>",
    "see https://evil.example and www.evil.example `` ` ``` | # --- ~~~ *a* _b_",
    "00:00:01,000 ---> 00:00:02,000 --> <b>x</b> {\\an8}",
    "---\nlicense: evil\n--- !!python/object/apply:os.system ['id']",
    '=HYPERLINK("https://evil.example") +1 @SUM(A1) -2+3|cmd \'!A0',
    "../../../etc/passwd\x00.wav",
]
TOKEN = "hf_" + "aB3" * 11 + "x"  # of the hub's form, and nobody's
_OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]"
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def obeyed(shown: str) -> list[str]:
    """Characters that a terminal would obey or that reorder text, but for a program's own colours
    and line ends."""
    return _OBEYED.findall(_COLOURS.sub("", shown))
