"""Architectures by the `model_type` of a config."""

from __future__ import annotations

import re
from typing import Any

import torch

from moontune.errors import UserError
from moontune.models.architectures.interface import Architecture
from moontune.models.architectures.moonshine import Moonshine
from moontune.models.architectures.moonshine_streaming import MoonshineStreaming
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layers import Linear
from moontune.models.packed.lora_linear import lora_linear
from moontune.system.memory import lay_aside

ARCHITECTURES: dict[str, Architecture] = {
    one.model_type: one for one in (Moonshine(), MoonshineStreaming())
}


def architecture_of(net: Any) -> Architecture:
    """The architecture of a net that `load_base` loaded."""
    return ARCHITECTURES[net.config.model_type]


def packed_forward(
    net: Any, dtype: torch.dtype = torch.float32, *, merged: bool = False
) -> PackedForward:
    """The forward pass of a net, with the adapter on it as it is, its products in `dtype`.

    With `merged` the adapter is added into copies of the weights as it is now: faster, for
    transcribing and measuring. Raises UserError where this forward would compute something else.
    """
    architecture = architecture_of(net)
    if not merged:
        _refuse_dropout(net)
    refuse_adapters_elsewhere(net)

    def fuse(*layers: torch.nn.Module) -> Linear:
        return lora_linear(layers, dtype, merged=merged)

    packed = PackedForward(architecture.parts(net, fuse), dtype, writes=merged)
    if merged or dtype != torch.float32:  # most is computed with copies
        lay_aside(net.parameters())
    return packed


def _refuse_dropout(net: Any) -> None:
    for half in (net.model.encoder, net.model.decoder):
        if half.config.attention_dropout:
            raise UserError(
                f"the base's config.json has attention_dropout {half.config.attention_dropout}, "
                "which moontune does not compute in training; set it to 0 there"
            )


def refuse_adapters_elsewhere(net: Any, named: str = "the adapter") -> None:
    """Raise UserError if an adapter sits where this forward would not see it."""
    linears = "|".join(architecture_of(net).linears)
    seen = re.compile(rf".*\b(encoder|decoder)\.layers\..*\.({linears})")
    for name, module in net.named_modules():
        if hasattr(module, "base_layer") and not seen.fullmatch(name):
            changed = name.removesuffix(".token_adapter").rpartition(".")[2]
            raise UserError(
                f"{named} changes {changed}; moontune takes adapters on the linear layers of "
                "attention and MLP only"
            )
