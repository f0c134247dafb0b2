"""Moonshine Streaming: frames of 5 ms, attention over a window of frames.

Its encoder knows no places: every frame looks at a window around it, and what the decoder sees gets
a learned place. Three things of transformers' classes, which tests hold, are not to be met here:
without an attention mask they apply no window at all; with one, padding leaves a clip three frames
too many; and their decoder adds the places to the encoder's states where they lie, so that states
used twice are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.errors import UserError
from moontune.models.architectures.interface import Architecture, FrameTimes, Parts
from moontune.models.architectures.shared import LINEARS, decoder_of
from moontune.models.packed.front_end import row_convolution
from moontune.models.packed.layers import EncoderLayer, Fuse, Mlp, Norm, WindowedAttention
from moontune.models.packed.layout import PackedClips
from moontune.models.packed.windowed import Window

_FRAME = 80  # samples
# Two convolutions of five inputs, two apart, each looking back: a frame of the encoder is computed
# from the 13 frames of 5 ms that end with every fourth.
_STEP, _BACK = 4, 12
_TIMES = FrameTimes(hop=_STEP * _FRAME, centre=_FRAME * (1 - _BACK) // 2)


class MoonshineStreaming(Architecture):
    """Kudlur et al. 2026, arXiv 2602.12241; moonshine-streaming-tiny, -small, -medium and their
    languages."""

    model_type = "moonshine_streaming"
    net_class = "MoonshineStreamingForConditionalGeneration"
    linears = LINEARS
    no_graphs = "moontune writes graphs of type moonshine alone"

    def parts(self, net: Any, fuse: Fuse) -> Parts:
        config, encoder = net.config, net.model.encoder
        _check(config, encoder)
        return Parts(
            features=_FrontEnd(encoder.embedder),
            encode=_Encoder(encoder, fuse),
            heard=_Heard(net.model.decoder, fuse),
            decoder=decoder_of(net, config.num_attention_heads, config.head_dim, fuse),
            times=_TIMES,
        )

    def own_inputs(self, clip: np.ndarray) -> dict[str, torch.Tensor]:
        """A mask over all of it, or no window were applied; whole frames, or one would be made
        that nothing is heard in."""
        wave = torch.from_numpy(clip[: len(clip) // _FRAME * _FRAME])[None]
        return {
            "input_values": wave,
            "attention_mask": torch.ones(wave.shape, dtype=torch.long),
        }


def _check(config: Any, encoder: Any) -> None:
    """Raise UserError for a config that is not computed here."""
    for half in (config, encoder.config):
        if half.num_key_value_heads != half.num_attention_heads:
            raise UserError("the base shares keys between heads, which moontune cannot compute")
    if encoder.embedder.frame_len != _FRAME:
        raise UserError(
            f"the base has frames of {encoder.embedder.frame_len} samples; moontune computes those "
            f"of {_FRAME} alone"
        )
    windows = encoder.config.sliding_windows
    if len(windows) < len(encoder.layers) or any(a < 1 or b < 0 for a, b in windows):
        raise UserError(
            f"the base's config.json has the sliding windows {windows}, where every layer needs "
            "one in which a frame sees itself"
        )


class _FrontEnd:
    """(samples,) of one clip to (frames, width) float32; samples beyond whole frames are left out.

    Every frame is computed from those up to it alone, so no padding would change it. Each clip goes
    alone since it is kept alone.
    """

    def __init__(self, embedder: Any) -> None:
        self._frames = embedder
        self._convolutions = [row_convolution(conv) for conv in (embedder.conv1, embedder.conv2)]
        self._before = embedder.conv1.left_pad

    @torch.no_grad()
    def __call__(self, clip: np.ndarray) -> torch.Tensor:
        frames, (first, second) = self._frames, self._convolutions
        count = len(clip) // _FRAME
        assert count, "a clip is shorter than one frame"
        samples = torch.from_numpy(clip[: count * _FRAME]).to(frames.linear.weight.device)
        x = frames.comp(frames.cmvn(samples.view(count, _FRAME)))
        x = functional.silu(frames.linear(x))
        x = functional.silu(first(self._padded(x)))
        return second(self._padded(x)).contiguous()

    def _padded(self, rows: torch.Tensor) -> torch.Tensor:
        return functional.pad(rows, (0, 0, self._before, 0))


class _Encoder:
    def __init__(self, encoder: Any, fuse: Fuse) -> None:
        config = encoder.config
        heads = config.num_attention_heads
        self._layers = [
            EncoderLayer(
                (_norm(layer.input_layernorm), _norm(layer.post_attention_layernorm)),
                WindowedAttention(layer.self_attn, fuse, heads),
                Mlp(layer.mlp, fuse, gated=False),
            )
            for layer in encoder.layers
        ]
        self._norm = _norm(encoder.final_norm)
        self._reaches = list(map(_reach, config.sliding_windows[: len(self._layers)]))

    def __call__(self, clips: PackedClips) -> torch.Tensor:
        windows = {reach: Window(clips.layout, *reach) for reach in set(self._reaches)}
        x = clips.rows
        for layer, reach in zip(self._layers, self._reaches, strict=True):
            x = layer(x, windows[reach])
        return self._norm(x)


def _reach(window: Sequence[int]) -> tuple[int, int]:
    """How many frames before it and ahead of it a frame sees, as transformers counts: in a window
    of (16, 4) 15 and three."""
    left, right = window
    return left - 1, max(right - 1, 0)


def _norm(norm: Any) -> Norm:
    return Norm(norm.gamma.detach() + norm.unit_offset, None, norm.ln.eps)


class _Heard:
    """States with their places, as wide as the decoder."""

    def __init__(self, decoder: Any, fuse: Fuse) -> None:
        self._places: torch.Tensor = decoder.pos_emb.weight.detach()
        same = isinstance(decoder.proj, torch.nn.Identity)
        self._project = None if same else fuse(decoder.proj)

    def __call__(self, states: PackedClips) -> torch.Tensor:
        layout = states.layout
        longest, known = max(layout.lengths), len(self._places)
        if longest > known:
            long, most = (n * _TIMES.hop / SAMPLE_RATE_HZ for n in (longest, known))
            raise UserError(
                f"a clip of {long:.1f} s is too long for the base, which knows places for "
                f"{most:.1f} s; leave it out, or cut it"
            )
        places = torch.cat([self._places[:n] for n in layout.lengths])
        x = states.rows + functional.pad(places, (0, 0, 0, layout.rows - layout.count))
        return x if self._project is None else self._project(x)
