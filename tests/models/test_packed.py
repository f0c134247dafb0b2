"""Our forward without padding is transformers' own, whatever clips share a pass."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from builders import DEVICE, SENTENCES, noise

from moontune.config.schema import EvalConfig, LoraConfig
from moontune.data.audio import SHORTEST_SAMPLES
from moontune.data.manifest import Utterance, read_manifest
from moontune.models.adapter import attach_lora
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, target_ids
from moontune.models.packed import attention, front_end, greedy, lora_linear
from moontune.models.packed.attention import (
    cross_attention,
    padded_cross_attention,
    padded_self_attention,
    self_attention,
)
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.front_end import FrontEnd
from moontune.models.packed.layout import CrossKeys, Layout, pack
from moontune.models.packed.lora_linear import dropout_mask, dropped
from moontune.models.packed.rotary import Rotary
from moontune.models.transcriber import Transcriber, load_audio

pytestmark = pytest.mark.device
EOS = 2
TARGETS: Any = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
LOSS_NATS = 1e-3  # what a real clip's summed loss may differ by in float32: about 30 tokens of it
UNLIKE = (1.5, 0.06, 2.2, 0.9)  # seconds


def unlike_clips() -> list[np.ndarray]:
    """Loud neighbours, a clip of one frame, lengths one sample around a frame's edge."""
    edge = SHORTEST_SAMPLES + 384 * 20
    clips = [noise(i, s) for i, s in enumerate(UNLIKE)]
    return [*clips, noise(9, 1.0)[: edge - 1], 20 * noise(8, 1.0)[:edge], noise(7, 1.0)[: edge + 1]]


def labels_of(base: Base, count: int) -> list[list[int]]:
    texts = [SENTENCES[i % 8][: 4 + 5 * (i % 4)] for i in range(count)]
    return [target_ids(base.tokenizer, text, EOS) for text in texts]


