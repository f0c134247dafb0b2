"""Moonshine's convolutional front end: samples to what the encoder's layers see, clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from moontune.data.audio import SHORTEST_SAMPLES

if TYPE_CHECKING:
    from transformers import MoonshineForConditionalGeneration


class FrontEnd:
    """(samples,) of one clip to (frames, width) float32. It never trains, so that can be kept.

    The norm runs over all of a clip's time: clips padded to a common length would be heard
    differently. Therefore each clip goes alone.

    The convolutions are matrix products over windows. PyTorch's own would compile a kernel on a CPU
    for every new length of a clip, which costs more than the convolution does, and on an Nvidia GPU
    they round to TF32. On Apple's GPU they are PyTorch's.
    """

    def __init__(self, net: MoonshineForConditionalGeneration) -> None:
        encoder: Any = net.model.encoder
        self._norm = encoder.groupnorm
        assert self._norm.num_groups == 1
        convolutions = (encoder.conv1, encoder.conv2, encoder.conv3)
        self._layers = [row_convolution(conv) for conv in convolutions]

    @torch.no_grad()
    def __call__(self, clip: np.ndarray) -> torch.Tensor:
        assert len(clip) >= SHORTEST_SAMPLES, "a clip is shorter than one frame"
        first, second, third = self._layers
        norm = self._norm
        x = torch.tanh(first(torch.from_numpy(clip).to(norm.weight.device)[:, None]))
        x -= x.mean()
        # Not `var_mean`, which on a CPU takes ten times as long.
        scale = norm.weight * torch.rsqrt(x.square().mean() + norm.eps)
        x = torch.addcmul(norm.bias, x, scale)
        return functional.gelu(third(functional.gelu(second(x)))).contiguous()


def row_convolution(conv: nn.Conv1d) -> Callable[[torch.Tensor], torch.Tensor]:
    """A convolution without padding over rows, (time, width), as its device does it best."""
    return _Strides(conv) if conv.weight.device.type in ("cpu", "cuda") else _convolution(conv)


def _convolution(conv: nn.Conv1d) -> Callable[[torch.Tensor], torch.Tensor]:
    """PyTorch's convolution over rows, (time, width)."""

    def over_rows(rows: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(rows.t()[None], conv.weight, conv.bias, conv.stride)[0].t()

    return over_rows


class _Strides:
    """A convolution without padding over rows, (time, width), as matrix products: a window is a
    few strides of rows, of which each lies behind the one before. So nothing is copied."""

    def __init__(self, conv: nn.Conv1d) -> None:
        self._bias = conv.bias
        self._size, self._step = conv.kernel_size[0], conv.stride[0]
        weight = conv.weight.detach().permute(2, 1, 0).flatten(0, 1).contiguous()
        self._weights = weight.split(self._step * conv.in_channels)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        width = rows.shape[1]
        count = (len(rows) - self._size) // self._step + 1
        stride = self._step * width
        starts = range(0, self._size * width, stride)
        parts = [
            rows.as_strided((count, len(weight)), (stride, 1), rows.storage_offset() + start)
            for start, weight in zip(starts, self._weights, strict=True)
        ]
        out = functional.linear(parts[0], self._weights[0].t(), self._bias)
        for part, weight in zip(parts[1:], self._weights[1:], strict=True):
            out.addmm_(part, weight)
        return out
