"""Frozen linear layers with their LoRA beside them, fused where they share an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_RANDOM_LEVELS = 2**16  # dropout draws 16 bits a value
# From so many rows on a LoRA is added to a float32 weight for a pass: below, the copy costs more.
_MERGED_FROM = 512
_MASKS = 2**22  # values of the table that masks are taken from, more for larger layers
_tables: dict[tuple[float, torch.dtype], torch.Tensor] = {}
_BITS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}


@dataclass(frozen=True)
class _Lora:
    """The adapter of one linear layer: output += scale * (dropout(x) @ a.T) @ b.T."""

    a: nn.Parameter  # (rank, in)
    b: nn.Parameter  # (out, rank)
    scale: float
    dropout: float


_Place = tuple[slice, slice, float]  # a LoRA's columns of the fused b, its rows, its scale


def _places_of(loras: Sequence[_Lora | None], outs: Sequence[int]) -> list[_Place]:
    places: list[_Place] = []
    rank = row = 0
    for lora, out in zip(loras, outs, strict=True):
        if lora is not None:
            width = len(lora.a)
            places.append((slice(rank, rank + width), slice(row, row + out), lora.scale))
            rank += width
        row += out
    return places


def _base_of(layer: nn.Module) -> nn.Linear:
    wrapped: Any = layer
    return layer if isinstance(layer, nn.Linear) else wrapped.get_base_layer()


def _is_plain(layer: nn.Module) -> bool:
    """A bare linear layer, or peft's with nothing but LoRA at most, on it."""
    if isinstance(layer, nn.Linear):
        return True
    from peft.tuners.lora import Linear

    if type(layer) is not Linear or layer.merged or len(layer.active_adapters) != 1:
        return False
    (name,) = layer.active_adapters
    return name not in layer.lora_variant and not layer.lora_bias.get(name)


def _lora_of(layer: Any) -> _Lora | None:
    if isinstance(layer, nn.Linear) or layer.disable_adapters:
        return None
    (name,) = layer.active_adapters
    if name not in layer.lora_A:
        return None
    return _Lora(
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        float(layer.scaling[name]),
        float(getattr(layer.lora_dropout[name], "p", 0.0)),
    )


def _shared(layers: Sequence[nn.Linear]) -> torch.Tensor:
    """The layers' weights in one matrix, of which theirs become views: nothing is there twice."""
    if len(layers) == 1:
        return layers[0].weight.detach()
    together = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, together.split([len(x.weight) for x in layers]), strict=True):
        layer.weight.data = part
    return together


class FusedLoraLinear:
    """Linear layers that share their input, as one matrix product.

    Called with x (rows, in) it gives (rows, sum of outs) in `dtype`, what the layers give one after
    another. Frozen weights are copied, in `dtype`, but in float32 the layers' own become views of
    the fused matrix: do not merge an adapter under it. LoRA weights are used where they are, so
    that they train. With `merged` the LoRA is added into a copy, which is then a snapshot.

    Dropout acts where gradients are recorded; layers fused share one mask, unlike in peft.
    """

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype, *, merged: bool) -> None:
        loras = [_lora_of(layer) for layer in layers]
        weights = [_base_of(layer).weight.detach() for layer in layers]
        if merged:
            weights = [
                w if lora is None else w + lora.scale * (lora.b.detach() @ lora.a.detach())
                for w, lora in zip(weights, loras, strict=True)
            ]
        if dtype == torch.float32 and not merged:
            self.weight = _shared([_base_of(layer) for layer in layers])
        else:
            self.weight = torch.cat(weights).to(dtype)
        on_cpu, few_in = self.weight.device.type == "cpu", len(self.weight) >= self.weight.shape[1]
        if merged and dtype == torch.float32 and on_cpu and few_in:
            self.weight = self.weight.t().contiguous().t()  # the order in which few rows read it
        biases = [_base_of(layer).bias for layer in layers]
        assert len({b is None for b in biases}) == 1
        self.bias = None if biases[0] is None else torch.cat([b.detach() for b in biases]).to(dtype)
        self._loras = [] if merged else loras
        self._places = [] if merged else _places_of(loras, [len(w) for w in weights])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        used = [lora for lora in self._loras if lora is not None]
        p = used[0].dropout if used and torch.is_grad_enabled() else 0.0
        keep = dropout_mask(x.shape, p, self.weight.dtype, x.device)
        places = [(rank, out, scale / (1 - p)) for rank, out, scale in self._places]
        weights = [w for lora in used for w in (lora.a, lora.b)]
        plain = x.device.type == "cpu" and {self.weight.dtype, *(w.dtype for w in weights)} == {
            torch.float32
        }
        by = _BlockLinear if plain and weights else _Linear
        out: Any = by.apply(x, self.weight, self.bias, keep, places, *weights)
        return out


