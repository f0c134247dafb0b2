"""Moonshine Streaming computes what transformers computes of each clip alone, under a whole mask.

And what of transformers' classes has to be known for that, which a later version may change.
"""

from __future__ import annotations

import copy
import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from builders import DEVICE, SENTENCES, noise
from choices import assert_decided
from transformers.models.moonshine_streaming.modeling_moonshine_streaming import (
    MoonshineStreamingEncoderModelOutput,
)

from moontune.config.schema import EvalConfig, LoraConfig
from moontune.errors import UserError
from moontune.models.adapter import attach_lora, load_adapter, save_adapter
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, load_base, load_processor, target_ids
from moontune.models.packed.alignment import _weights
from moontune.models.packed.beams import beams
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.greedy import greedy
from moontune.models.packed.layout import Layout, pack, some_of
from moontune.models.packed.windowed import Window, windowed_attention
from moontune.models.transcriber import Transcriber

pytestmark = pytest.mark.device
EOS = 2
FRAME = 80
UNLIKE = (1.5, 0.06, 2.2, 0.9, 0.333)  # seconds; the last is no whole number of frames
CAP = EvalConfig().token_cap


@pytest.fixture
def base(fresh_streaming_base) -> Base:
    """Weights large enough that every part is heard, scales of norms that are not one."""
    net = fresh_streaming_base.net
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim > 1:
                p.mul_(6)
            elif name.endswith("gamma"):
                p.add_(0.3 * torch.randn(p.shape, generator=generator).to(p.device))
    return fresh_streaming_base


def clips() -> list[np.ndarray]:
    """Loud neighbours, lengths around the edges of frames of the encoder, 320 samples."""
    edge = 320 * 40
    around = [20 * noise(8, 1.0)[: edge + more] for more in (-1, 0, FRAME - 1, FRAME, FRAME + 1)]
    return [*(noise(i, s) for i, s in enumerate(UNLIKE)), *around]


def labels_of(base: Base, count: int) -> list[list[int]]:
    texts = [SENTENCES[i % 8][: 4 + 5 * (i % 4)] for i in range(count)]
    return [target_ids(base.tokenizer, text, EOS) for text in texts]


def heard(base: Base, clip: np.ndarray) -> dict[str, torch.Tensor]:
    return {k: v.to(DEVICE) for k, v in base.architecture.own_inputs(clip).items()}


def their_loss(base: Base, clip: np.ndarray, ids: list[int]) -> torch.Tensor:
    """Transformers' own summed loss of a clip alone."""
    labels = torch.tensor([ids], device=DEVICE)
    return base.net(**heard(base, clip), labels=labels).loss * len(ids)


def our_losses(packed: PackedForward, of: list[np.ndarray], labels: Any) -> torch.Tensor:
    front = pack([packed.features(clip) for clip in of])
    return packed.token_losses(packed.cross_keys(packed.encode(front)), labels)


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def adapted(base: Base, config: LoraConfig) -> Any:
    """An adapter that changes something."""
    model = attach_lora(base, config, 1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            generator = torch.Generator().manual_seed(len(name))
            p.data.copy_(0.05 * torch.randn(p.shape, generator=generator))
    return model.eval()


@torch.no_grad()
def test_states_are_the_encoders_own_whatever_lies_beside_a_clip(base) -> None:
    packed, some = packed_forward(base.net), clips()
    ours = packed.encode(pack([packed.features(clip) for clip in some]))
    for clip, rows in zip(some, ours.rows.split(list(ours.layout.lengths)), strict=True):
        [own] = base.net.model.encoder(**heard(base, clip)).last_hidden_state
        assert torch.allclose(rows, own, atol=1e-4)


@pytest.mark.parametrize("part", ["both", "encoder", "decoder"])
def test_losses_and_gradients_are_transformers_own(base, part) -> None:
    """All linear layers adapted, several clips in one pass."""
    model = adapted(base, LoraConfig(lora_dropout=0.0, lora_part=part))
    some = clips()
    labels = labels_of(base, len(some))
    theirs = torch.stack([their_loss(base, c, i) for c, i in zip(some, labels, strict=True)])
    expected = gradients(model, theirs.sum())
    ours = our_losses(packed_forward(base.net), some, labels)
    found = gradients(model, ours.sum())
    sums = [float(part.detach().sum()) for part in ours.split([len(ids) for ids in labels])]
    assert sums == pytest.approx(theirs.tolist(), rel=1e-5)
    assert found.keys() == expected.keys()
    assert all("lora_" in name for name in found)
    for name, gradient in expected.items():
        rounding = 1e-4 * float(gradient.abs().max()) + 1e-7
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=rounding), name


