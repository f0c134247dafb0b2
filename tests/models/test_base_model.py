"""The facts about Moonshine that correctness rests on; each would be caught turning false."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import SENTENCES, noise

from moontune.config.schema import EvalConfig, LoraConfig, TokenCap
from moontune.errors import UserError
from moontune.models.adapter import (
    adapter_state,
    attach_lora,
    load_adapter,
    save_adapter,
    trainable_parameters,
)
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, load_base, target_ids
from moontune.models.packed.front_end import FrontEnd
from moontune.models.packed.layout import pack
from moontune.models.provenance import trained_on

EOS = 2


def test_labels_have_no_bos_and_end_in_eos(tiny_base) -> None:
    ids = target_ids(tiny_base.tokenizer, "ab", EOS)
    assert ids[-1] == EOS
    assert tiny_base.tokenizer.bos_token_id not in ids
    assert tiny_base.tokenizer("ab").input_ids == [1, *ids[:-1]]  # its own template: BOS, no EOS


def test_text_is_plain_in_labels(tiny_base) -> None:
    plain = target_ids(tiny_base.tokenizer, "a b", EOS)
    assert target_ids(tiny_base.tokenizer, "  a\n b ", EOS) == plain
    assert target_ids(tiny_base.tokenizer, "a</s>b", EOS).count(EOS) == 1


def losses(base: Base, samples: np.ndarray, labels: list[int]) -> torch.Tensor:
    """Of every target token of a clip, (tokens,)."""
    packed = packed_forward(base.net)
    front = pack([packed.features(samples)])
    return packed.token_losses(packed.cross_keys(packed.encode(front)), [labels])


def test_loss_equals_a_hand_cross_entropy_and_transformers_own(tiny_base) -> None:
    labels = target_ids(tiny_base.tokenizer, SENTENCES[0], EOS)
    samples = noise(1, 1.0)
    wave = torch.from_numpy(samples)[None]
    with torch.no_grad():
        ours = losses(tiny_base, samples, labels)
        inputs = torch.tensor([[1, *labels[:-1]]])
        logits = tiny_base.net(input_values=wave, decoder_input_ids=inputs).logits[0]
        by_hand = [-float(torch.log_softmax(logits[i], -1)[t]) for i, t in enumerate(labels)]
        theirs = tiny_base.net(input_values=wave, labels=torch.tensor([labels])).loss
    assert ours.tolist() == pytest.approx(by_hand, rel=1e-4)
    assert float(ours.mean()) == pytest.approx(float(theirs), rel=1e-5)


def test_token_cap_is_the_model_cards_rate_and_a_margin() -> None:
    assert [TokenCap(6.5, 2)(s) for s in (1.0, 2.0, 10.0)] == [8, 15, 67]
    assert [TokenCap(6.5, 8)(s) for s in (1.0, 2.0, 10.0)] == [14, 21, 73]
    assert TokenCap(6.5, 0)(0.06) == 1  # something must be decoded
    assert str(TokenCap(6.5, 8)) == "int(seconds x 6.5) + 8"
    assert EvalConfig(tokens_per_second=7, token_margin=3).token_cap == TokenCap(7, 3)


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        # two encoder layers, two decoder layers with cross-attention, each with an MLP of two
        (LoraConfig(), 2 * 6 + 2 * 10),
        (LoraConfig(lora_part="decoder"), 2 * 10),
        (LoraConfig(lora_part="encoder"), 2 * 6),
        (LoraConfig(lora_targets=("q_proj", "k_proj", "v_proj", "o_proj")), 2 * 4 + 2 * 8),
        (LoraConfig(lora_targets=("fc1",)), 4),
        (LoraConfig(lora_variant="rslora"), 2 * 6 + 2 * 10),
    ],
)
def test_adapter_sits_where_asked_and_changes_nothing_untrained(fresh_base, config, layers) -> None:
    samples, labels = noise(1, 1.0), [9, 8, EOS]
    with torch.no_grad():
        before = losses(fresh_base, samples, labels)
        model = attach_lora(fresh_base, config, 1)
        after = losses(fresh_base, samples, labels)
    assert torch.equal(before, after)
    state = adapter_state(model)
    assert len(state) == 2 * layers
    assert all("lora_" in name for name in state)
    assert trainable_parameters(model) == sum(t.numel() for t in state.values())


@pytest.mark.parametrize("variant", ["lora", "rslora"])
def test_saved_adapter_reloads_to_exactly_the_same_model(
    tmp_path, tiny_model, fresh_base, variant
) -> None:
    model = attach_lora(fresh_base, LoraConfig(lora_variant=variant), 1)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.05)
        samples, labels = noise(1, 1.0), [9, 8, EOS]
        model.eval()
        tuned = losses(fresh_base, samples, labels)
        with model.disable_adapter():
            off = losses(fresh_base, samples, labels)
        save_adapter(model, fresh_base, tmp_path / "a")
        again = load_base(str(tiny_model), None, "cpu")
        base_loss = losses(again, samples, labels)
        load_adapter(again, tmp_path / "a")
        reloaded = losses(again, samples, labels)
    assert torch.equal(reloaded, tuned)
    assert torch.equal(off, base_loss)
    assert not torch.equal(tuned, base_loss)
    assert trained_on(tmp_path / "a") == {
        "asked": str(tiny_model),
        "sha256": again.origin.sha256,
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]  # no half-written folder beside it


def test_adapter_names_the_base_by_hub_id(tmp_path: Path, bundled_base) -> None:
    import dataclasses

    from transformers import MoonshineForConditionalGeneration

    net = MoonshineForConditionalGeneration.from_pretrained(bundled_base.origin.path)
    model = attach_lora(dataclasses.replace(bundled_base, net=net), LoraConfig(), 1)
    assert trainable_parameters(model) == 2_654_208
    save_adapter(model, bundled_base, tmp_path / "a")
    config = json.loads((tmp_path / "a/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "UsefulSensors/moonshine-tiny"
    assert config["task_type"] is None
    assert "/" not in str(config["revision"])


@pytest.mark.parametrize("lacking", ["adapter_config.json", "adapter_model.safetensors"])
def test_incomplete_adapter_is_a_users_mistake(tmp_path, fresh_base, lacking) -> None:
    save_adapter(attach_lora(fresh_base, LoraConfig(), 1), fresh_base, tmp_path / "a")
    (tmp_path / "a" / lacking).unlink()
    with pytest.raises(UserError, match=lacking):
        load_adapter(fresh_base, tmp_path / "a")


def test_adapter_with_unknown_names_is_refused(tmp_path, tiny_model, fresh_base) -> None:
    from safetensors.torch import load_file, save_file

    save_adapter(attach_lora(fresh_base, LoraConfig(), 1), fresh_base, tmp_path / "a")
    weights = tmp_path / "a/adapter_model.safetensors"
    save_file({f"other.{k}": v for k, v in load_file(weights).items()}, weights, {"format": "pt"})
    with pytest.raises(UserError, match="missing or unknown"):
        load_adapter(load_base(str(tiny_model), None, "cpu"), tmp_path / "a")


def test_adapter_of_another_shape_is_refused(tmp_path, fresh_base, bundled_base) -> None:
    save_adapter(attach_lora(fresh_base, LoraConfig(), 1), fresh_base, tmp_path / "a")
    with pytest.raises(UserError, match="does not fit"):
        load_adapter(load_base("bundled", None, "cpu"), tmp_path / "a")


def test_model_folders_that_cannot_be_used(tmp_path: Path, tiny_model: Path) -> None:
    import shutil

    with pytest.raises(UserError, match=r"no such folder.*bundled"):
        load_base("./nowhere", None, "cpu")
    with pytest.raises(UserError, match=r"config\.json"):
        load_base(str(tmp_path), None, "cpu")
    shutil.copytree(tiny_model, tmp_path / "m")
    weights = (tmp_path / "m/model.safetensors").read_bytes()
    (tmp_path / "m/model.safetensors").write_bytes(weights[:2000])
    with pytest.raises(UserError, match="not a usable Moonshine"):
        load_base(str(tmp_path / "m"), None, "cpu")
    (tmp_path / "m/model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        load_base(str(tmp_path / "m"), None, "cpu")


def test_shortest_clip_gives_one_frame(tiny_base) -> None:
    from moontune.data.audio import SHORTEST_SAMPLES

    front = FrontEnd(tiny_base.net)
    assert len(front(np.zeros(SHORTEST_SAMPLES, "float32"))) == 1


def test_real_model_is_aligned_with_its_labels(bundled_base) -> None:
    """About 1-2 nats on matching text; 6-10 would mean shifted labels."""
    from moontune.data.audio import read_audio
    from moontune.data.sources.bundled_speech import bundled_recordings
    from moontune.models.transcriber import Transcriber

    path, text = next(r for r in bundled_recordings() if "beckett" in r[0].name)
    samples = read_audio(path)
    labels = target_ids(bundled_base.tokenizer, text, EOS)
    with torch.no_grad():
        assert float(losses(bundled_base, samples, labels).mean()) < 2.0
    [out] = Transcriber(bundled_base)([samples], EvalConfig().token_cap)
    assert not out.truncated
    assert out.text.startswith("Ever tried")


def test_a_cap_within_a_character_leaves_no_half_of_it(bundled_base) -> None:
    """One of several byte tokens; however it is decoded."""
    from moontune.models.standalone import text_of
    from moontune.models.transcriber import Transcriber

    words = bundled_base.tokenizer("the \U00013000", add_special_tokens=False).input_ids
    transcriber = Transcriber(bundled_base)
    assert transcriber._transcript(words).text == "the \U00013000"
    cut = transcriber._transcript(words[:-1])
    assert (cut.text, cut.tokens, cut.truncated) == ("the", words[:-1], True)
    assert text_of([0, 1, 2], [b"\xe2\x96\x81the", b"\xe2\x96\x81", b"\xf0"]) == "the"


def test_rslora_scales_by_the_root_of_the_rank(fresh_base) -> None:
    model = attach_lora(fresh_base, LoraConfig(lora_r=16, lora_alpha=16, lora_variant="rslora"), 1)
    scales = {m.scaling["default"] for m in model.modules() if hasattr(m, "lora_A")}  # type: ignore
    assert scales == {16 / 4}
