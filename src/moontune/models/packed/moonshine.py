"""Moonshine's forward pass over clips laid end to end, without padding.

Every layer but attention looks at one frame or token at a time, so all clips go through it as the
rows of one matrix; attention takes clip by clip. What a clip gives does not depend on the clips
beside it (to float32 rounding), and nothing is computed for padding. The convolutional front end,
whose norm runs over all of a clip's time, takes each clip alone; it never trains, so what it gives
can be kept (`features`). Tests hold all of it against transformers' own forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from moontune.errors import UserError
from moontune.models.packed.front_end import FrontEnd
from moontune.models.packed.head_loss import HeadLoss
from moontune.models.packed.layers import DecoderLayer, EncoderLayer, Linear, Norm
from moontune.models.packed.layout import CrossKeys, Layout, PackedClips
from moontune.models.packed.lora_linear import lora_linear, padded_row_count
from moontune.models.packed.rotary import Rotary
from moontune.system.memory import lay_aside

if TYPE_CHECKING:
    from transformers import MoonshineForConditionalGeneration


class PackedMoonshine:
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

        def fuse(*layers: torch.nn.Module) -> Linear:
            return lora_linear(layers, dtype, merged=merged)

        self.dtype = dtype
        self.features = FrontEnd(net)
        self.heads = int(config.decoder_num_attention_heads)  # type: ignore[arg-type]
        encoder_heads = int(config.encoder_num_attention_heads)  # type: ignore[arg-type]
        self._encoder = [EncoderLayer(layer, fuse, encoder_heads) for layer in encoder.layers]
        self.decoder = [DecoderLayer(layer, fuse, self.heads) for layer in decoder.layers]
        self._encoder_norm, self.decoder_norm = Norm(encoder.layer_norm), Norm(decoder.norm)
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

    def encode(self, front: PackedClips) -> PackedClips:
        """The encoder's states of the front end's features."""
        front = self._filled(front)
        rotations = self._encoder_rotary.rotations(front.layout)
        x = front.rows
        for layer in self._encoder:
            x = layer(x, front.layout, rotations)
        return PackedClips(self._encoder_norm(x), front.layout)

    def cross_keys(self, states: PackedClips) -> CrossKeys:
        """Keys and values of the encoder's states, once for all that is decoded from them."""
        states = self._filled(states)
        rows = states.rows.to(self.dtype)
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
        filler = [self.start] * (layout.rows - layout.count)
        fed = [i for ids in written or labels for i in (self.start, *ids[:-1])] + filler
        targets = [i for ids in labels for i in ids] + filler
        rotations = self.rotary.rotations(layout)
        x = self.embedding[torch.tensor(fed, device=self.device)]
        for layer, kv in zip(self.decoder, cross_keys.layers, strict=True):
            x = layer(x, layout, rotations, kv, cross_keys.layout)
        right = torch.tensor(targets, device=self.device)
        out: Any = HeadLoss.apply(self.decoder_norm(x), self.head, right)
        return out[: layout.count]

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
        found = self.token_losses(cross_keys, labels).cpu().double()  # Apple's GPU has no float64
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
