"""How much arithmetic a LoRA update needs, and how much this machine does at best.

uv run python -m benchmarks.speed.machine    # JSON: GFLOP/s of torch.mm in float32 and bfloat16
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.speed.work import RANK, Sites


def update_flops(config: Any, frames: int, tokens: int, sites: Sites, epochs: float = 1.0) -> float:
    """Useful floating-point operations of one clip's part in an update, on attention LoRA.

    `config` is the net's, `frames` are encoder states, `tokens` targets; a multiplication with its
    addition counts two. What has to be done, not what a program does: the forward, the gradient of
    what lies on the way to an adapter, none of frozen weights or of the convolutions. With `sites`
    "decoder" the encoder stays as it is, so one pass is shared by all `epochs`. Norms, rotations
    and activations are left out.
    """
    d, inner, vocabulary = config.hidden_size, config.intermediate_size, config.vocab_size
    layers, above = config.encoder_num_hidden_layers, config.decoder_num_hidden_layers
    halves = 2 * frames + 1  # frames after conv2; conv1 gives three times as many
    convolutions = 3 * halves * 127 * d + halves * 7 * d * 2 * d + frames * 3 * 2 * d * d
    encoder = layers * frames * (4 * d * d + 2 * d * inner)
    encoder_scores = layers * 2 * frames * frames * d
    crossing = above * frames * 2 * d * d  # keys and values of the encoder's states
    decoder = above * tokens * (6 * d * d + 3 * d * inner) + tokens * d * vocabulary
    decoder_scores = above * d * (tokens * (tokens + 1) + 2 * tokens * frames)
    encoder_lora = layers * 4 * frames * 2 * d * RANK
    decoder_lora = above * (6 * tokens + 2 * frames) * 2 * d * RANK

    forward = crossing + decoder + decoder_scores + decoder_lora
    # Below the first adapters, three projections wide, no gradient is wanted.
    backward = decoder - tokens * 3 * d * d + 2 * (decoder_scores + decoder_lora)
    if sites == "both":
        forward += convolutions + encoder + encoder_scores + encoder_lora
        backward += crossing + encoder - frames * 3 * d * d + 2 * (encoder_scores + encoder_lora)
    else:
        forward += (convolutions + encoder + encoder_scores) / epochs
    return 2 * (forward + backward)


def matrix_peak(
    dtype: torch.dtype, device: str = "cpu", clock: Callable[[], float] = time.perf_counter
) -> float:
    """The most floating-point operations a second of `clock` that a square torch.mm reached."""
    best = 0.0
    for n in (1024, 2048) if device == "cpu" else (4096, 8192):
        left, right = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        torch.mm(left, right)
        synchronize(device)
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until:
            begun = clock()
            torch.mm(left, right)
            synchronize(device)
            best = max(best, 2 * n**3 / (clock() - begun))
    return best


def synchronize(device: str) -> None:
    """Wait until a device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


if __name__ == "__main__":
    peaks = {"fp32": matrix_peak(torch.float32), "bf16": matrix_peak(torch.bfloat16)}
    print(json.dumps(peaks | {"threads": torch.get_num_threads()}))
