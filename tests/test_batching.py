"""A clip's states, gradients, losses and words do not depend on the clips it is batched with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES, noise

from moontune.adapter import attach_lora
from moontune.audio import SHORTEST_SAMPLES
from moontune.config import EvalConfig, LoraConfig
from moontune.manifest import Utterance, read_manifest
from moontune.model import (
    Base,
    encode,
    frame_counts,
    greedy_tokens,
    pad_labels,
    target_ids,
    token_losses,
)
from moontune.transcribe import AudioStore

EOS = 2
TARGETS: Any = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
LOSS_NATS = 1e-4  # what a clip's summed loss may differ by; the furthest of 1,202 was 6e-5
UNLIKE = (1.5, 0.06, 2.2, 0.9)  # seconds


def states(encoded: Any) -> torch.Tensor:
    assert encoded.last_hidden_state is not None
    return encoded.last_hidden_state


def test_frames_are_counted_as_the_encoder_makes_them(tiny_base) -> None:
    for samples in (*range(SHORTEST_SAMPLES, SHORTEST_SAMPLES + 800, 13), 16_000, 16_127):
        with torch.no_grad():
            made = tiny_base.net.model.encoder(torch.zeros(1, samples)).last_hidden_state
        assert frame_counts(samples)[-1] == made.shape[1]


@pytest.mark.parametrize("together", [True, False])
def test_one_clip_is_the_encoders_own_to_the_bit(tiny_base, bundled_base, together) -> None:
    for base in (tiny_base, bundled_base):
        clip = noise(3, 1.3)
        with torch.no_grad():
            own = base.net.model.encoder(torch.from_numpy(clip)[None]).last_hidden_state
            ours = encode(base.net, [clip], "cpu", together=together)
        assert ours.attention_mask is None
        assert torch.equal(states(ours), own)


@pytest.mark.parametrize("together", [True, False])
def test_padded_states_are_the_encoders_own_and_nothing_leaks(bundled_base, together) -> None:
    """Loud neighbours, a clip of one frame, lengths one sample around a frame's edge."""
    edge = SHORTEST_SAMPLES + 384 * 20
    clips = [noise(i, s) for i, s in enumerate(UNLIKE)]
    clips += [noise(9, 1.0)[: edge - 1], 20 * noise(8, 1.0)[:edge], noise(7, 1.0)[: edge + 1]]
    with torch.no_grad():
        ours = encode(bundled_base.net, clips, "cpu", together=together)
        for i, clip in enumerate(clips):
            own = bundled_base.net.model.encoder(torch.from_numpy(clip)[None]).last_hidden_state[0]
            assert ours.attention_mask is not None
            assert ours.attention_mask[i].tolist() == [
                int(t < len(own)) for t in range(states(ours).shape[1])
            ]
            assert torch.allclose(states(ours)[i, : len(own)], own, atol=1e-4)
            assert not states(ours)[i, len(own) :].any()


def test_a_clip_without_a_frame_is_refused(tiny_base) -> None:
    clips = [noise(1, 1.0), noise(2, 1.0)[: SHORTEST_SAMPLES - 1]]
    with pytest.raises(AssertionError, match="one frame"):
        encode(tiny_base.net, clips, "cpu", together=True)


def test_encoding_leaves_the_model_as_it_was(tiny_base) -> None:
    encode(tiny_base.net, [noise(i, s) for i, s in enumerate(UNLIKE)], "cpu", together=True)
    assert not tiny_base.net.model.encoder.groupnorm._forward_hooks


