"""The vendor's tuner at work, in an environment of its own; `run.py` starts it.

    VENDORS_PYTHON benchmarks/vendor/worker.py WORK.json

Its own functions alone, called as its command line calls them: `load_manifest`, `build_cache`,
`fit_adapter`. Seconds of the processor are taken when the loss is asked for, once an update.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def tuned(work: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Losses and times of the updates, the rows of each, and what was adapted."""
    from moonshine_voice.lora import train as vendor  # type: ignore[reportMissingImports]
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(work["model"])
    rows = vendor.load_manifest(work["manifest"])
    for row in rows:
        row.seconds = row.seconds or 1.0
    hours = vendor.hours_of(rows) + 1

    def encode(text: str) -> list[int]:
        return vendor.encode_text(processor, text)

    def source(hours: float) -> Any:
        return vendor.file_source(rows, hours, "none")

    index = vendor.build_cache("clips", folder, hours, source, encode)
    blob = vendor.open_blob(folder, "clips", index)
    begun: list[float] = []
    losses: list[float] = []
    groups: list[list[int]] = []
    batch_loss, collate = vendor.batch_loss, vendor.collate

    def timed_loss(model: Any, *inputs: Any) -> Any:
        if model.training:
            begun.append(time.process_time())
        loss = batch_loss(model, *inputs)
        if model.training:
            losses.append(float(loss.detach()))
        return loss

    def noted(entries: Any, blob: Any, indices: list[int], device: str) -> Any:
        groups.append(list(indices))
        return collate(entries, blob, indices, device)

    vendor.batch_loss, vendor.collate = timed_loss, noted
    fixed = {name: work[name] for name in ("lr", "rank", "alpha", "sites", "seed", "batch_size")}
    vendor.fit_adapter(
        work["model"],
        processor,
        index,
        blob,
        train_hours=None,
        dev_hours=0.0,
        replay_ratio=0.0,
        max_steps=work["updates"],
        eval_every=1_000_000,
        warmup=1,
        device="cpu",
        output_dir=folder / "out",
        **fixed,
    )
    ended = time.process_time()
    summary = json.loads((folder / "out/summary.json").read_text(encoding="utf-8"))
    return {
        "losses": losses,
        "begun": begun,
        "ended": ended,
        "groups": groups,
        "adapted": summary["trainable_parameters"],
    }


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = tuned(work, Path(work["folder"]))
    import torch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found |= {"peak_mib": peak / (2**20 if sys.platform == "darwin" else 2**10)}
    found |= {"threads": torch.get_num_threads()}
    found |= {"version": importlib.metadata.version("moonshine-voice")}
    Path(work["out"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