@pytest.mark.cpu  # there are filler rows on a CPU only
def test_filler_rows_change_neither_losses_nor_gradients(base, monkeypatch) -> None:
    model = adapted(base, LoraConfig(lora_dropout=0.0))
    some = clips()[:4]
    labels = labels_of(base, len(some))

    def measured() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        found = our_losses(packed_forward(base.net), some, labels)
        return found.detach(), gradients(model, found.sum())

    losses, grads = measured()
    monkeypatch.setattr(
        "moontune.models.packed.forward.padded_row_count", lambda count, dtype, device: count + 50
    )
    filled_losses, filled_grads = measured()
    assert torch.allclose(losses, filled_losses, atol=1e-4)
    for name, grad in grads.items():
        rounding = 1e-4 * float(grad.abs().max()) + 1e-7
        assert torch.allclose(grad, filled_grads[name], atol=rounding), name


def test_bfloat16_losses_and_gradients_are_near(base) -> None:
    model = adapted(base, LoraConfig(lora_dropout=0.0))
    some = clips()
    labels = labels_of(base, len(some))
    sums, grads = [], []
    for dtype in (torch.float32, torch.bfloat16):
        losses = our_losses(packed_forward(base.net, dtype), some, labels)
        sums.append(float(losses.detach().sum()))
        found = gradients(model, losses.sum())
        grads.append(torch.cat([g.flatten() for g in found.values()]))
    assert sums[1] == pytest.approx(sums[0], rel=0.02)
    assert float(torch.cosine_similarity(grads[0], grads[1], dim=0)) > 0.97


@torch.no_grad()
def test_tokens_are_those_of_generate_on_each_clip_alone(base) -> None:
    some = clips()
    together = Transcriber(base, mends_loops=False)(some, CAP)
    assert_decided(base, some, together)
    for clip, found in zip(some, together, strict=True):
        most = CAP(len(clip) / 16_000)
        written = base.net.generate(**heard(base, clip), do_sample=False, max_new_tokens=most)
        assert found.tokens == written[0, 1:].tolist()
    assert len({tuple(t.tokens) for t in together}) > 5


@torch.no_grad()
def test_one_beam_is_the_greedy_transcript_and_of_several_each_is_as_likely_as_told(base) -> None:
    """Heads of the decoder are no share of its width."""
    packed, some = packed_forward(base.net, merged=True), clips()[:4]
    keys = packed.cross_keys(packed.encode(pack([packed.features(clip) for clip in some])))
    caps = [9, 4, 12, 6]
    ones = beams(packed, keys, caps, 1)
    assert [beam.tokens for [beam] in ones] == greedy(packed, keys, caps)
    for i, several in enumerate(beams(packed, keys, caps, 4)):
        owner = some_of(keys, [i] * len(several))
        losses = packed.losses(owner, [beam.tokens for beam in several])
        assert [-b.log_probability for b in several] == pytest.approx(losses, rel=1e-4, abs=1e-4)


@torch.no_grad()
def test_words_are_timed_by_transformers_own_attention(base) -> None:
    exact = copy.deepcopy(base.net)
    exact.set_attn_implementation("eager")
    transcriber, some, tokens = Transcriber(base), clips()[2:4], [[5, 9, 33, 2], [40, 2]]
    ours = _weights(transcriber.packed, transcriber.encode(some), tokens)
    for clip, ids, found in zip(some, tokens, ours, strict=True):
        told = torch.tensor([[transcriber.packed.start, *ids[:-1]]], device=DEVICE)
        inputs = heard(base, clip)
        out = exact(**inputs, decoder_input_ids=told, output_attentions=True)
        later = torch.cat([layer[0] for layer in out.cross_attentions[1:]]).cpu().numpy()
        assert np.allclose(found, later, atol=1e-4)
    for clip, found in zip(some, transcriber.timed(some, CAP), strict=True):
        starts = [word.start_s for word in found.words or ()]
        assert starts == sorted(starts)
        assert all(0 <= s <= len(clip) / 16_000 for s in starts)


