"""The machine and the packages that the checks run on, as JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from typing import Any

import torch

PACKAGES = ("torch", "transformers", "peft")


def described(device: str) -> dict[str, Any]:
    """The card's name and memory, the packages' versions, and a sentence of both."""
    if device == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("PyTorch finds no CUDA GPU here; give --device cpu")
        facts = torch.cuda.get_device_properties(0)
        card, memory = facts.name, facts.total_memory / 2**30
        count = torch.cuda.device_count()
        name = f"{count} x {card}" if count > 1 else card
    elif device == "mps":
        if not torch.backends.mps.is_available():
            raise SystemExit("PyTorch finds no Apple GPU here; give --device cpu")
        name, memory = f"Apple GPU, macOS {platform.mac_ver()[0]}", 0.0
    else:
        name, memory = f"CPU, {torch.get_num_threads()} threads", 0.0
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    sentence = f"{name}{f', {memory:.0f} GiB' if memory else ''}; {platform.machine()}, "
    sentence += f"{os.cpu_count()} cores; Python {platform.python_version()}, "
    sentence += ", ".join(f"{package} {version}" for package, version in versions.items())
    return {"name": name, "memory_gib": memory, "versions": versions, "sentence": sentence}


if __name__ == "__main__":
    print(json.dumps(described(sys.argv[1])))
