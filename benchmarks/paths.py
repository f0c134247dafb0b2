"""Where the benchmarks look for data and a base when none is given."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository
SHARED = Path(os.environ.get("MOONTUNE_SHARED", ROOT.parent / "shared"))  # data/ and models/


def default_manifests() -> tuple[Path, ...]:
    return tuple(sorted((SHARED / "data").glob("*/manifest.jsonl")))


def default_model() -> str:
    shared = SHARED / "models" / "moonshine-tiny"
    return str(shared) if shared.is_dir() else "bundled"
