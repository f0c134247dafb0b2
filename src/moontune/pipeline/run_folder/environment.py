"""Versions, machine and command line of a run: what somebody needs to make it again."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

_PACKAGES = (
    "moontune",
    "torch",
    "transformers",
    "peft",
    "datasets",
    "numpy",
    "soundfile",
    "soxr",
    "jiwer",
    "whisper-normalizer",
    "tokenizers",
)


def environment(command: list[str]) -> dict[str, Any]:
    """The record of them in `run.json`."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commands": [command],
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "versions": versions_here(),
        "git_revision": _git_revision(),
    }


def versions_here() -> dict[str, str]:
    """Of moontune and of what it computes with."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _git_revision() -> str | None:
    """Commit of moontune's own source, if it runs from a checkout."""
    root = Path(__file__).resolve().parents[4]
    if not (root / ".git").exists():
        return None
    try:
        out = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return out.stdout.strip()
