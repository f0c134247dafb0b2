"""Stability of a training, told from its log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

# Over runs on real speech a gradient's norm is 1 to 2 and its largest 4; at a rate thirty times too
# high it was 18 times the usual, and the validation loss had doubled.
EXPLODED = 50.0
_BEFORE = 5  # updates that the usual norm is told from, at least; until then it is taken for 20
RISEN = 2.0  # times the base's own validation loss, and by a nat: far beyond overfitting


def unsteady(log: Sequence[dict[str, Any]]) -> list[str]:
    """Faults of a training whose numbers were all finite, a phrase each."""
    return [text for text in (_exploded(log), _risen(log), _not_finite(log)) if text]


def _exploded(log: Sequence[dict[str, Any]]) -> str | None:
    """Gradients that were suddenly huge. Clipped or not, their direction is of no use."""
    updates = [e for e in log if e.get("grad_norm") is not None]
    before: list[float] = []
    found: list[tuple[int, float]] = []
    for e in updates:
        usual = median(before) if len(before) >= _BEFORE else 20.0
        if e["grad_norm"] > EXPLODED * max(usual, 1.0):
            found.append((e["step"], e["grad_norm"]))
        else:
            before.append(e["grad_norm"])
    if not found:
        return None
    step, norm = max(found, key=lambda pair: pair[1])
    times = f"{len(found)} update{'' if len(found) == 1 else 's'}"
    return f"gradients exploded in {times} (norm {norm:.3g} at update {step})"


def _validations(log: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """Step and loss, NaN where it was not finite."""
    rows = [(e["step"], e["val_loss"]) for e in log if e["event"] == "validation"]
    return [(step, math.nan if loss is None else loss) for step, loss in rows]


def _risen(log: Sequence[dict[str, Any]]) -> str | None:
    losses = [(step, loss) for step, loss in _validations(log) if math.isfinite(loss)]
    if not losses:
        return None
    (_, first), (step, worst) = losses[0], max(losses, key=lambda pair: pair[1])
    if worst <= max(RISEN * first, first + 1):
        return None
    return f"the validation loss rose from {first:.2f} to {worst:.2f} (update {step})"


def _not_finite(log: Sequence[dict[str, Any]]) -> str | None:
    steps = [step for step, loss in _validations(log) if not math.isfinite(loss)]
    return f"the validation loss was not finite at update {steps[0]}" if steps else None
