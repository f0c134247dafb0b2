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


# Windows that are copied at once: on a CPU few, which stay in its cache.
_AT_ONCE = {"cpu": 512, "cuda": 8_192}


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
        variance, mean = torch.var_mean(x, correction=0)
        x = (x - mean).mul_(torch.rsqrt(variance + norm.eps)).mul_(norm.weight).add_(norm.bias)
        return functional.gelu(third(functional.gelu(second(x)))).contiguous()


def row_convolution(conv: nn.Conv1d) -> Callable[[torch.Tensor], torch.Tensor]:
    """A convolution without padding over rows, (time, width), as its device does it best."""
    at_once = _AT_ONCE.get(conv.weight.device.type)
    return _convolution(conv) if at_once is None else _Windows(conv, at_once)


def _convolution(conv: nn.Conv1d) -> Callable[[torch.Tensor], torch.Tensor]:
    """PyTorch's convolution over rows, (time, width)."""

    def over_rows(rows: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(rows.t()[None], conv.weight, conv.bias, conv.stride)[0].t()

    return over_rows


class _Windows:
    """A convolution without padding over rows, (time, width), as matrix products."""

    def __init__(self, conv: nn.Conv1d, at_once: int) -> None:
        self._at_once = at_once
        self._weight = conv.weight.detach().permute(0, 2, 1).flatten(1).contiguous()
        self._bias = conv.bias
        self._size, self._step = conv.kernel_size[0], conv.stride[0]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        width = rows.shape[1]
        count = (len(rows) - self._size) // self._step + 1
        windows = rows.as_strided((count, self._size * width), (self._step * width, 1))
        # The product copies its windows, which overlap, so not all of a long clip's at once.
        parts = windows.split(self._at_once)
        return torch.cat([functional.linear(part, self._weight, self._bias) for part in parts])
