"""The licence of a base, which a card repeats only where it is known."""

from __future__ import annotations

from pathlib import Path

from moontune.models.locate import facts_of, vendor_language

OWN_TERMS = "other"  # as the hub calls a licence that it has no name for


def licence_of(folder: Path, hub_id: str) -> str | None:
    """The licence of a base, as the hub names it: by its own card or config in `folder`, else by
    its name if it is the vendor's own; None where it is not known.

    The vendor's models are MIT by its LICENSE, but for the ones that do not stream of languages
    other than English, which are under terms of their own.
    """
    for known in facts_of(folder):
        licence = known.get("license")
        if isinstance(licence, str) and licence.strip():
            return licence.strip()
    language = vendor_language(hub_id)
    if language is None:
        return None
    return "mit" if language == "en" or "-streaming-" in hub_id else OWN_TERMS


def licence_text(licence: str | None, hub_id: str) -> str:
    """What a card says of the base's licence, as plain text."""
    if licence is None:
        return f"The licence of the base, {hub_id}, is not known to moontune: look at its page."
    if licence.casefold() == OWN_TERMS:
        return f"The base, {hub_id}, is under a licence of its own: its page has the terms."
    return f"The licence of the base, {hub_id}, is {licence}, by its card."
