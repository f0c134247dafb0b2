"""Facts about a base that a card repeats, each only where it is known: its licence and language."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from moontune.models.locate import vendor_language

OWN_TERMS = "other"  # as the hub calls a licence that it has no name for


def licence_of(folder: Path, hub_id: str) -> str | None:
    """The licence of a base, as the hub names it: by its own card or config in `folder`, else by
    its name if it is the vendor's own; None where it is not known.

    The vendor's models are MIT by its LICENSE, but for the ones that do not stream of languages
    other than English, which are under terms of their own.
    """
    for known in (_card(folder / "README.md"), _config(folder / "config.json")):
        licence = known.get("license") if isinstance(known, dict) else None
        if isinstance(licence, str) and licence.strip():
            return licence.strip()
    language = vendor_language(hub_id)
    if language is None:
        return None
    return "mit" if language == "en" or "-streaming-" in hub_id else OWN_TERMS


def language_of(hub_id: str) -> str:
    """Code of the language that a base writes: as the vendor's name for it ends, else English."""
    return vendor_language(hub_id) or "en"


def licence_text(licence: str | None, hub_id: str) -> str:
    """What a card says of the base's licence, as plain text."""
    if licence is None:
        return f"The licence of the base, {hub_id}, is not known to moontune: look at its page."
    if licence.casefold() == OWN_TERMS:
        return f"The base, {hub_id}, is under a licence of its own: its page has the terms."
    return f"The licence of the base, {hub_id}, is {licence}, by its card."


def _card(file: Path) -> Any:
    """The metadata on top of a model's card."""
    import yaml

    text = _text(file)
    head = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", text, re.DOTALL)
    try:
        return yaml.safe_load(head[1]) if head else {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def _config(file: Path) -> Any:
    try:
        return json.loads(_text(file) or "{}")
    except (ValueError, RecursionError):
        return {}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
