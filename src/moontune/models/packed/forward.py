"""The forward pass over clips laid end to end, without padding, of any architecture's parts.

Every layer but attention looks at one frame or token at a time, so all clips go through it as the
rows of one matrix; attention keeps clips apart. What a clip gives does not depend on the clips
beside it (to float32 rounding), and nothing is computed for padding. The front end takes each clip
alone; it never trains, so what it gives can be kept (`features`). Tests hold all of it against
transformers' own forward.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from moontune.models.packed.head import Head
from moontune.models.packed.head_loss import HeadLoss, losses_and_likeliest
from moontune.models.packed.layout import CrossKeys, Layout, PackedClips
from moontune.models.packed.lora_linear import padded_row_count
from moontune.models.packed.rotary import rotate

if TYPE_CHECKING:
    from moontune.models.architectures.interface import Parts


@dataclass(frozen=True)
class Forced:
    """What a decoder thinks at every place of clips' texts, being fed what stands before it."""

    labels: Sequence[Sequence[int]]
    token_losses: torch.Tensor  # nats, (sum of labels' lengths,)
    likeliest: list[list[int]]  # what it would have written there
    past: list[tuple[torch.Tensor, torch.Tensor]]  # keys and values by layer, (rows, width) each
    layout: Layout  # of the rows

    @property
    def losses(self) -> list[float]:
        """Summed cross-entropy of each clip's tokens in nats."""
        return summed(self.token_losses, self.labels)


class PackedForward:
    """A net, with or without an adapter on it, computing without padding.

    Matrix products of the layers run in `dtype`; norms, residuals and the loss stay in float32.
    Gradients reach the adapter's weights and nothing else. `writes`: it is there to transcribe.
    """

    def __init__(self, parts: Parts, dtype: torch.dtype, *, writes: bool) -> None:
        self._parts, self.dtype = parts, dtype
        self.features, self.times = parts.features, parts.times
        decoder = parts.decoder
        self.decoder, self.decoder_norm, self.rotary = decoder.layers, decoder.norm, decoder.rotary
        self.heads, self.head_dim = decoder.heads, decoder.head_dim
        self.embedding = decoder.embedding
        self.head = Head(decoder.head.to(dtype), written=writes)
        self.start, self.eos = decoder.start, decoder.eos

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    def encode(self, front: PackedClips) -> PackedClips:
        """The encoder's states of the front end's features."""
        front = self._filled(front)
        return PackedClips(self._parts.encode(front), front.layout)

    def cross_keys(self, states: PackedClips) -> CrossKeys:
        """Keys and values of the encoder's states, once for all that is decoded from them."""
        states = self._filled(states)
        rows = self._parts.heard(states).to(self.dtype)
        return CrossKeys([layer.cross.kv(rows) for layer in self.decoder], states.layout)

    def token_losses(
        self,
        cross_keys: CrossKeys,
        labels: Sequence[Sequence[int]],
        written: Sequence[Sequence[int]] | None = None,
    ) -> torch.Tensor:
        """Cross-entropy in nats of every clip's every target token, (sum of labels' lengths,).

        The decoder is fed the start token and the labels but the last, or `written` in place of the
        labels: as many tokens, in which some may be wrong.
        """
        layout = self.layout_of([len(ids) for ids in labels])
        hidden = self._decoded(cross_keys, layout, written or labels, lambda _: None)
        out: Any = HeadLoss.apply(hidden, self.head, self._targets(layout, labels))
        return out[: layout.count]

    @torch.no_grad()
    def forced(self, cross_keys: CrossKeys, labels: Sequence[Sequence[int]]) -> Forced:
        """What the decoder thinks at every place of texts that it is fed."""
        layout = self.layout_of([len(ids) for ids in labels])
        seen: list[torch.Tensor] = []
        hidden = self._decoded(cross_keys, layout, labels, seen.append)
        losses, likeliest = losses_and_likeliest(hidden, self.head, self._targets(layout, labels))
        real = Layout(layout.lengths, layout.device)
        cos, sin = self.rotary.rotations(real)
        past = []
        for qkv in seen:
            _, k, v = qkv[: layout.count].float().chunk(3, dim=-1)
            past.append((rotate(k, (cos, sin), self.heads), v))
        found = likeliest[: layout.count].cpu().split(list(layout.lengths))
        return Forced(labels, losses[: layout.count], [part.tolist() for part in found], past, real)

    def _decoded(
        self,
        cross_keys: CrossKeys,
        layout: Layout,
        fed: Sequence[Sequence[int]],
        keep: Callable[[torch.Tensor], object],
    ) -> torch.Tensor:
        """What the head sees after the start token and the texts but their last tokens."""
        tokens = [i for ids in fed for i in (self.start, *ids[:-1])]
        tokens += [self.start] * (layout.rows - layout.count)
        rotations = self.rotary.rotations(layout)
        x = self.embedding[torch.tensor(tokens, device=self.device)]
        for layer, kv in zip(self.decoder, cross_keys.layers, strict=True):
            x = layer(x, layout, rotations, kv, cross_keys.layout, keep)
        return self.decoder_norm(x)

    def _targets(self, layout: Layout, labels: Sequence[Sequence[int]]) -> torch.Tensor:
        filler = [self.start] * (layout.rows - layout.count)
        return torch.tensor([*itertools.chain(*labels), *filler], device=self.device)

    def layout_of(self, lengths: Sequence[int]) -> Layout:
        """Where clips of so many rows lie, with the filler that the products want."""
        return Layout(lengths, self.device, padded_row_count(sum(lengths), self.dtype, self.device))

    def _filled(self, clips: PackedClips) -> PackedClips:
        layout = self.layout_of(clips.layout.lengths)
        missing = layout.rows - len(clips.rows)
        if not missing:
            return clips
        return PackedClips(functional.pad(clips.rows, (0, 0, 0, missing)), layout)

    def losses(self, cross_keys: CrossKeys, labels: Sequence[Sequence[int]]) -> list[float]:
        """Summed cross-entropy of each clip's target tokens in nats."""
        return summed(self.token_losses(cross_keys, labels), labels)


def summed(losses: torch.Tensor, labels: Sequence[Sequence[int]]) -> list[float]:
    """The sum of each clip's losses of tokens, (sum of labels' lengths,)."""
    found = losses.detach().cpu().double()  # Apple's GPU has no float64
    return [float(part.sum()) for part in found.split([len(ids) for ids in labels])]