class UnfusedLinear:
    """Linear layers that share their input, each computed by itself in float32: whatever peft puts
    on a layer beside plain LoRA, or LoRAs of several dropouts.

    Called as FusedLoraLinear is.
    """

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype) -> None:
        self._layers, self._dtype = list(layers), dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(x.float()) for layer in self._layers], dim=-1).to(self._dtype)


def lora_linear(
    layers: Sequence[nn.Module], dtype: torch.dtype, *, merged: bool
) -> FusedLoraLinear | UnfusedLinear:
    """Linear layers that share their input, fused where that gives what the layers give."""
    plain = all(map(_is_plain, layers))
    if plain and len({lora.dropout for lora in map(_lora_of, layers) if lora is not None}) <= 1:
        return FusedLoraLinear(layers, dtype, merged=merged)
    return UnfusedLinear(layers, dtype)


def dropout_mask(
    shape: torch.Size, p: float, dtype: torch.dtype, device: torch.device
) -> torch.Tensor | None:
    """What `dropped` takes to leave out each value of (rows, width) in `dtype` with probability
    `p`; None where p is 0. What is kept is to be scaled by 1 / (1 - p).

    On a CPU the bits of a value, all set or none, since a pass over them takes a third of what
    multiplying takes: a stretch, from a random place on, of a table that is drawn once (as the
    noise of Salimans et al. 2017, arXiv 1703.03864, is). To draw every value took a tenth of an
    update. What is given hangs on torch's random state and the shape alone.
    """
    if p == 0:
        return None
    if device.type != "cpu":
        return (torch.rand(shape, device=device) >= p).to(dtype)
    count = shape.numel()
    table = _masks(p, _BITS[dtype], max(_MASKS, 2 ** (2 * count - 1).bit_length()))
    start = int(torch.randint(len(table) - count + 1, ()))
    return table[start : start + count].view(shape)


def _masks(p: float, bits: torch.dtype, count: int) -> torch.Tensor:
    """So many values of integers, each zero with probability `p`, else all bits set; a longer table
    begins as a shorter one does, so the longest is kept: of one `p`, since a search tries many."""
    table = _tables.get((p, bits))
    if table is None or len(table) < count:
        for other in [key for key in _tables if key[0] != p]:
            _tables.pop(other, None)
        table = _tables[p, bits] = _drawn(p, bits, count)
    return table[:count]


