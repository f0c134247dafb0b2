"""Which weights an adapter was trained on, as moontune notes it beside peft's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROVENANCE = "moontune.json"


def trained_on(folder: Path) -> dict[str, Any] | None:
    """The base an adapter of moontune's was trained on; None for adapters of others."""
    try:
        made = json.loads((Path(folder) / PROVENANCE).read_text(encoding="utf-8"))["base"]
        return {"asked": str(made["asked"]), "sha256": str(made["sha256"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def other_weights(adapter: Path, sha256: str) -> str | None:
    """A warning where the adapter was trained on weights with another SHA-256."""
    made_on = trained_on(adapter)
    if not made_on or made_on["sha256"] == sha256:
        return None
    return (
        f"the adapter was trained on {made_on['asked']} (weights {made_on['sha256'][:12]}), not "
        f"on these weights ({sha256[:12]})"
    )
