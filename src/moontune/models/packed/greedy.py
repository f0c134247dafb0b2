"""Greedy transcripts of several clips at once, equal to `generate` on each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import CrossKeys, Layout
from moontune.models.packed.rotary import rotate

# A clip that has ended leaves the batch once this share of it has; on a GPU, where looking costs a
# wait, it is looked for every so many tokens only.
_LEAVE_AT = 0.25
_CHECK_EVERY = {"cpu": 1, "cuda": 8, "mps": 8}


@dataclass
class _Layer:
    """Keys and values that a decoder layer attends to while it writes; the first dimension is
    clips times heads."""

    keys: torch.Tensor  # of the clip's frames, (clips * heads, frames, head_dim)
    values: torch.Tensor
    past_keys: torch.Tensor  # of the tokens so far, (clips * heads, most tokens, head_dim)
    past_values: torch.Tensor

    def keep(self, rows: torch.Tensor, frames: int) -> None:
        self.keys, self.values = self.keys[rows, :frames], self.values[rows, :frames]
        self.past_keys, self.past_values = self.past_keys[rows], self.past_values[rows]


@torch.no_grad()
def greedy(packed: PackedForward, cross_keys: CrossKeys, caps: Sequence[int]) -> list[list[int]]:
    """Token ids of each clip without the start token, EOS kept; at most its own cap of tokens."""
    heads, device = packed.heads, packed.device
    layers = [_layer(kv, cross_keys.layout, heads, max(caps)) for kv in cross_keys.layers]
    lengths = torch.tensor(cross_keys.layout.lengths)
    hidden = hidden_frames(cross_keys.layout, heads)
    alive = torch.arange(len(caps))  # the clips in the batch, by their place in the result
    limits = torch.tensor(list(caps))
    written = torch.full((len(caps), max(caps)), packed.eos)
    last = torch.full((len(caps),), packed.start, device=device)
    pending: list[torch.Tensor] = []
    check_every = _CHECK_EVERY[device.type]
    for place in range(max(caps)):
        last = _next(packed, layers, last, place, hidden)
        pending.append(last)
        if (place + 1) % check_every and place + 1 < max(caps):
            continue
        block = torch.stack(pending, dim=1).cpu()
        written[alive, place + 1 - len(pending) : place + 1] = block
        pending = []
        ended = (written[alive, : place + 1] == packed.eos).any(dim=1)
        ended |= limits[alive] <= place + 1
        if ended.all():
            break
        if ended.float().mean() >= _LEAVE_AT:
            stay = (~ended).nonzero()[:, 0]
            alive = alive[stay]
            frames = int(lengths[alive].max())
            stay = stay.to(device)
            rows = (stay[:, None] * heads + torch.arange(heads, device=device)).flatten()
            for layer in layers:
                layer.keep(rows, frames)
            hidden = None if hidden is None else hidden[rows, :, :frames]
            last = last[stay]
    return [
        until_end(row[:cap], packed.eos) for row, cap in zip(written.tolist(), caps, strict=True)
    ]


def until_end(tokens: list[int], eos: int) -> list[int]:
    """Tokens up to the first EOS, which is kept."""
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens


def frame_keys(kv: torch.Tensor, layout: Layout, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of the clips' frames, (clips * heads, frames, head_dim) each."""
    keys, values = (
        layout.pad(half).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)
        for half in kv.float().chunk(2, dim=-1)
    )
    return keys, values


def _layer(kv: torch.Tensor, layout: Layout, heads: int, most: int) -> _Layer:
    keys, values = frame_keys(kv, layout, heads)
    past = keys.new_empty(len(keys), most, keys.shape[-1])
    return _Layer(keys, values, past, torch.empty_like(past))


def hidden_frames(layout: Layout, heads: int) -> torch.Tensor | None:
    """(clips * heads, 1, frames): -inf where a clip has no frame; None where all are as long."""
    if len(set(layout.lengths)) == 1:
        return None
    bias = torch.zeros(layout.real.shape, device=layout.real.device)
    bias.masked_fill_(~layout.real, float("-inf"))
    return bias.repeat_interleave(heads, dim=0)[:, None]


def _next(
    packed: PackedForward,
    layers: Sequence[_Layer],
    last: torch.Tensor,
    place: int,
    hidden: torch.Tensor | None,
) -> torch.Tensor:
    """The most likely token of each clip at `place`, given its last one; fills the past."""
    heads = packed.heads
    rotations = packed.rotary.rotations_at(place)
    x = packed.embedding[last]
    for layer, kept in zip(packed.decoder, layers, strict=True):
        q, k, v = layer.attention.qkv(layer.norms[0](x)).float().chunk(3, dim=-1)
        q, k = rotate(q, rotations, heads), rotate(k, rotations, heads)
        kept.past_keys[:, place] = k.reshape(len(kept.past_keys), -1)
        kept.past_values[:, place] = v.reshape(len(kept.past_keys), -1)
        past = slice(0, place + 1)
        found = _attend_one(q, kept.past_keys[:, past], kept.past_values[:, past], heads, None)
        x = x + layer.attention.out(found)
        q = layer.cross.q(layer.norms[1](x)).float()
        x = x + layer.cross.out(_attend_one(q, kept.keys, kept.values, heads, hidden))
        x = x + layer.mlp(layer.norms[2](x))
    return packed.head(packed.decoder_norm(x)).argmax(dim=-1)


def _attend_one(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int, bias: torch.Tensor | None
) -> torch.Tensor:
    """Attention of one query a clip, (clips, width), over (clips * heads, places, head_dim)."""
    return attend(q.reshape(len(q) * heads, 1, -1), keys, values, bias).view(len(q), -1)


def attend(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Attention of (sets, queries, head_dim) over (sets, places, head_dim)."""
    scale = q.shape[-1] ** -0.5
    if bias is None:
        scores = torch.bmm(q, keys.transpose(1, 2)).mul_(scale)
    else:
        scores = torch.baddbmm(bias, q, keys.transpose(1, 2), alpha=scale)
    return torch.bmm(torch.softmax(scores, dim=-1), values)
