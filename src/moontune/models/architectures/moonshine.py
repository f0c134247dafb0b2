"""Moonshine: a norm over all of a clip's time, attention over all frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from moontune.models.architectures.interface import Architecture, FrameTimes, Parts
from moontune.models.architectures.shared import LINEARS, decoder_of, rotary_of
from moontune.models.packed.front_end import FrontEnd
from moontune.models.packed.layers import EncoderLayer, Fuse, Mlp, Norm, SelfAttention
from moontune.models.packed.layout import PackedClips

# The convolutions (127/64, 7/3, 3/2) compute the first frame from 895 samples.
_TIMES = FrameTimes(hop=64 * 3 * 2, centre=447)


class Moonshine(Architecture):
    """Jeffries et al. 2024, arXiv 2410.15608; moonshine-tiny, -base and their languages."""

    model_type = "moonshine"
    net_class = "MoonshineForConditionalGeneration"
    linears = LINEARS
    no_graphs = None

    def parts(self, net: Any, fuse: Fuse) -> Parts:
        config = net.config
        heads = int(config.decoder_num_attention_heads)
        return Parts(
            features=FrontEnd(net),
            encode=_Encoder(net.model.encoder, int(config.encoder_num_attention_heads), fuse),
            heard=lambda states: states.rows,
            decoder=decoder_of(net, heads, config.hidden_size // heads, fuse),
            times=_TIMES,
        )

    def own_inputs(self, clip: np.ndarray) -> dict[str, torch.Tensor]:
        return {"input_values": torch.from_numpy(clip)[None]}


class _Encoder:
    def __init__(self, encoder: Any, heads: int, fuse: Fuse) -> None:
        self._layers = [
            EncoderLayer(
                (Norm.of(layer.input_layernorm), Norm.of(layer.post_attention_layernorm)),
                SelfAttention(layer.self_attn, fuse, heads, causal=False),
                Mlp(layer.mlp, fuse, gated=False),
            )
            for layer in encoder.layers
        ]
        self._norm = Norm.of(encoder.layer_norm)
        self._rotary = rotary_of(encoder, encoder.config.hidden_size // heads)

    def __call__(self, clips: PackedClips) -> torch.Tensor:
        rotations = self._rotary.rotations(clips.layout)
        x = clips.rows
        for layer in self._layers:
            x = layer(x, clips.layout, rotations)
        return self._norm(x)
