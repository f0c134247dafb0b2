"""Frozen layers with LoRA beside them, fused, against plain autograd; rows in few counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear

from moontune.models.packed import lora_linear as projection
from moontune.models.packed.layout import PASS_FRAMES
from moontune.models.packed.lora_linear import lora_linear, padded_row_count

CPU = torch.device("cpu")


def layer_of(outs: int, rank: int | None, alpha: int, dropout: float = 0.0) -> Any:
    base = torch.nn.Linear(12, outs, bias=False).requires_grad_(False)
    if rank is None:
        return base
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout)
    lora: Any = Linear(base, "default", config, r=rank, lora_alpha=alpha)
    torch.nn.init.normal_(lora.lora_B["default"].weight)
    return lora


@pytest.mark.parametrize("mask_of", [None, torch.int32, torch.float32])
@pytest.mark.parametrize("merged_from", [7, 8])
def test_loras_of_any_rank_have_plain_autograds_gradients(
    monkeypatch, mask_of, merged_from
) -> None:
    """Ranks and scales differ, one layer has no LoRA; the dropout's mask is given, as a CPU's or
    another device's; the rows are just enough to merge, or too few."""
    torch.manual_seed(0)
    monkeypatch.setattr(projection, "_MERGED_FROM", merged_from)
    keep = torch.rand(7, 12) > 0.3
    bits = None if mask_of is None else keep.to(mask_of) * (-1 if mask_of == torch.int32 else 1)
    monkeypatch.setattr(projection, "dropout_mask", lambda shape, p, dtype, device: bits)
    p = 0.0 if mask_of is None else 0.3
    layers = [layer_of(5, 2, 8, p), layer_of(6, None, 1), layer_of(3, 4, 4, p)]
    x = torch.randn(7, 12, requires_grad=True)
    weights = [p for layer in layers for p in layer.parameters() if p.requires_grad]
    dropped = x if mask_of is None else x * keep / 0.7
    parts = []
    for layer in layers:
        if isinstance(layer, torch.nn.Linear):
            parts.append(layer(x))
            continue
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        scale = layer.scaling["default"]
        parts.append(layer.get_base_layer()(x) + scale * dropped @ a.t() @ b.t())
    expected = torch.cat(parts, dim=1)
    found = lora_linear(layers, torch.float32, merged=False)(x)
    assert torch.allclose(found, expected, atol=1e-5)
    push = torch.randn_like(expected)
    theirs = torch.autograd.grad(expected, [x, *weights], push)
    ours = torch.autograd.grad(found, [x, *weights], push)
    for mine, right in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, right, atol=1e-4)


def test_loras_fused_as_other_types_want_them_give_what_each_by_itself_gives(monkeypatch) -> None:
    torch.manual_seed(0)
    layers = [layer_of(5, 2, 8), layer_of(6, None, 1), layer_of(3, 4, 4)]
    x = torch.randn(7, 12, requires_grad=True)
    weights = [x, *(p for layer in layers for p in layer.parameters() if p.requires_grad)]
    found = []
    for by in (projection._BlockLinear, projection._Linear):
        monkeypatch.setattr(projection, "_BlockLinear", by)
        out = lora_linear(layers, torch.float32, merged=False)(x)
        found.append([out, *torch.autograd.grad(out.square().sum(), weights)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-4, rtol=1e-4)


def test_bfloat16_on_a_cpu_meets_few_counts_of_rows() -> None:
    passes = range(1, PASS_FRAMES["cpu"] + 1)
    counts = {padded_row_count(n, torch.bfloat16, CPU) for n in passes}
    assert len(counts) <= 11
    assert all(n <= padded_row_count(n, torch.bfloat16, CPU) < n + 256 for n in passes)
    assert padded_row_count(77, torch.float32, CPU) == 77
    assert padded_row_count(77, torch.bfloat16, torch.device("cuda")) == 77
