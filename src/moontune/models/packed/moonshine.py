"""Moonshine's forward pass over clips laid end to end, without padding.

Every layer but attention looks at one frame or token at a time, so all clips go through it as the
rows of one matrix; attention takes clip by clip. What a clip gives does not depend on the clips
beside it (to float32 rounding), and nothing is computed for padding. The convolutional front end,
whose norm runs over all of a clip's time, takes each clip alone; it never trains, so what it gives
can be kept (`features`). Tests hold all of it against transformers' own forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from moontune.errors import UserError
from moontune.models.packed.attention import cross_attention, self_attention
from moontune.models.packed.front_end import FrontEnd
from moontune.models.packed.layout import Layout
from moontune.models.packed.lora_linear import Projection, filled
from moontune.models.packed.rotary import Rotary
from moontune.system.memory import lay_aside

if TYPE_CHECKING:
    from transformers import MoonshineForConditionalGeneration


@dataclass(frozen=True)
class Clips:
    """Rows of several clips end to end, (rows, width), filler behind them."""

    rows: torch.Tensor
    layout: Layout


@dataclass(frozen=True)
class Memory:
    """What the decoder attends to: each layer's keys and values of the encoder's states."""

    layers: list[torch.Tensor]  # (rows, 2 * width) each
    layout: Layout


def end_to_end(parts: Sequence[torch.Tensor]) -> Clips:
    rows = torch.cat(list(parts))
    return Clips(rows, Layout([len(part) for part in parts], rows.device))


def passes(parts: Iterable[torch.Tensor], most: int) -> Iterator[Clips]:
    """Parts end to end, in their order, as many at a time as have at most `most` rows, or one."""
    waiting: list[torch.Tensor] = []
    rows = 0
    for part in parts:
        if waiting and rows + len(part) > most:
            yield end_to_end(waiting)
            waiting, rows = [], 0
        waiting.append(part)
        rows += len(part)
    if waiting:
        yield end_to_end(waiting)


def joined(memories: Sequence[Memory]) -> Memory:
    """Several memories as one."""
    if len(memories) == 1:
        return memories[0]
    layers = [torch.cat(parts) for parts in zip(*(m.layers for m in memories), strict=True)]
    lengths = [n for m in memories for n in m.layout.lengths]
    return Memory(layers, Layout(lengths, layers[0].device))


class _Mlp:
    def __init__(self, mlp: Any, project: Any, *, gated: bool) -> None:
        self._up, self._down = project(mlp.fc1), project(mlp.fc2)
        self._activation, self._gated = mlp.activation_fn, gated

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        up = self._up(x)
        if not self._gated:
            return self._down(self._activation(up))
        value, gate = up.chunk(2, dim=-1)
        return self._down(self._activation(gate) * value)


class _SelfAttention:
    def __init__(self, module: Any, project: Any, heads: int, *, causal: bool) -> None:
        self.qkv = project(module.q_proj, module.k_proj, module.v_proj)
        self.out = project(module.o_proj)
        self.heads, self._causal = heads, causal

    def __call__(self, x: torch.Tensor, layout: Layout, turns: Any) -> torch.Tensor:
        qkv = self.qkv(x)
        return self.out(self_attention(qkv, turns, layout, self.heads, causal=self._causal))


class _CrossAttention:
    def __init__(self, module: Any, project: Any, heads: int) -> None:
        self.q, self.kv = project(module.q_proj), project(module.k_proj, module.v_proj)
        self.out = project(module.o_proj)
        self._heads = heads

    def __call__(
        self, x: torch.Tensor, layout: Layout, kv: torch.Tensor, frames: Layout
    ) -> torch.Tensor:
        return self.out(cross_attention(self.q(x), kv, layout, frames, self._heads))


class _Norm:
    def __init__(self, norm: torch.nn.LayerNorm) -> None:
        self._norm = norm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        n = self._norm
        return functional.layer_norm(x, n.normalized_shape, n.weight, n.bias, n.eps)


class _EncoderLayer:
    def __init__(self, layer: Any, project: Any, heads: int) -> None:
        self._norms = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self._attention = _SelfAttention(layer.self_attn, project, heads, causal=False)
        self._mlp = _Mlp(layer.mlp, project, gated=False)

    def __call__(self, x: torch.Tensor, layout: Layout, turns: Any) -> torch.Tensor:
        x = x + self._attention(self._norms[0](x), layout, turns)
        return x + self._mlp(self._norms[1](x))


class DecoderLayer:
    def __init__(self, layer: Any, project: Any, heads: int) -> None:
        self.norms = (
            _Norm(layer.input_layernorm),
            _Norm(layer.post_attention_layernorm),
            _Norm(layer.final_layernorm),
        )
        self.attention = _SelfAttention(layer.self_attn, project, heads, causal=True)
        self.cross = _CrossAttention(layer.encoder_attn, project, heads)
        self.mlp = _Mlp(layer.mlp, project, gated=True)

    def __call__(
        self, x: torch.Tensor, layout: Layout, turns: Any, kv: torch.Tensor, frames: Layout
    ) -> torch.Tensor:
        x = x + self.attention(self.norms[0](x), layout, turns)
        x = x + self.cross(self.norms[1](x), layout, kv, frames)
        return x + self.mlp(self.norms[2](x))


class Packed:
    """A Moonshine net, with or without an adapter on it, computing without padding.

    Matrix products of the layers run in `dtype`; norms, residuals and the loss stay in float32.
    Gradients reach the adapter's weights and nothing else. With `merged` the adapter is added into
    copies of the weights as it is now: faster, for transcribing and measuring.
    """

    def __init__(
        self,
        net: MoonshineForConditionalGeneration,
        dtype: torch.dtype = torch.float32,
        *,
        merged: bool = False,
    ) -> None:
        encoder, decoder, config = net.model.encoder, net.model.decoder, net.config
        if config.attention_dropout and not merged:
            raise UserError(
                f"the base's config.json has attention_dropout {config.attention_dropout}, which "
                "moontune does not compute in training; set it to 0 there"
            )
        refuse_adapters_elsewhere(net)

        def project(*layers: torch.nn.Module) -> Projection:
            return Projection(layers, dtype, merged=merged)

        self.dtype = dtype
        self.features = FrontEnd(net)
        self.heads = int(config.decoder_num_attention_heads)  # type: ignore[arg-type]
        encoder_heads = int(config.encoder_num_attention_heads)  # type: ignore[arg-type]
        self._encoder = [_EncoderLayer(layer, project, encoder_heads) for layer in encoder.layers]
        self.decoder = [DecoderLayer(layer, project, self.heads) for layer in decoder.layers]
        self._encoder_norm, self.decoder_norm = _Norm(encoder.layer_norm), _Norm(decoder.norm)
        self._encoder_rotary = _rotary(encoder, encoder_heads)
        self.rotary = _rotary(decoder, self.heads)
        self.embedding: torch.Tensor = decoder.embed_tokens.weight.detach()
        head: torch.Tensor = net.proj_out.weight.detach()
        self.head = head.to(dtype)
        self.start = int(config.decoder_start_token_id)  # type: ignore[arg-type]
        self.eos = int(config.eos_token_id)  # type: ignore[arg-type]
        if merged or dtype != torch.float32:  # most is computed with copies
            lay_aside(net.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    def encode(self, front: Clips) -> Clips:
        """The encoder's states of the front end's features."""
        front = self._filled(front)
        turns = self._encoder_rotary.turns(front.layout)
        x = front.rows
        for layer in self._encoder:
            x = layer(x, front.layout, turns)
        return Clips(self._encoder_norm(x), front.layout)

    def remember(self, states: Clips) -> Memory:
        """Keys and values of the encoder's states, once for all that is decoded from them."""
        states = self._filled(states)
        rows = states.rows.to(self.dtype)
        return Memory([layer.cross.kv(rows) for layer in self.decoder], states.layout)

    def token_losses(
        self,
        memory: Memory,
        labels: Sequence[Sequence[int]],
        written: Sequence[Sequence[int]] | None = None,
    ) -> torch.Tensor:
        """Cross-entropy in nats of every clip's every target token, (sum of labels' lengths,).

        The decoder is fed the start token and the labels but the last, or `written` in place of the
        labels: as many tokens, in which some may be wrong.
        """
        layout = self._layout([len(ids) for ids in labels])
        filler = [self.start] * (layout.rows - layout.count)
        fed = [i for ids in written or labels for i in (self.start, *ids[:-1])] + filler
        targets = [i for ids in labels for i in ids] + filler
        turns = self.rotary.turns(layout)
        x = self.embedding[torch.tensor(fed, device=self.device)]
        for layer, kv in zip(self.decoder, memory.layers, strict=True):
            x = layer(x, layout, turns, kv, memory.layout)
        right = torch.tensor(targets, device=self.device)
        out: Any = _HeadLoss.apply(self.decoder_norm(x), self.head, right)
        return out[: layout.count]

    def _layout(self, lengths: Sequence[int]) -> Layout:
        return Layout(lengths, self.device, filled(sum(lengths), self.dtype, self.device))

    def _filled(self, clips: Clips) -> Clips:
        layout = self._layout(clips.layout.lengths)
        missing = layout.rows - len(clips.rows)
        if not missing:
            return clips
        return Clips(functional.pad(clips.rows, (0, 0, 0, missing)), layout)

    def losses(self, memory: Memory, labels: Sequence[Sequence[int]]) -> list[float]:
        """Summed cross-entropy of each clip's target tokens in nats."""
        found = self.token_losses(memory, labels).cpu().double()  # Apple's GPU has no float64
        return [float(part.sum()) for part in found.split([len(ids) for ids in labels])]


