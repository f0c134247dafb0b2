"""An adapter that changes what the model writes, the same in every process."""

from __future__ import annotations

from typing import Any

import torch


def fill(model: Any, seed: int, size: float = 0.01) -> None:
    """Set the `lora_B` weights, zero in an untrained adapter, to N(0, size) in the order of names.

    With zeros an evaluation would compare the base with itself.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * size)
