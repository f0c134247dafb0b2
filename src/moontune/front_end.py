"""Moonshine's convolutional front end: samples to what the encoder's layers see, clip by clip.

As matrix products over windows: PyTorch's own convolution compiles a kernel for every new length of
a clip, which costs more than the convolution does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import MoonshineForConditionalGeneration


_WINDOWS = 512


class FrontEnd:
    """(samples,) of one clip to (frames, width) float32. It never trains, so that can be kept.

    The norm runs over all of a clip's time: clips padded to a common length would be heard
    differently. Therefore each clip goes alone.
    """

    def __init__(self, net: MoonshineForConditionalGeneration) -> None:
        encoder: Any = net.model.encoder
        self._norm = encoder.groupnorm
        assert self._norm.num_groups == 1
        self._convolutions = [
            (
                conv.weight.detach().permute(0, 2, 1).flatten(1).contiguous(),
                conv.bias,
                conv.kernel_size[0],
                conv.stride[0],
            )
            for conv in (encoder.conv1, encoder.conv2, encoder.conv3)
        ]

    @torch.no_grad()
    def __call__(self, clip: np.ndarray) -> torch.Tensor:
        first, second, third = self._convolutions
        norm = self._norm
        samples = torch.from_numpy(clip).to(norm.weight.device)[:, None]
        x = torch.tanh(_convolve(samples, *first))
        variance, mean = torch.var_mean(x, correction=0)
        x = (x - mean).mul_(torch.rsqrt(variance + norm.eps)).mul_(norm.weight).add_(norm.bias)
        return functional.gelu(_convolve(functional.gelu(_convolve(x, *second)), *third))


def _convolve(
    rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, size: int, step: int
) -> torch.Tensor:
    """A convolution over (time, width) without padding; weight is (out, size * width)."""
    width = rows.shape[1]
    count = (len(rows) - size) // step + 1
    assert count > 0, "a clip is shorter than one frame"
    windows = rows.as_strided((count, size * width), (step * width, 1))
    # The product copies its windows, which overlap, so not all of a long clip's at once.
    return torch.cat([functional.linear(part, weight, bias) for part in windows.split(_WINDOWS)])
