"""Where moontune keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """`$MOONTUNE_CACHE`, else `$XDG_CACHE_HOME/moontune`, else `~/.cache/moontune`; not created."""
    if own := os.environ.get("MOONTUNE_CACHE"):
        return Path(own).expanduser().absolute()
    # The XDG specification: an unset, empty or relative value means the default.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "moontune"
