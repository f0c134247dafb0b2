"""Where tokens are heard: the weights are transformers' own, the way through them the cheapest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from builders import noise

from moontune.config.schema import TokenCap
from moontune.models.base_model import load_base
from moontune.models.packed import alignment
from moontune.models.packed.alignment import _warped, _weights, token_starts
from moontune.models.transcriber import Transcriber


def test_the_weights_are_those_of_transformers(tiny_model, tiny_base) -> None:
    base = load_base(str(tiny_model), None, "cpu")
    base.net.set_attn_implementation("eager")
    transcriber = Transcriber(tiny_base)
    clips = [noise(0, 1.5), noise(1, 0.7)]
    tokens = [[5, 9, 33, 2], [40, 2]]
    ours = _weights(transcriber.packed, transcriber.encode(clips), tokens)
    start = transcriber.packed.start
    for clip, ids, found in zip(clips, tokens, ours, strict=True):
        with torch.no_grad():
            out = base.net(
                input_values=torch.from_numpy(clip)[None],
                decoder_input_ids=torch.tensor([[start, *ids[:-1]]]),
                output_attentions=True,
            )
        layers = out.cross_attentions
        later = torch.cat([layer[0] for layer in layers[len(layers) // 2 :]]).numpy()
        assert found.shape == later.shape
        assert np.allclose(found, later, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_way_is_the_cheapest_of_all(seed: int) -> None:
    cost = np.random.default_rng(seed).standard_normal((4, 9))

    def total(starts) -> float:
        edges = [*starts, cost.shape[1]]
        return sum(cost[i, edges[i] : edges[i + 1]].sum() for i in range(len(cost)))

    ways = [(0, *rest) for rest in itertools.combinations(range(1, 9), 3)]
    assert tuple(_warped(cost)) == min(ways, key=total)


def test_more_tokens_than_frames_are_in_order() -> None:
    starts = _warped(np.zeros((7, 3)))
    assert list(starts) == sorted(starts)
    assert starts[-1] < 3
    assert list(_warped(np.zeros((1, 5)))) == [0]


def test_clips_are_timed_alike_alone_and_together(tiny_base) -> None:
    transcriber, cap = Transcriber(tiny_base), TokenCap(6.5, 8)
    clips = [noise(0, 1.5), noise(1, 0.9), noise(2, 2.2)]
    together = transcriber.timed(clips, cap)
    assert [t.tokens for t in together] == [t.tokens for t in transcriber(clips, cap)]
    for clip, found in zip(clips, together, strict=True):
        keys = transcriber.encode([clip])
        [starts] = token_starts(transcriber.packed, keys, [found.tokens])
        if found.words:
            assert found.words[0].start_s * 16_000 in [min(s, len(clip)) for s in starts]
            assert found.words[-1].end_s <= len(clip) / 16_000


def test_the_real_model_has_heads_of_its_own(bundled_base) -> None:
    packed = Transcriber(bundled_base).packed
    assert len(alignment._chosen_heads(len(packed.decoder), packed.heads)) == 5
    assert len(alignment._chosen_heads(8, 8)) == 32
