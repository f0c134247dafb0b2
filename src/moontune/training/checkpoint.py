"""Where a training stands, on disk: enough to go on as if it had never stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from moontune.system.distributed import ProcessGroup
from moontune.system.files import write_bytes

SHARE = 0.01  # of the time that may go into writing
_FIRST_S = 0.1  # what writing is taken to cost before it was done once


@dataclass
class Checkpoint:
    """Tensors by name, and what is written as JSON beside them."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with `name/`, without it."""
        head = f"{name}/"
        return {k.removeprefix(head): t for k, t in self.tensors.items() if k.startswith(head)}


def prefixed(**parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of several parts, each under its part's name."""
    return {f"{part}/{k}": t for part, tensors in parts.items() for k, t in tensors.items()}


def read_checkpoint(file: Path, key: str) -> Checkpoint | None:
    """The state to go on from; None where there is none, or not of the training of this key.

    Raises OSError where the disk does not give what it has.
    """
    if not file.exists():
        return None
    try:
        with safe_open(file, "pt") as stored:
            facts = json.loads((stored.metadata() or {})["state"])
            if facts.pop("key") != key:
                return None
            names: list[str] = stored.keys()
            return Checkpoint({name: stored.get_tensor(name) for name in names}, facts)
    except (SafetensorError, KeyError, ValueError):
        return None


@dataclass
class Checkpointer:
    """Writes a training's state now and then, so that at most a hundred times as long is lost as
    writing takes, and when it is asked to stop.

    `key` stands for all that the training is made of: the state of another is not taken up.
    `about` is kept with it: what was decided before the training began.
    """

    file: Path
    key: str
    stopping: Callable[[], bool] = lambda: False
    log_bytes: Callable[[], int] = lambda: 0  # length of the training's log on disk
    about: dict[str, Any] = field(default_factory=dict)
    _cost_s: float = _FIRST_S
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = time.perf_counter()

    def saved(self) -> Checkpoint | None:
        """The state to go on from, as `read_checkpoint` has it."""
        return read_checkpoint(self.file, self.key)

    def after_update(self, state: Callable[[], Checkpoint], group: ProcessGroup) -> None:
        """Save if it is time to. Raises KeyboardInterrupt, with all saved, if asked to stop."""
        stop = group.on_main(self.stopping)
        if not stop and not group.on_main(self._due):
            return
        now = state()  # every process adds its own to it
        if group.is_main:
            self._save(now)
        if stop:
            raise KeyboardInterrupt

    def _due(self) -> bool:
        return (time.perf_counter() - self._last) * SHARE >= self._cost_s

    def _save(self, state: Checkpoint) -> None:
        begun = time.perf_counter()
        facts = state.facts | {"key": self.key, "log_bytes": self.log_bytes(), "about": self.about}
        tensors = {name: t.contiguous() for name, t in state.tensors.items()}
        write_bytes(self.file, save(tensors, metadata={"state": json.dumps(facts)}))
        self._last = time.perf_counter()
        self._cost_s = self._last - begun