def wave(clip: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(clip)[None].to(DEVICE)


def their_loss(base: Base, clip: np.ndarray, ids: list[int]) -> torch.Tensor:
    """Transformers' own summed loss of a clip alone."""
    net: Any = base.net
    return net(input_values=wave(clip), labels=torch.tensor([ids], device=DEVICE)).loss * len(ids)


def our_losses(
    packed: PackedForward, clips: list[np.ndarray], labels: list[list[int]]
) -> torch.Tensor:
    front = pack([packed.features(clip) for clip in clips])
    return packed.token_losses(packed.cross_keys(packed.encode(front)), labels)


def adapted(base: Base, config: LoraConfig, std: float = 0.05) -> Any:
    """An adapter that changes something."""
    model = attach_lora(base, config, 1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            generator = torch.Generator().manual_seed(len(name))
            p.data.copy_(std * torch.randn(p.shape, generator=generator))
    return model.eval()


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_front_end_is_transformers_own_for_any_length(tiny_base) -> None:
    encoder, front = tiny_base.net.model.encoder, FrontEnd(tiny_base.net)
    of_apple = FrontEnd(tiny_base.net)
    convolutions = (encoder.conv1, encoder.conv2, encoder.conv3)
    of_apple._layers = [front_end._convolution(conv) for conv in convolutions]
    lengths = (*range(SHORTEST_SAMPLES, SHORTEST_SAMPLES + 800, 61), 16_127, 16_000 * 7)
    for samples in lengths:
        clip = noise(samples, 8.0)[:samples]
        with torch.no_grad():
            x = encoder.groupnorm(torch.tanh(encoder.conv1(wave(clip)[None])))
            x = torch.nn.functional.gelu(encoder.conv2(x))
            theirs = torch.nn.functional.gelu(encoder.conv3(x))[0].t()
        assert torch.allclose(front(clip), theirs, atol=1e-5), samples
        assert torch.allclose(of_apple(clip), theirs, atol=1e-5), samples


def test_a_clip_without_a_frame_is_refused(tiny_base) -> None:
    with pytest.raises(AssertionError, match="one frame"):
        FrontEnd(tiny_base.net)(noise(2, 1.0)[: SHORTEST_SAMPLES - 1])


def test_states_are_the_encoders_own_and_nothing_leaks(bundled_base) -> None:
    clips, packed = unlike_clips(), packed_forward(bundled_base.net)
    with torch.no_grad():
        ours = packed.encode(pack([packed.features(clip) for clip in clips]))
        for clip, rows in zip(clips, ours.rows.split(list(ours.layout.lengths)), strict=True):
            own = bundled_base.net.model.encoder(wave(clip)).last_hidden_state[0]
            assert torch.allclose(rows, own, atol=1e-4)


@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("part", ["both", "encoder", "decoder"])
def test_losses_and_gradients_are_transformers_own(fresh_base, monkeypatch, part, flash) -> None:
    """All linear layers adapted, several clips in one pass; with the flash kernel too."""
    if flash:
        monkeypatch.setattr(attention, "_FLASH_FROM", 0)
    model = adapted(fresh_base, LoraConfig(lora_dropout=0.0, lora_targets=TARGETS, lora_part=part))
    clips = unlike_clips()
    labels = labels_of(fresh_base, len(clips))
    theirs = torch.stack([their_loss(fresh_base, c, i) for c, i in zip(clips, labels, strict=True)])
    expected = gradients(model, theirs.sum())
    ours = our_losses(packed_forward(fresh_base.net), clips, labels)
    found = gradients(model, ours.sum())
    sums = [float(part.detach().sum()) for part in ours.split([len(ids) for ids in labels])]
    assert sums == pytest.approx(theirs.tolist(), rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        rounding = 1e-4 * float(gradient.abs().max()) + 1e-7
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=rounding), name


def test_only_the_adapter_gets_gradients(fresh_base) -> None:
    adapted(fresh_base, LoraConfig(lora_dropout=0.0))
    our_losses(packed_forward(fresh_base.net), [noise(1, 0.5)], [[5, EOS]]).sum().backward()
    named = {n for n, p in fresh_base.net.named_parameters() if p.grad is not None}
    assert named
    assert all("lora_" in name for name in named)


@pytest.mark.parametrize("kind", ["dora", "rslora", "pissa"])
def test_other_kinds_of_lora_are_computed_too(fresh_base, kind) -> None:
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    options = {"dora": {"use_dora": True}, "rslora": {"use_rslora": True}}
    given: dict[str, Any] = options.get(kind, {"init_lora_weights": "pissa"})
    config = PeftConfig(r=4, target_modules=["q_proj", "v_proj"], **given)
    torch.manual_seed(0)
    model: Any = get_peft_model(fresh_base.net, config)  # type: ignore[arg-type]
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.05)
    clip, labels = noise(1, 1.0), labels_of(fresh_base, 1)
    theirs = their_loss(fresh_base, clip, labels[0])
    expected = gradients(model, theirs)
    for packed in (packed_forward(fresh_base.net), packed_forward(fresh_base.net, merged=True)):
        ours = our_losses(packed, [clip], labels).sum()
        assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    found = gradients(model, our_losses(packed_forward(fresh_base.net), [clip], labels).sum())
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[n], expected[n], rtol=1e-3, atol=1e-5) for n in expected)


def test_an_adapter_switched_off_or_merged_is_heeded(fresh_base) -> None:
    clips, labels = [noise(1, 1.0), noise(2, 0.4)], labels_of(fresh_base, 2)

    def losses(merged: bool) -> list[float]:
        with torch.no_grad():
            return our_losses(packed_forward(fresh_base.net, merged=merged), clips, labels).tolist()

    plain = losses(False)
    model = adapted(fresh_base, LoraConfig())
    tuned = losses(False)
    assert tuned != pytest.approx(plain, rel=1e-3)
    assert losses(True) == pytest.approx(tuned, rel=1e-4)
    with model.disable_adapter():
        assert losses(False) == plain
        assert losses(True) == pytest.approx(plain, rel=1e-6)


def test_weights_shared_with_the_fused_ones_stay_what_they_were(fresh_base) -> None:
    before = {n: p.clone() for n, p in fresh_base.net.named_parameters()}
    packed_forward(fresh_base.net)
    assert all(torch.equal(p, before[n]) for n, p in fresh_base.net.named_parameters())


