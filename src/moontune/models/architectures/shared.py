"""The decoder, which both architectures have."""

from __future__ import annotations

from typing import Any

from moontune.models.architectures.interface import Decoder
from moontune.models.packed.layers import DecoderLayer, Fuse, Norm
from moontune.models.packed.rotary import Rotary

# Of attention and MLPs.
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")


def decoder_of(net: Any, heads: int, head_dim: int, fuse: Fuse) -> Decoder:
    """The decoder of a net whose modules are named as Moonshine's."""
    decoder, config = net.model.decoder, net.config
    return Decoder(
        layers=[DecoderLayer(layer, fuse, heads) for layer in decoder.layers],
        norm=Norm.of(decoder.norm),
        rotary=rotary_of(decoder, head_dim),
        heads=heads,
        head_dim=head_dim,
        embedding=decoder.embed_tokens.weight.detach(),
        head=net.proj_out.weight.detach(),
        start=int(config.decoder_start_token_id),
        eos=int(config.eos_token_id),
    )


def rotary_of(half: Any, head_dim: int) -> Rotary:
    rotary = half.rotary_emb
    return Rotary(rotary.inv_freq, head_dim, rotary.attention_scaling)
