"""What a run leaves, to compare one run with another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moontune.system.files import read_jsonl


def figures(value: Any) -> Any:
    """All that a run found, without what is of the clock and of the command line."""
    clock = ("seconds", "seconds_validating", "timings_s", "environment", "started", "output_dir")
    clock += ("next_steps",)  # name the run's folder
    if isinstance(value, dict):
        return {k: figures(v) for k, v in value.items() if k not in clock}
    return [figures(v) for v in value] if isinstance(value, list) else value


def left(folder: Path | str) -> dict[str, Any]:
    run = Path(folder) / "outputs/r"
    found: dict[str, Any] = {
        name: json.loads((run / name).read_text())
        for name in ("metrics.json", "train.json", "split.json", "eval_base.json")
    }
    for name in ("train_log", "predictions_base", "predictions_tuned"):
        found[name] = read_jsonl(run / f"{name}.jsonl")
    adapter = (run / "lora_adapter/adapter_model.safetensors").read_bytes()
    return figures(found) | {"adapter": adapter}
