"""Arguments of the verbs that begin a run, a cross-validation or a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moontune.config.schema import Folds, RunConfig


@dataclass(frozen=True)
class NewRunArgs:
    """Adapt a Moonshine model with LoRA and measure honestly whether it helped."""

    config: Path | None = None
    """TOML or YAML file of settings; flags override it."""
    preset: str | None = None
    """Named settings under the file and flags: `offline` (bundled model, synthetic speech), `plan`
    (the settings moontune was planned with: 500 updates of 8 clips at 3e-4, rank 8)."""
    resume: bool = False
    """Go on with the run of this --run-name from its last finished stage."""
    overwrite: bool = False
    """Replace a run of this --run-name."""
    settings: RunConfig = field(default_factory=RunConfig)


@dataclass(frozen=True)
class CrossvalArgs(NewRunArgs):
    """Cross-validate: every clip is tested once, by an adapter that never met its speaker (or, with
    --split-by utterance, the clip)."""

    folds: Folds = 5
    """So many trainings, each tested on another part of the speakers; `speaker`: one a
    speaker."""


@dataclass(frozen=True)
class SweepArgs(NewRunArgs):
    """Search: train with other settings, keep what validates best, and only then test it against
    the run's own settings."""

    trials: int = 12
    """So many trainings, the run's own settings first; what does badly is given up early."""
    tune: tuple[str, ...] = ("lr", "max_steps", "lora_r")
    """Settings to try, NAME or with values: `lr=1e-4..1e-3`, `lora_r=4,8`; a list's items are
    joined by +, and none is the empty list. Of the default ones, those not given as flags."""