@pytest.mark.cpu  # there are filler rows on a CPU only
def test_filler_rows_change_neither_losses_nor_gradients(fresh_base, monkeypatch) -> None:
    model = adapted(fresh_base, LoraConfig(lora_dropout=0.0, lora_targets=TARGETS))
    clips = unlike_clips()
    labels = labels_of(fresh_base, len(clips))

    def measured() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        found = our_losses(packed_forward(fresh_base.net), clips, labels)
        return found.detach(), gradients(model, found.sum())

    losses, grads = measured()
    monkeypatch.setattr(
        "moontune.models.packed.forward.padded_row_count", lambda count, dtype, device: count + 50
    )
    filled_losses, filled_grads = measured()
    assert torch.allclose(losses, filled_losses, atol=1e-5)
    for name, grad in grads.items():
        assert torch.allclose(grad, filled_grads[name], atol=1e-4), name


def test_bfloat16_is_near_float32_however_clips_share_passes(bundled_base) -> None:
    clips = [noise(i, s) for i, s in enumerate((1.3, 2.0, 0.5))]
    labels = labels_of(bundled_base, 3)
    packed = packed_forward(bundled_base.net, torch.bfloat16)
    with torch.no_grad():
        together = our_losses(packed, clips, labels)
        alone = torch.cat(
            [our_losses(packed, [c], [i]) for c, i in zip(clips, labels, strict=True)]
        )
        exact = our_losses(packed_forward(bundled_base.net), clips, labels)
    assert torch.isfinite(together).all()
    assert float((together - alone).abs().max()) < 0.1 * float(exact.max())
    assert float(together.mean()) == pytest.approx(float(exact.mean()), rel=0.03)