# What packing needs


@pytest.mark.parametrize(("before", "ahead"), [(15, 3), (15, 0), (0, 0), (3, 40)])
def test_a_window_is_the_attention_under_its_mask(before, ahead) -> None:
    """Gradients too, of clips shorter and longer than a block, with filler behind them."""
    torch.manual_seed(0)
    lengths = (1, 57, 3, 16, 33)
    layout = Layout(lengths, torch.device(DEVICE), sum(lengths) + 5)
    qkv = torch.randn(layout.rows, 3 * 2 * 6, device=DEVICE, requires_grad=True)
    weigh = torch.randn(layout.count, 12, device=DEVICE)
    ours = windowed_attention(qkv, Window(layout, before, ahead), 2)[: layout.count]
    [of_ours] = torch.autograd.grad((ours * weigh).sum(), qkv)
    parts = []
    for rows in qkv[: layout.count].split(list(lengths)):
        q, k, v = rows.unflatten(1, (3, 2, 6)).permute(1, 2, 0, 3)
        distance = torch.arange(len(rows)) - torch.arange(len(rows))[:, None]
        seen = ((distance >= -before) & (distance <= ahead)).to(DEVICE)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, seen)
        parts.append(found.transpose(0, 1).flatten(1))
    theirs = torch.cat(parts)
    [of_theirs] = torch.autograd.grad((theirs * weigh).sum(), qkv)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(of_ours, of_theirs, atol=1e-5)


@torch.no_grad()
def test_states_can_be_used_again(base) -> None:
    packed, [clip] = packed_forward(base.net), clips()[:1]
    states = packed.encode(pack([packed.features(clip)]))
    before = states.rows.clone()
    one, other = packed.cross_keys(states), packed.cross_keys(states)
    assert torch.equal(states.rows, before)
    assert all(map(torch.equal, one.layers, other.layers))


# Of transformers' classes: each of these turning false would ask for another look


@torch.no_grad()
def test_without_a_mask_transformers_applies_no_window(base) -> None:
    inputs = heard(base, noise(1, 1.0))
    encoder = base.net.model.encoder
    windowed = encoder(**inputs).last_hidden_state
    without = encoder(inputs["input_values"]).last_hidden_state
    assert not torch.allclose(windowed, without, atol=1e-2)
    base.net.config.encoder_config.sliding_windows = [[1000, 1000]] * 2
    assert torch.allclose(encoder(**inputs).last_hidden_state, without, atol=1e-4)


@torch.no_grad()
def test_padding_leaves_a_clip_three_frames_too_many_in_transformers(base) -> None:
    inputs = heard(base, noise(1, 1.0))
    padded = {k: torch.nn.functional.pad(v, (0, 16_000)) for k, v in inputs.items()}
    encoder = base.net.model.encoder
    alone, kept = encoder(**inputs), encoder(**padded)
    frames = int(alone.attention_mask.sum())
    assert frames == alone.last_hidden_state.shape[1] == 50
    assert int(kept.attention_mask.sum()) == frames + 3
    labels = torch.tensor([[9, 8, EOS]], device=DEVICE)
    one, other = (float(base.net(**i, labels=labels).loss) for i in (inputs, padded))
    assert one != pytest.approx(other, rel=1e-3)


@torch.no_grad()
def test_the_processors_own_padding_to_whole_frames_makes_a_frame_of_nothing(base) -> None:
    """Of a clip of 80 and some samples more than four frames: so `own_inputs` cuts them off."""
    clip = noise(1, 1.0)[: 320 * 20 + 7]
    made = base.processor(clip, sampling_rate=16_000, return_tensors="pt").to(DEVICE)
    assert made["input_values"].shape[1] == 320 * 20 + FRAME
    encoder = base.net.model.encoder
    assert int(encoder(**made).attention_mask.sum()) == 21
    assert len(packed_forward(base.net).features(clip)) == 20
    counted = base.net._get_feat_extract_output_lengths(torch.tensor([len(clip)]))
    assert int(counted) == 20


