"""Which weights a base has, and which an adapter was trained on, as moontune notes it beside peft's
files."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

PROVENANCE = "moontune.json"
WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The files of a saved net's weights: one, or the shards that its index names; none where one
    of them is missing."""
    files = [folder / WEIGHTS]
    if not files[0].is_file():
        try:
            index = json.loads((folder / _SHARDS).read_text(encoding="utf-8"))
            names = sorted({str(name) for name in index["weight_map"].values()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []
        files = [folder / Path(name).name for name in names]
    return files if all(file.is_file() for file in files) else []


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a net's weights as they are stored, shards one after another."""
    digest = hashlib.sha256()
    for file in weight_files(folder):
        with open(file, "rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def count_weights(folder: Path) -> int:
    """How many weights a net's files hold; none of those that cannot be read."""
    from safetensors import SafetensorError, safe_open

    count = 0
    for file in weight_files(folder):
        try:
            with safe_open(file, "numpy") as opened:
                for name in opened.keys():  # noqa: SIM118
                    count += math.prod(opened.get_slice(name).get_shape())
        except (OSError, SafetensorError):
            continue
    return count


def base_of_adapter(folder: Path) -> tuple[str, str | None] | None:
    """The base that an adapter is for, as moontune noted it, else as peft did, and its commit on
    the hub; None where it does not say."""
    try:
        base = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["base"]
        return str(base["asked"]), base["revision"] if base["from_hub"] else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        peft = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        base, revision = peft["base_model_name_or_path"], peft.get("revision")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(base, str) or not base:
        return None
    on_hub = isinstance(revision, str) and not Path(base).expanduser().is_dir()
    return base, revision if on_hub else None


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