def test_bfloat16_gradients_point_where_float32s_do(fresh_base) -> None:
    model = adapted(fresh_base, LoraConfig(lora_dropout=0.0, lora_targets=TARGETS))
    clips = unlike_clips()
    labels = labels_of(fresh_base, len(clips))
    exact, rough = (
        torch.cat(
            [
                g.flatten()
                for g in gradients(
                    model, our_losses(packed_forward(fresh_base.net, dtype), clips, labels).sum()
                ).values()
            ]
        )
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert float(torch.cosine_similarity(exact, rough, dim=0)) > 0.99
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_leaves_out_its_share_and_changes_nothing_else(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(1000, 37, device=DEVICE).to(dtype)
    found = dropped(x, dropout_mask(x.shape, 0.05, dtype, x.device))
    assert float((found == 0).float().mean()) == pytest.approx(0.05, abs=0.005)
    assert bool(((found == x) | (found == 0)).all())
    assert dropout_mask(x.shape, 0.0, dtype, x.device) is None


def test_dropout_draws_anew_each_time_and_by_the_random_state_alone() -> None:
    """What two draws leave out has no more in common than chance would have it, nor do the columns
    of one; a draw of more values than ever before changes nothing for those after it."""
    shape, more, device = torch.Size((1000, 400)), torch.Size((4097, 2048)), torch.device("cpu")
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (dropout_mask(shape, 0.1, torch.bfloat16, device) == 0 for _ in range(2))
    assert float((first & second).float().mean()) == pytest.approx(0.01, abs=0.001)
    assert float((first[:, :-1] & first[:, 1:]).float().mean()) == pytest.approx(0.01, abs=0.001)
    torch.set_rng_state(state)
    assert torch.equal(dropout_mask(shape, 0.1, torch.bfloat16, device) == 0, first)
    left_out = dropout_mask(more, 0.1, torch.bfloat16, device) == 0
    assert float(left_out.float().mean()) == pytest.approx(0.1, abs=0.001)
    torch.set_rng_state(state)
    assert torch.equal(dropout_mask(shape, 0.1, torch.bfloat16, device) == 0, first)


def test_of_dropouts_tables_those_of_another_probability_are_not_kept() -> None:
    """A search for the best dropout would keep some of every trial."""
    for shape in [(1000, 400), (4097, 2048), (1000, 400)]:
        for p in [0.1, 0.2, 0.3]:
            for dtype in [torch.float32, torch.bfloat16]:
                dropout_mask(torch.Size(shape), p, dtype, torch.device("cpu"))
    assert {p for p, _ in lora_linear._tables} == {0.3}
    assert len(lora_linear._tables) == 2


def test_dropout_acts_in_training_only_and_on_the_adapter_only(fresh_base) -> None:
    adapted(fresh_base, LoraConfig(lora_dropout=0.5))
    packed, clips, labels = (
        packed_forward(fresh_base.net),
        [noise(1, 0.5)],
        labels_of(fresh_base, 1),
    )
    torch.manual_seed(1)
    one, two = (our_losses(packed, clips, labels).detach() for _ in range(2))
    assert not torch.equal(one, two)
    with torch.no_grad():
        one, two = (our_losses(packed, clips, labels) for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.cpu
@pytest.mark.parametrize("causal", [False, True])
def test_the_way_of_gpus_attends_to_the_same(causal) -> None:
    """Padded attention, which Apple's and Nvidia's GPUs use, against the CPU's; gradients too."""
    torch.manual_seed(0)
    layout, frames = Layout((3, 7, 1), torch.device("cpu")), Layout((9, 4, 6), torch.device("cpu"))
    turns = Rotary(torch.tensor([1.0, 0.1]), 6, 1.0).rotations(layout)
    qkv, q, kv = torch.randn(11, 3 * 12), torch.randn(11, 12), torch.randn(19, 24)
    pairs = [
        (self_attention, padded_self_attention, (qkv, turns, layout, 2), {"causal": causal}),
        (cross_attention, padded_cross_attention, (q, kv, layout, frames, 2), {}),
    ]
    for apart, padded, arguments, options in pairs:
        results = []
        for way in (apart, padded):
            for t in (qkv, q, kv):
                t.requires_grad_(True)
                t.grad = None
            out = way(*arguments, **options)
            (out * torch.arange(12.0)).sum().backward()
            results.append([out.detach(), *(t.grad for t in (qkv, q, kv) if t.grad is not None)])
        for ours, theirs in zip(*results, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("look_every", [1, 8])
def test_batched_greedy_equals_generate_on_each_clip_alone(
    tiny_base, monkeypatch, look_every
) -> None:
    """Clips that end early leave the batch; a GPU looks for them every eighth token only."""
    monkeypatch.setitem(greedy._CHECK_EVERY, DEVICE, look_every)
    clips = [noise(i, s) for i, s in enumerate((1.5, 0.6, 2.2, 1.0, 1.1, 0.7))]
    caps = [9, 4, 12, 1, 30, 17]
    packed = packed_forward(tiny_base.net, merged=True)
    with torch.no_grad():
        front = pack([packed.features(clip) for clip in clips])
        ours = greedy.greedy(packed, packed.cross_keys(packed.encode(front)), caps)
        theirs = [
            tiny_base.net.generate(wave(c), max_new_tokens=cap)[0].tolist()[1:]
            for c, cap in zip(clips, caps, strict=True)
        ]
    assert ours == theirs


def test_clips_that_come_later_and_begin_behind_a_text_are_written_as_alone(fresh_base) -> None:
    """However much of a text is what the model writes, and whoever else is on the way."""
    net: Any = fresh_base.net
    with torch.no_grad():
        for layer in net.model.decoder.layers:  # so that it matters what is looked at
            for attention in (layer.self_attn, layer.encoder_attn):
                for name in TARGETS[:4]:
                    getattr(attention, name).weight.mul_(6.0)
    clips = [noise(i, s) for i, s in enumerate((1.5, 0.6, 2.2, 1.0, 1.1, 0.7, 1.9))]
    caps = [9, 4, 12, 1, 30, 17, 12]
    late = net.generate(wave(clips[5]), max_new_tokens=12)[0, -1]
    net.config.eos_token_id = net.generation_config.eos_token_id = end = int(late)
    alone = [_surely_written(net, clip, cap) for clip, cap in zip(clips, caps, strict=True)]
    assert {ids[-1] == end for ids in alone} == {True, False}
    other = [[(i + 1) % 50 + 3 for i in ids] for ids in alone]
    texts = [
        [*alone[0][:3], *other[0]],
        [*alone[1][:2], *other[1][2:]],
        [*alone[2][:6], *other[2]],
        [end],
        [*alone[4][:12], *other[4]],
        alone[5],
        [*alone[6], *other[6], end],
    ]
    packed = packed_forward(net, merged=True)
    writing = greedy.Writing(packed)
    found: dict[int, list[int]] = {}
    heard: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for some, frames in (([4, 0, 2], 60), ([1, 3], 60), ([5, 6], 0)):
            keys = packed.cross_keys(packed.encode(pack([packed.features(clips[i]) for i in some])))
            some_texts = [texts[i] for i in some]
            forced = packed.forced(keys, some_texts)
            assert forced.losses == pytest.approx(packed.losses(keys, some_texts))
            writing.add(some, keys, [caps[i] for i in some], forced)
            heard |= zip(some, _clips(keys), strict=True)
            for left in writing.until(frames):
                found |= zip(left.clips, left.tokens, strict=True)
                for i, rows in zip(left.clips, _clips(left.cross_keys), strict=True):
                    assert torch.equal(rows, heard[i])
    assert [found[i] for i in range(len(clips))] == alone


def _surely_written(net: Any, clip: np.ndarray, cap: int) -> list[int]:
    """Transformers' own greedy transcript, which no rounding decides."""
    done = net.generate(
        wave(clip), max_new_tokens=cap, return_dict_in_generate=True, output_logits=True
    )
    first, second = torch.stack(done.logits).topk(2).values.unbind(-1)
    assert float((first - second).min()) > 1e-4, "a near tie"
    return done.sequences[0, 1:].tolist()


def _clips(keys: CrossKeys) -> Sequence[torch.Tensor]:
    """What the last layer attends to, a clip at a time."""
    return keys.layers[-1][: keys.layout.count].split(list(keys.layout.lengths))


@torch.no_grad()
def assert_as_alone(base: Base, rows: list[Utterance], size: int = 16) -> None:
    """Shuffled and sorted batches against transformers' own generate and loss on each clip."""
    clips = [load_audio(u) for u in rows]
    cap = EvalConfig().token_cap
    labels = [target_ids(base.tokenizer, u.label, EOS) for u in rows]
    net: Any = base.net
    truth = []
    for clip, ids in zip(clips, labels, strict=True):
        most = cap(len(clip) / 16_000)
        written = net.generate(wave(clip), do_sample=False, max_new_tokens=most)[0, 1:].tolist()
        truth.append((written, float(their_loss(base, clip, ids))))
    transcriber = Transcriber(base, mends_loops=False)
    shuffled = random.Random(0).sample(range(len(rows)), len(rows))
    by_length = sorted(shuffled, key=lambda i: len(clips[i]))
    unlike: list[str] = []
    for name, order in (("shuffled", shuffled), ("sorted", by_length)):
        for start in range(0, len(order), size):
            part = order[start : start + size]
            memory = transcriber.encode([clips[i] for i in part])
            seconds = [len(clips[i]) / 16_000 for i in part]
            written = transcriber.greedy(memory, seconds, cap)
            losses = transcriber.packed.losses(memory, [labels[i] for i in part])
            for i, transcript, loss in zip(part, written, losses, strict=True):
                if transcript.tokens != truth[i][0]:
                    found = f"{transcript.tokens}, alone {truth[i][0]}"
                    unlike.append(f"{name}: {rows[i].id} writes {found}")
                if abs(loss - truth[i][1]) > LOSS_NATS:
                    unlike.append(f"{name}: {rows[i].id} loses {loss}, alone {truth[i][1]}")
    assert not unlike


def test_real_clips_write_and_lose_the_same_in_any_batch(bundled_base, accented, adventure) -> None:
    """A sample whose clips take seconds; the slow tests take every clip."""
    rows = [u for m in (accented, adventure) for u in _short(read_manifest(m)[0])]
    assert len(rows) == 12
    assert_as_alone(bundled_base, rows, 5)


def _short(rows: list[Utterance]) -> list[Utterance]:
    """Six clips from 0.5 to 4 s, evenly spaced over the set."""
    rows = [u for u in rows if 0.5 < (u.duration or 0) < 4.0]
    return rows[:: len(rows) // 6][:6]


@pytest.mark.slow
def test_all_accented_clips_write_and_lose_the_same_in_any_batch(bundled_base, accented) -> None:
    assert_as_alone(bundled_base, read_manifest(accented)[0])


@pytest.mark.slow
def test_all_adventure_clips_write_and_lose_the_same_in_any_batch(bundled_base, adventure) -> None:
    assert_as_alone(bundled_base, read_manifest(adventure)[0])