def _drawn(p: float, bits: torch.dtype, count: int) -> torch.Tensor:
    draws = torch.empty((count + 3) // 4, dtype=torch.int64)
    source = torch.Generator().manual_seed(0)
    draws.random_(torch.iinfo(torch.int64).min, None, generator=source)  # type: ignore[arg-type]
    least = max(1, round(p * _RANDOM_LEVELS)) - _RANDOM_LEVELS // 2  # that is kept
    values = draws.view(torch.int16)[:count]
    return values.clamp_(least - 1, least).sub_(least - 1).neg_().to(bits)


def dropped(rows: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    """Rows without what the mask leaves out."""
    if keep is None:
        return rows
    if keep.is_floating_point():
        return rows * keep
    return (rows.view(keep.dtype) & keep).view(rows.dtype)


def _dropped_in_place(rows: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    if keep is None:
        return rows
    if keep.is_floating_point():
        return rows.mul_(keep)
    rows.view(keep.dtype).bitwise_and_(keep)
    return rows


def padded_row_count(count: int, dtype: torch.dtype, device: torch.device) -> int:
    """As many rows as a pass of `count` should have, those beyond being filler.

    On a CPU oneDNN compiles its bfloat16 products anew for each number of rows, and keeps them:
    with counts as they come that costs more time and memory than the products.
    """
    if dtype != torch.bfloat16 or device.type != "cpu":
        return count
    step = 64 if count <= 256 else 256
    return -(-count // step) * step


class _Linear(torch.autograd.Function):
    """x @ weight.T + bias + the LoRAs of what `keep` leaves of x, gradients for x and the LoRAs'
    weights only.

    Computed in the weight's dtype, which the result has; x and the LoRAs' a and b, which come one
    after another, are of any, and so are their gradients.
    """

    @staticmethod
    def forward(ctx: Any, x, weight, bias, keep, places, *loras):  # type: ignore[override]
        dtype = weight.dtype
        ctx.x_dtype, ctx.places = x.dtype, places
        rows = x.to(dtype)
        out = functional.linear(rows, weight, bias)
        if not loras:
            ctx.save_for_backward(weight)
            return out
        a, b = _fused(loras, places, len(weight), dtype)
        kept = dropped(rows, keep)
        low = kept @ a.t()
        ctx.save_for_backward(weight, kept, a, b, keep, low)
        return out.addmm_(low, b.t())

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        weight, *lora = ctx.saved_tensors
        grad = grad.to(weight.dtype).contiguous()
        of_x = grad @ weight if ctx.needs_input_grad[0] else None
        of_loras: list[torch.Tensor] = []
        if lora:
            kept, a, b, keep, low = lora
            of_low = grad @ b
            of_a, of_b = (of_low.t() @ kept).float(), (grad.t() @ low).float()
            for rank, out, scale in ctx.places:
                of_loras += [of_a[rank], of_b[out, rank] * scale]
            if of_x is not None and keep is None:
                of_x.addmm_(of_low, a)
            elif of_x is not None:
                of_x.add_(_dropped_in_place(of_low @ a, keep))
        of_x = None if of_x is None else of_x.to(ctx.x_dtype)
        return of_x, None, None, None, None, *of_loras


class _BlockLinear(torch.autograd.Function):
    """What `_Linear` gives where all is float32 on a CPU, each LoRA by itself: products with the
    zeros of a fused b cost there what they count. Without dropout, and of many rows, the LoRAs are
    added to the weight instead, which is made again for the way back rather than kept.
    """

    @staticmethod
    def forward(ctx: Any, x, weight, bias, keep, places, *loras):  # type: ignore[override]
        rows = x.float()
        merged = keep is None and len(rows) >= _MERGED_FROM
        ctx.x_dtype, ctx.places, ctx.merged = x.dtype, places, merged
        if merged:
            ctx.save_for_backward(weight, keep, rows, *loras)
            return functional.linear(rows, _with_loras(weight, places, loras), bias)
        kept = dropped(rows, keep)
        ctx.save_for_backward(weight, keep, kept, *loras)
        out = functional.linear(rows, weight, bias)
        low = kept @ torch.cat(loras[::2]).t()
        for (rank, to, scale), b in zip(places, loras[1::2], strict=True):
            out[:, to].addmm_(low[:, rank], b.t(), alpha=scale)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad):  # type: ignore[override]
        weight, keep, kept, *loras = ctx.saved_tensors
        a, grad = torch.cat(loras[::2]), grad.float()
        of_x = None
        if ctx.needs_input_grad[0]:
            whole = _with_loras(weight, ctx.places, loras) if ctx.merged else weight
            of_x = grad @ whole
        low, of_low = kept @ a.t(), kept.new_empty(len(a), len(kept))
        of_bs: list[torch.Tensor] = []
        for (rank, out, scale), b in zip(ctx.places, loras[1::2], strict=True):
            torch.mm(b.t() * scale, grad[:, out].t(), out=of_low[rank])
            of_bs.append((low[:, rank].t() @ grad[:, out]).t() * scale)
        of_a, of_loras = of_low @ kept, []
        for (rank, _, _), of_b in zip(ctx.places, of_bs, strict=True):
            of_loras += [of_a[rank], of_b]
        if of_x is not None and not ctx.merged:
            of_x.add_(_dropped_in_place(of_low.t() @ a, keep))
        of_x = None if of_x is None else of_x.to(ctx.x_dtype)
        return of_x, None, None, None, None, *of_loras


def _with_loras(
    weight: torch.Tensor, places: Sequence[_Place], loras: Sequence[torch.Tensor]
) -> torch.Tensor:
    """A copy of the layers' weights (outs, in), their LoRAs added."""
    whole = weight.clone()
    for (_, out, scale), a, b in zip(places, loras[::2], loras[1::2], strict=True):
        whole[out].addmm_(b, a, alpha=scale)
    return whole


def _fused(
    loras: tuple[torch.Tensor, ...], places: Sequence[_Place], outs: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """LoRAs that share an input as one: a (ranks, in), b (outs, ranks) scaled."""
    a = torch.cat(loras[::2]).to(dtype)
    b = a.new_zeros(outs, len(a))
    for (rank, out, scale), of_one in zip(places, loras[1::2], strict=True):
        b[out, rank] = of_one * scale
    return a, b