def test_gradients_of_a_padded_batch_are_the_sum_of_each_clips(fresh_base) -> None:
    """In float64, so that only a wrong formula can differ; norm and convolutions learn too."""
    model = attach_lora(fresh_base, LoraConfig(lora_dropout=0.0, lora_targets=TARGETS), 1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.05, generator=torch.Generator().manual_seed(len(name)))
    model.requires_grad_(True).double().train()
    net = fresh_base.net
    clips = [noise(i, s).astype(np.float64) for i, s in enumerate(UNLIKE)]
    labels = [target_ids(fresh_base.tokenizer, SENTENCES[i][: 6 + 5 * i], EOS) for i in range(4)]

    def gradients(losses: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        losses.sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    encoded = encode(net, clips, "cpu", together=True)
    batch = token_losses(net, encoded, pad_labels(labels, "cpu"))
    alone = torch.cat(
        [
            token_losses(net, encode(net, [clip], "cpu"), pad_labels([ids], "cpu"))
            for clip, ids in zip(clips, labels, strict=True)
        ]
    )
    ours, theirs = gradients(batch), gradients(alone)
    assert torch.allclose(batch, alone, rtol=1e-6)  # summed in float32
    assert sum("lora_" in n for n in ours) == 2 * (2 * (4 + 2) + 2 * (8 + 2))
    assert any("groupnorm" in n for n in ours)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        rounding = 1e-6 * float(gradient.abs().max())
        assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=rounding), name


@torch.no_grad()
def alone(base: Base, samples: np.ndarray, cap: int, labels: list[int]) -> tuple[list[int], float]:
    """Transformers' own greedy transcript of a raw clip, and its loss from the encoder's own."""
    net: Any = base.net
    wave = torch.from_numpy(samples)[None]
    written = net.generate(wave, do_sample=False, max_new_tokens=cap)[0, 1:].tolist()
    encoded = net.model.encoder(wave)
    return written, float(token_losses(base.net, encoded, pad_labels([labels], "cpu"))[0])


@torch.no_grad()
def batched(
    base: Base, clips: Sequence[np.ndarray], caps: Sequence[int], labels: Sequence[list[int]]
) -> list[tuple[list[int], float]]:
    encoded = encode(base.net, clips, "cpu", together=True)
    losses = token_losses(base.net, encoded, pad_labels(labels, "cpu")).tolist()
    return list(zip(greedy_tokens(base.net, encoded, caps), losses, strict=True))


def assert_batches_do_not_matter(base: Base, rows: list[Utterance], size: int = 16) -> None:
    """Shuffled and sorted batches against `alone`: the same tokens, losses within rounding."""
    store = AudioStore()
    clips = [store(u) for u in rows]
    cap = EvalConfig().token_cap
    caps = [cap(len(clip) / 16_000) for clip in clips]
    labels = [target_ids(base.tokenizer, u.label, EOS) for u in rows]
    truth = [alone(base, *given) for given in zip(clips, caps, labels, strict=True)]
    shuffled = random.Random(0).sample(range(len(rows)), len(rows))
    by_length = sorted(shuffled, key=lambda i: len(clips[i]))
    unlike: list[str] = []
    for name, order in (("shuffled", shuffled), ("sorted", by_length)):
        for start in range(0, len(order), size):
            part = order[start : start + size]
            found = batched(
                base, [clips[i] for i in part], [caps[i] for i in part], [labels[i] for i in part]
            )
            for i, (tokens, loss) in zip(part, found, strict=True):
                if tokens != truth[i][0]:
                    unlike.append(f"{name}: {rows[i].id} writes {tokens}, alone {truth[i][0]}")
                if abs(loss - truth[i][1]) > LOSS_NATS:
                    unlike.append(f"{name}: {rows[i].id} loses {loss}, alone {truth[i][1]}")
    assert not unlike


def test_real_clips_write_and_lose_the_same_in_any_batch(bundled_base, accented, adventure) -> None:
    """A sample whose clips take seconds; the slow tests take every clip."""
    rows = [u for m in (accented, adventure) for u in _short(read_manifest(m)[0])]
    assert len(rows) == 20
    assert_batches_do_not_matter(bundled_base, rows, 7)


def _short(rows: list[Utterance]) -> list[Utterance]:
    """Ten clips from 0.5 to 4 s, evenly spaced over the set."""
    rows = [u for u in rows if 0.5 < (u.duration or 0) < 4.0]
    return rows[:: len(rows) // 10][:10]


@pytest.mark.slow
def test_all_accented_clips_write_and_lose_the_same_in_any_batch(bundled_base, accented) -> None:
    assert_batches_do_not_matter(bundled_base, read_manifest(accented)[0])


@pytest.mark.slow
def test_all_adventure_clips_write_and_lose_the_same_in_any_batch(bundled_base, adventure) -> None:
    assert_batches_do_not_matter(bundled_base, read_manifest(adventure)[0])