def refuse_adapters_elsewhere(net: MoonshineForConditionalGeneration) -> None:
    """Raise UserError if an adapter sits where this forward would not see it."""
    encoder, decoder = net.model.encoder, net.model.decoder
    places: dict[str, Any] = {
        "proj_out": net.proj_out,
        "embed_tokens": decoder.embed_tokens,
        **{name: getattr(encoder, name) for name in ("conv1", "conv2", "conv3")},
    }
    for name, module in places.items():
        if hasattr(module, "base_layer"):
            raise UserError(
                f"the adapter changes {name}; moontune takes adapters on the linear layers of "
                "attention and MLP only"
            )


def _rotary(half: Any, heads: int) -> Rotary:
    rotary = half.rotary_emb
    return Rotary(rotary.inv_freq, half.config.hidden_size // heads, rotary.attention_scaling)


class _HeadLoss(torch.autograd.Function):
    """Cross-entropy of hidden @ weight.T against targets; the weight gets no gradient.

    The gradient for `hidden` is computed with the loss, a block of rows at a time, so that no
    logits of all tokens are kept.
    """

    ROWS = 256  # through the head at once
    CACHED = 32  # rows of logits that stay in a CPU's cache from one step to the next

    @staticmethod
    def forward(ctx: Any, hidden, weight, targets):  # type: ignore[override]
        wanted = ctx.needs_input_grad[0]
        rows = hidden.to(weight.dtype)
        cached = _HeadLoss.CACHED if rows.device.type == "cpu" else _HeadLoss.ROWS
        losses, grads = [], []
        for block, right in zip(
            rows.split(_HeadLoss.ROWS), targets.split(_HeadLoss.ROWS), strict=True
        ):
            logits = functional.linear(block, weight)
            parts, chosen_ones = logits.split(cached), right[:, None].split(cached)
            for part, chosen in zip(parts, chosen_ones, strict=True):
                odds = part.float()
                top = odds.amax(dim=1, keepdim=True)
                of_target = odds.gather(1, chosen)
                sums = odds.sub_(top).exp_().sum(dim=1, keepdim=True)
                losses.append((sums.log() + top - of_target)[:, 0])
                if wanted:
                    odds.div_(sums).scatter_add_(1, chosen, -torch.ones_like(sums))
                    part.copy_(odds)
            if wanted:
                grads.append((logits @ weight).float())
        if wanted:
            ctx.save_for_backward(torch.cat(grads))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * grad[:, None], None, None
