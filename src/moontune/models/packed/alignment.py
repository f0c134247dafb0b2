"""Where in a clip each token of its transcript is heard, from what the decoder looks at.

As Whisper's word times: the transcript is fed to the decoder once more, and dynamic time warping
finds the way through the mean of those cross-attention heads that follow the sound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import CrossKeys

# Heads of moonshine-tiny, (layer, head), the five whose word starts were best on accented English
# (benchmarks/decoding/word_times.py). Other shapes take all heads of the later half of the layers,
# as Whisper does where nobody chose.
_HEADS = {(6, 8): ((3, 5), (5, 2), (3, 3), (5, 1), (5, 0))}
_SMOOTHED = 3  # frames of the median


def token_starts(
    packed: PackedForward, cross_keys: CrossKeys, tokens: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """The sample that each token of each clip begins at, (tokens,) a clip, never falling.

    `tokens` are as `greedy` returns them, at least one a clip.
    """
    weights = _weights(packed, cross_keys, tokens)
    hop, centre = packed.times.hop, packed.times.centre
    return [np.maximum(hop * _warped(-_clear(clip)) + centre, 0) for clip in weights]


@torch.no_grad()
def _weights(
    packed: PackedForward, cross_keys: CrossKeys, tokens: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """Attention of the chosen heads, (heads, tokens, frames) a clip."""
    chosen = _chosen_heads(len(packed.decoder), packed.heads)
    lengths = [len(ids) for ids in tokens]
    layout = packed.layout_of(lengths)
    filler = [packed.start] * (layout.rows - layout.count)
    fed = [i for ids in tokens for i in (packed.start, *ids[:-1])] + filler
    rotations = packed.rotary.rotations(layout)
    x = packed.embedding[torch.tensor(fed, device=packed.device)]
    found: list[list[torch.Tensor]] = [[] for _ in tokens]
    for number, (layer, kv) in enumerate(zip(packed.decoder, cross_keys.layers, strict=True)):
        x = x + layer.attention(layer.norms[0](x), layout, rotations)
        asking = layer.norms[1](x)
        heads = [head for place, head in chosen if place == number]
        if heads:
            q = layer.cross.q(asking)[: layout.count].float().unflatten(-1, (packed.heads, -1))
            k = kv.float().chunk(2, dim=-1)[0].unflatten(-1, (packed.heads, -1))
            clips = zip(q.split(lengths), k.split(list(cross_keys.layout.lengths)), strict=True)
            for rows, (queries, keys) in zip(found, clips, strict=True):
                scores = queries[:, heads].transpose(0, 1) @ keys[:, heads].permute(1, 2, 0)
                rows.append(torch.softmax(scores * q.shape[-1] ** -0.5, dim=-1).cpu())
        x = x + layer.cross(asking, layout, kv, cross_keys.layout)
        x = x + layer.mlp(layer.norms[2](x))
    return [torch.cat(rows).numpy() for rows in found]


def _chosen_heads(layers: int, heads: int) -> Sequence[tuple[int, int]]:
    later = [(place, head) for place in range(layers // 2, layers) for head in range(heads)]
    return _HEADS.get((layers, heads), later)


def _clear(weights: np.ndarray) -> np.ndarray:
    """The mean of heads, (tokens, frames), freed of what a head looks at whatever the token."""
    from scipy.ndimage import median_filter

    spread = weights.std(axis=1, keepdims=True)
    weights = (weights - weights.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6)
    return median_filter(weights, (1, 1, _SMOOTHED)).mean(axis=0)


def _warped(cost: np.ndarray) -> np.ndarray:
    """First frame of each token, (tokens,), on the cheapest way through `cost`, (tokens, frames).

    Every frame is one token's and every token has a frame; with more tokens than frames they are
    spread evenly.
    """
    tokens, frames = cost.shape
    if tokens > frames:
        return np.arange(tokens) * frames // tokens
    places = np.arange(frames)
    before = np.where(places == 0, 0.0, np.inf)  # of all earlier tokens up to the frame before
    begun = []  # for each token and each of its last frames, its first
    for row in cost:
        sums = np.concatenate([[0.0], np.cumsum(row)])
        entering = before - sums[:-1]
        best = np.minimum.accumulate(entering)
        begun.append(np.maximum.accumulate(np.where(entering <= best, places, 0)))
        before = np.concatenate([[np.inf], (best + sums[1:])[:-1]])
    starts, last = np.zeros(tokens, int), frames - 1
    for i in range(tokens - 1, -1, -1):
        starts[i] = begun[i][last]
        last = starts[i] - 1
    return starts