@torch.no_grad()
def test_transformers_decoder_changes_the_states_it_is_given(base) -> None:
    states = base.net.model.encoder(**heard(base, noise(1, 1.0))).last_hidden_state
    before, labels = states.clone(), torch.tensor([[9, 8, EOS]], device=DEVICE)

    def loss() -> float:
        mask = torch.ones(states.shape[:2], dtype=torch.long, device=DEVICE)
        kept = MoonshineStreamingEncoderModelOutput(last_hidden_state=states, attention_mask=mask)
        return float(base.net(encoder_outputs=kept, labels=labels).loss)

    once = loss()
    places = base.net.model.decoder.pos_emb.weight[: states.shape[1]]
    assert torch.allclose(states[0], before[0] + places)
    assert loss() != pytest.approx(once, rel=1e-5)


def test_a_window_of_sixteen_and_four_is_fifteen_before_and_three_ahead() -> None:
    """As transformers 5.23 counts; the paper's lookahead of 80 ms would be four."""
    from transformers.models.moonshine_streaming import modeling_moonshine_streaming as modeling

    sees = modeling.sliding_window_mask_function((16, 4))
    assert [k for k in range(40) if sees(0, 0, 20, k)] == list(range(5, 24))
    sees = modeling.sliding_window_mask_function((16, 0))
    assert [k for k in range(40) if sees(0, 0, 20, k)] == list(range(5, 21))


# Loading


def test_a_folder_as_the_hub_has_it_is_loaded(tiny_streaming_model, tmp_path) -> None:
    """Feature extractor and tokenizer each by itself, token ids left open, a head of its own."""
    for file in tiny_streaming_model.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "processor_config.json").unlink()
    made = load_processor(tiny_streaming_model)
    made.feature_extractor.save_pretrained(tmp_path)
    assert (tmp_path / "preprocessor_config.json").is_file()
    config = json.loads((tmp_path / "config.json").read_text())
    open_ids = {"decoder_start_token_id": None, "pad_token_id": None}
    (tmp_path / "config.json").write_text(json.dumps(config | open_ids))
    base = load_base(str(tmp_path), None, "cpu")
    assert type(base.processor).__name__ == "MoonshineStreamingProcessor"
    assert (base.net.config.decoder_start_token_id, base.net.config.pad_token_id) == (1, EOS)
    assert base.net.proj_out.weight.data_ptr() != base.net.get_input_embeddings().weight.data_ptr()
    assert base.origin.model_type == "moonshine_streaming"


def test_an_adapter_of_the_other_type_is_refused(fresh_base, base, tmp_path) -> None:
    save_adapter(attach_lora(fresh_base, LoraConfig(), 1), fresh_base, tmp_path / "a")
    with pytest.raises(UserError, match="does not fit"):
        load_adapter(base, tmp_path / "a")


# What is refused


def test_a_clip_longer_than_there_are_places_is_refused_in_a_line(base) -> None:
    decoder = base.net.model.decoder
    decoder.pos_emb.weight = torch.nn.Parameter(decoder.pos_emb.weight[:50].clone())
    transcriber = Transcriber(base)
    transcriber([noise(1, 1.0)], CAP)
    with pytest.raises(UserError, match=r"a clip of 1\.1 s is too long .* places for 1\.0 s"):
        transcriber([noise(1, 1.1)], CAP)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: setattr(c, "num_key_value_heads", 2), "shares keys between heads"),
        (
            lambda c: setattr(c.encoder_config, "sliding_windows", [[0, 4], [16, 0]]),
            "a frame sees itself",
        ),
        (
            lambda c: setattr(c.encoder_config, "sliding_windows", [[16, 4]]),
            "every layer needs one",
        ),
        (lambda c: setattr(c.encoder_config, "attention_dropout", 0.1), "attention_dropout 0.1"),
    ],
)
def test_a_config_that_is_not_computed_is_refused(base, change, told) -> None:
    change(base.net.config)
    with pytest.raises(UserError, match=told):
        packed_forward(base.net)


def test_frames_of_another_length_are_refused(base) -> None:
    base.net.model.encoder.embedder.frame_len = 160
    with pytest.raises(UserError, match="frames of 160 samples"):
        packed_forward(base.net)


@pytest.mark.parametrize("name", ["proj", "linear"])
def test_an_adapter_that_would_not_be_heard_is_refused(base, name) -> None:
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    get_peft_model(base.net, PeftConfig(target_modules=[name]))
    with pytest.raises(UserError, match=f"the adapter changes {name}"):
        packed_forward(base.net)
