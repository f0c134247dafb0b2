"""The log of a training: events into `train_log.jsonl` and before the user's eyes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import ProcessGroup
from moontune.system.progress import Ui


class TrainingLog:
    """Takes in a training's events: in the main process they are written, in all they are shown."""

    def __init__(
        self, run: RunDir, begin_bytes: int, updates: int, ui: Ui, group: ProcessGroup
    ) -> None:
        """Lines of an earlier process stay as far as `begin_bytes`; of it the validations are
        shown again."""
        self._updates, self._ui = updates, ui
        file = run / TRAIN_LOG if group.is_main else os.devnull
        self._stream = open(file, "ab")  # noqa: SIM115
        if group.is_main:
            self._stream.truncate(begin_bytes)
            for event in run.rows(TRAIN_LOG):
                if event["event"] == "validation":
                    ui.training(event, updates)

    def __call__(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event).encode() + b"\n")
        self._stream.flush()
        self._ui.training(event, self._updates)

    def of_word_errors(self, earlier: int) -> Callable[[dict[str, Any]], None]:
        """What takes in events of updates on word errors, which come after so many others: they
        have names of their own, as they are of another loss."""

        def on_event(event: dict[str, Any]) -> None:
            event = event | {"step": earlier + event["step"]}
            if "val_loss" in event:
                event["expected_errors"] = event.pop("val_loss")
            self(event | {"event": f"word-error {event['event']}"})

        return on_event

    def settled_bytes(self) -> int:
        """Length of the log, all of it on the disk."""
        os.fsync(self._stream.fileno())
        return self._stream.tell()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()


def is_logged(run: RunDir, length_bytes: int) -> bool:
    """True if the log is there as far as a checkpoint knows it."""
    file = run / TRAIN_LOG
    if not file.is_file():
        return False
    content = file.read_bytes()[:length_bytes]
    try:
        return len(content) == length_bytes and all(json.loads(x) for x in content.splitlines())
    except ValueError:
        return False
