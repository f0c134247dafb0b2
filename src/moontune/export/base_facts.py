"""The licence of a base, which a card repeats only where it is known."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moontune.models.locate import facts_of, is_hub_id, vendor_language

OWN_TERMS = "other"  # as the hub calls a licence that it has no name for
_FILE = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*")
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True)
class Licence:
    """A licence in the hub's words."""

    id: str
    name: str | None = None  # of terms of its own
    link: str | None = None  # to them

    @classmethod
    def from_json(cls, row: Any) -> Licence | None:
        """Older exports have the id alone."""
        if row is None:
            return None
        return cls(row) if isinstance(row, str) else cls(**row)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def own_terms(self) -> bool:
        return self.id.casefold() == OWN_TERMS

    def metadata(self) -> dict[str, Any]:
        """As the head of a card has it."""
        found = {"license": self.id, "license_name": self.name, "license_link": self.link}
        return {key: value for key, value in found.items() if value is not None}


def licence_of(folder: Path, hub_id: str) -> Licence | None:
    """The licence of a base: by its own card or config in `folder`, else by its name if it is the
    vendor's own; None where it is not known.

    The vendor's models are MIT by its LICENSE, but for the ones that do not stream of languages
    other than English, which are under terms of their own.
    """
    for known in facts_of(folder):
        if named := _text(known.get("license")):
            licence = Licence(named)
            if not licence.own_terms:
                return licence
            link = _reachable(_text(known.get("license_link")), hub_id)
            return Licence(named, _text(known.get("license_name")), link)
    language = vendor_language(hub_id)
    if language is None:
        return None
    return Licence("mit" if language == "en" or "-streaming-" in hub_id else OWN_TERMS)


def _text(value: Any) -> str | None:
    return (" ".join(value.split()) or None) if isinstance(value, str) else None


def _reachable(link: str | None, hub_id: str) -> str | None:
    """A link as it leads there from another model's page; None where it does not."""
    if link is None or _ADDRESS.fullmatch(link):
        return link
    if not is_hub_id(hub_id) or not _FILE.fullmatch(link):
        return None
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{hub_id}/blob/main/{link}"


def licence_text(licence: Licence | None, hub_id: str) -> str:
    """What a card says of the base's licence, as plain text."""
    if licence is None:
        return f"The licence of the base, {hub_id}, is not known to moontune: look at its page."
    if licence.own_terms:
        named = f" ({licence.name})" if licence.name else ""
        return f"The base, {hub_id}, is under a licence of its own{named}: its page has the terms."
    return f"The licence of the base, {hub_id}, is {licence.id}, by its card."
