"""The encoder's and the decoder's layers over clips laid end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from moontune.models.packed.attention import cross_attention, self_attention
from moontune.models.packed.layout import Layout
from moontune.models.packed.lora_linear import FusedLoraLinear, UnfusedLinear
from moontune.models.packed.windowed import Window, windowed_attention

Linear = FusedLoraLinear | UnfusedLinear
Fuse = Callable[..., Linear]  # linear layers that share an input, as one


class Mlp:
    def __init__(self, mlp: Any, fuse: Fuse, *, gated: bool) -> None:
        self._up, self._down = fuse(mlp.fc1), fuse(mlp.fc2)
        self._activation, self._gated = mlp.activation_fn, gated

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        up = self._up(x)
        if not self._gated:
            return self._down(self._activation(up))
        value, gate = up.chunk(2, dim=-1)
        return self._down(self._activation(gate) * value)


class SelfAttention:
    def __init__(self, module: Any, fuse: Fuse, heads: int, *, causal: bool) -> None:
        self.qkv = fuse(module.q_proj, module.k_proj, module.v_proj)
        self.out = fuse(module.o_proj)
        self._heads, self._causal = heads, causal

    def __call__(self, x: torch.Tensor, layout: Layout, rotations: Any) -> torch.Tensor:
        return self.attended(self.qkv(x), layout, rotations)

    def attended(self, qkv: torch.Tensor, layout: Layout, rotations: Any) -> torch.Tensor:
        return self.out(self_attention(qkv, rotations, layout, self._heads, causal=self._causal))


class _CrossAttention:
    def __init__(self, module: Any, fuse: Fuse, heads: int) -> None:
        self.q, self.kv = fuse(module.q_proj), fuse(module.k_proj, module.v_proj)
        self.out = fuse(module.o_proj)
        self._heads = heads

    def __call__(
        self, x: torch.Tensor, layout: Layout, kv: torch.Tensor, frames: Layout
    ) -> torch.Tensor:
        return self.out(cross_attention(self.q(x), kv, layout, frames, self._heads))


class WindowedAttention:
    """Attention of frames to those near them, whose places nothing tells it."""

    def __init__(self, module: Any, fuse: Fuse, heads: int) -> None:
        self._qkv = fuse(module.q_proj, module.k_proj, module.v_proj)
        self._out = fuse(module.o_proj)
        self._heads = heads

    def __call__(self, x: torch.Tensor, window: Window) -> torch.Tensor:
        return self._out(windowed_attention(self._qkv(x), window, self._heads))


class Norm:
    """A layer norm over the last dimension."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, eps: float) -> None:
        self._weight, self._bias, self._eps = weight, bias, eps

    @classmethod
    def of(cls, norm: torch.nn.LayerNorm) -> Norm:
        return cls(norm.weight, norm.bias, norm.eps)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], self._weight, self._bias, self._eps)


class EncoderLayer:
    """Attention and MLP, each behind a norm; what attention needs besides rows is passed on."""

    def __init__(
        self, norms: tuple[Norm, Norm], attention: Callable[..., torch.Tensor], mlp: Mlp
    ) -> None:
        self._norms, self._attention, self._mlp = norms, attention, mlp

    def __call__(self, x: torch.Tensor, *where: Any) -> torch.Tensor:
        x = x + self._attention(self._norms[0](x), *where)
        return x + self._mlp(self._norms[1](x))


class DecoderLayer:
    def __init__(self, layer: Any, fuse: Fuse, heads: int) -> None:
        self.norms = (
            Norm.of(layer.input_layernorm),
            Norm.of(layer.post_attention_layernorm),
            Norm.of(layer.final_layernorm),
        )
        self.attention = SelfAttention(layer.self_attn, fuse, heads, causal=True)
        self.cross = _CrossAttention(layer.encoder_attn, fuse, heads)
        self.mlp = Mlp(layer.mlp, fuse, gated=True)

    def __call__(
        self,
        x: torch.Tensor,
        layout: Layout,
        rotations: Any,
        kv: torch.Tensor,
        frames: Layout,
        keep: Callable[[torch.Tensor], object] = lambda _: None,
    ) -> torch.Tensor:
        """`keep` gets the queries, keys and values of self-attention, (rows, 3 * width), as they
        are before they are rotated."""
        qkv = self.attention.qkv(self.norms[0](x))
        keep(qkv)
        x = x + self.attention.attended(qkv, layout, rotations)
        x = x + self.cross(self.norms[1](x), layout, kv, frames)
        return x + self.mlp(self.norms[2](x))
