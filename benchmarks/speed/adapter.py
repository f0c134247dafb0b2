"""An adapter that changes what the model writes, the same in every process."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.work import ALPHA, ATTENTION, RANK, Sites
from moontune.config.schema import LoraConfig


def peers_lora(sites: Sites) -> LoraConfig:
    """The peer's adapter as moontune is asked for it; every setting that has a default is written
    out, so that a new default changes no comparison."""
    return LoraConfig(
        lora_r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        lora_targets=ATTENTION,
        lora_part=sites,
        lora_variant="lora",
    )


def fill(model: Any, seed: int, size: float = 0.01) -> None:
    """Set the `lora_B` weights, zero in an untrained adapter, to N(0, size) in the order of names.

    With zeros an evaluation would compare the base with itself.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * size)
