"""Access tokens, kept out of everything that is printed or written down."""

from __future__ import annotations

import os
import re

from moontune.errors import UserError

_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}")  # as the hub makes them
_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_SHORTEST = 8  # characters; a shorter value is no token, and may be part of any word


def redacted(text: str) -> str:
    """The text with tokens replaced: what looks like one, and the values the hub's library uses."""
    for name in _VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"[{name}]")
    return _TOKEN.sub("[token]", text)


def refuse_secrets(text: str, where: str) -> None:
    """Raises UserError if the text holds a token: commands and settings are saved and reported."""
    if redacted(text) != text:
        raise UserError(
            f"{where}: holds an access token, which would be saved with the run; set HF_TOKEN or "
            "log in with `hf auth login`, and revoke this one if others can have read it"
        )
