"""Models and adapters that others made: what is loaded is computed as its own library does."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from builders import SENTENCES, noise
from hub_stand_in import COMMIT, Asker, Hub

from moontune.cli.dispatch import main
from moontune.data.audio import write_flac
from moontune.errors import UserError
from moontune.models.architectures.registry import ARCHITECTURES
from moontune.models.base_model import load_base, target_ids
from moontune.models.locate import MODEL_TYPES
from moontune.models.tiny_random import tiny_net, tiny_streaming_net
from moontune.transcribe.recognizer import open_recognizer

CLIP, TEXT = noise(1, 1.0), SENTENCES[0]


@pytest.fixture(params=["moonshine", "moonshine_streaming"])
def model(request, tiny_model: Path, tiny_streaming_model: Path) -> tuple[Path, Callable[[], Any]]:
    """A folder of each type, and what makes its net."""
    if request.param == "moonshine":
        return tiny_model, tiny_net
    return tiny_streaming_model, tiny_streaming_net


def save_others_adapter(
    folder: Path, base: Path, net: Any, config: Any, dtype: torch.dtype = torch.float32
) -> Path:
    """Write an adapter as peft alone does, its weights not those of an untrained one."""
    adapted = peft.get_peft_model(net, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for p in adapted.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn(p.shape))
                p.data = p.data.to(dtype)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    note(folder, base_model_name_or_path=str(base))
    return folder


def note(folder: Path, **facts: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def own_losses(net: Any, base: Any) -> np.ndarray:
    """Nats of each token of the sentence by transformers' forward, (tokens,), without the end."""
    ids = target_ids(base.tokenizer, TEXT, 2)
    told = torch.tensor([[1, *ids[:-1]]])
    with torch.no_grad():
        heard = base.architecture.own_inputs(CLIP)
        logits = net(**heard, decoder_input_ids=told).logits[0].float().log_softmax(-1)
    return -logits[torch.arange(len(ids) - 1), ids[:-1]].numpy()


def heard_losses(what: Path) -> np.ndarray:
    recognizer = open_recognizer(str(what), "cpu", word_times=True)
    assert recognizer.losses is not None
    [[found]] = recognizer.losses([CLIP], [(0, [TEXT])])
    return found


QV = ["q_proj", "v_proj"]
LORAS: dict[str, Any] = {
    "other layers": {"target_modules": ["q_proj", "fc1"]},
    "layers by a pattern": {"target_modules": r".*decoder.*\.(q_proj|fc2)"},
    "ranks by a pattern": {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 3}},
    "some layers": {"layers_to_transform": [0]},
    "DoRA": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "PiSSA": {"init_lora_weights": "pissa"},
    "biases": {"bias": "all"},
    "a bias of its own": {"lora_bias": True},
    "the head whole": {"modules_to_save": ["proj_out"]},
    "the embedding whole": {"modules_to_save": ["embed_tokens"]},
    "norms whole": {"modules_to_save": ["final_layernorm"]},
    "a task": {"task_type": "SEQ_2_SEQ_LM"},
}


@pytest.mark.parametrize("kind", LORAS)
def test_an_adapter_of_plain_peft_is_heard_as_peft_computes_it(tmp_path, model, kind) -> None:
    folder, make = model
    config = peft.LoraConfig(**({"r": 4, "target_modules": QV} | LORAS[kind]))
    save_others_adapter(tmp_path / "a", folder, make(), config)
    base = load_base(str(folder), None, "cpu")
    before = own_losses(base.net, base)
    theirs = peft.PeftModel.from_pretrained(base.net, str(tmp_path / "a")).eval()
    wanted = own_losses(theirs.get_base_model(), base)
    assert np.abs(wanted - before).max() > 1e-3
    assert heard_losses(tmp_path / "a") == pytest.approx(wanted, abs=2e-4)


OTHER_TUNERS: dict[str, Any] = {
    "IA3": peft.IA3Config(target_modules=QV, feedforward_modules=[]),
    "LoHa": peft.LoHaConfig(target_modules=QV, r=4),
}


@pytest.mark.parametrize("kind", OTHER_TUNERS)
def test_another_tuner_of_peft_is_heard_too(tmp_path, model, kind) -> None:
    folder, make = model
    save_others_adapter(tmp_path / "a", folder, make(), OTHER_TUNERS[kind])
    base = load_base(str(folder), None, "cpu")
    theirs = peft.PeftModel.from_pretrained(base.net, str(tmp_path / "a")).eval()
    wanted = own_losses(theirs.get_base_model(), base)
    assert heard_losses(tmp_path / "a") == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_adapter_of_half_precision_is_heard_in_float32(tmp_path, tiny_model, dtype) -> None:
    config = peft.LoraConfig(r=4, target_modules=QV)
    save_others_adapter(tmp_path / "a", tiny_model, tiny_net(), config, dtype)
    base = load_base(str(tiny_model), None, "cpu")
    theirs = peft.PeftModel.from_pretrained(base.net, str(tmp_path / "a")).eval().float()
    wanted = own_losses(theirs.get_base_model(), base)
    assert heard_losses(tmp_path / "a") == pytest.approx(wanted, abs=2e-4)


ELSEWHERE: dict[str, Any] = {
    "embed_tokens": {"target_modules": ["embed_tokens"]},
    "proj_out": {"target_modules": ["proj_out"]},
    "conv1": {"target_modules": ["conv1"]},
}


@pytest.mark.parametrize("layer", ELSEWHERE)
def test_an_adapter_on_other_layers_is_refused_by_name(tmp_path, tiny_model, layer) -> None:
    config = peft.LoraConfig(r=4, **ELSEWHERE[layer])
    save_others_adapter(tmp_path / "a", tiny_model, tiny_net(), config)
    with pytest.raises(UserError, match=rf"/a: the adapter changes {layer}; moontune takes") as no:
        open_recognizer(str(tmp_path / "a"), "cpu")
    assert "\n" not in str(no.value)


def test_the_base_that_an_adapter_names(tmp_path, tiny_model) -> None:
    config = peft.LoraConfig(r=4, target_modules=QV)
    folder = save_others_adapter(tmp_path / "a", tiny_model, tiny_net(), config)
    note(folder, revision="main")  # says nothing of a folder
    assert open_recognizer(str(folder), "cpu")([CLIP])
    for base, message in (
        (None, r"/a: does not say which base it is for; add --model-id BASE$"),
        ("", r"/a: does not say which base it is for; add --model-id BASE$"),
        ("/home/ann/tiny", r"^the base of .*/a: /home/ann/tiny: no such folder; give --model-id"),
    ):
        note(folder, base_model_name_or_path=base, revision=None)
        with pytest.raises(UserError, match=message):
            open_recognizer(str(folder), "cpu")
        assert open_recognizer(str(folder), "cpu", model_id=str(tiny_model))([CLIP])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_base_of_half_precision_is_taken_in_float32(tmp_path, model, dtype) -> None:
    folder, make = model
    shutil.copytree(folder, tmp_path / "m")
    make().to(dtype).save_pretrained(tmp_path / "m")
    base = load_base(str(tmp_path / "m"), None, "cpu")
    assert base.net.dtype == torch.float32
    wanted = own_losses(make().to(dtype).float(), base)
    assert heard_losses(tmp_path / "m") == pytest.approx(wanted, abs=2e-4)


def test_shards_are_one_model(tmp_path, model) -> None:
    folder, make = model
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m/model.safetensors").unlink()
    make().save_pretrained(tmp_path / "m", max_shard_size="50KB")
    shards = sorted((tmp_path / "m").glob("model-*.safetensors"))
    assert len(shards) > 1
    whole, base = (load_base(str(f), None, "cpu") for f in (folder, tmp_path / "m"))
    same = zip(whole.net.parameters(), base.net.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    assert heard_losses(tmp_path / "m") == pytest.approx(own_losses(make(), base), abs=2e-4)
    changed = shards[-1].read_bytes()
    shards[-1].write_bytes(changed[:-1] + bytes([changed[-1] ^ 1]))
    assert load_base(str(tmp_path / "m"), None, "cpu").origin.sha256 != base.origin.sha256


def test_a_model_without_a_generation_config_is_heard(tmp_path, model) -> None:
    folder, _ = model
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m/generation_config.json").unlink()
    (tmp_path / "m/unknown_head.txt").touch()
    assert heard_losses(tmp_path / "m") == pytest.approx(heard_losses(folder))


def test_the_types_that_are_named_are_those_there_are() -> None:
    assert set(MODEL_TYPES) == set(ARCHITECTURES)


def test_an_adapter_is_no_base_and_the_line_makes_one_of_it(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    config = peft.LoraConfig(r=4, target_modules=QV)
    save_others_adapter(tmp_path / "a", tiny_model, tiny_net(), config)
    monkeypatch.chdir(tmp_path)
    argv = ["run", "--manifest", str(noise_manifest), "--model-id", "a", "--run-name", "r"]
    assert main(argv) == 2
    [line] = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "a: is a peft adapter, not a whole model" in line
    assert not (tmp_path / "outputs").exists()
    *_, code = shlex.split(line[line.index("python -c") :])
    exec(code, {})
    assert heard_losses(tmp_path / "merged-model") == pytest.approx(heard_losses(tmp_path / "a"))


def test_what_the_hub_has(tmp_path, tiny_model) -> None:
    """A commit that is pinned by a branch, shards, another type, an adapter."""
    hub = Hub()
    files = {file.name: file.read_bytes() for file in tiny_model.iterdir()}
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m/model.safetensors").unlink()
    tiny_net().save_pretrained(tmp_path / "m", max_shard_size="50KB")
    config = peft.LoraConfig(r=4, target_modules=QV)
    adapter = save_others_adapter(tmp_path / "a", tiny_model, tiny_net(), config)
    hub.repos = {
        "ann/tiny": files,
        "ann/shards": {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()},
        "ann/whisper": files | {"config.json": b'{"model_type": "whisper"}'},
        "ann/adapter": {file.name: file.read_bytes() for file in adapter.iterdir()},
    }
    with hub.up():
        ask = Asker(hub, tmp_path)
        try:
            found = ask(model="ann/tiny", revision="main")
            assert found["revision"] == COMMIT
            assert load_base(found["path"], None, "cpu").net is not None
            shards = Path(ask(model="ann/shards")["path"])
            assert len(list(shards.glob("model-*.safetensors"))) > 1
            for name, refused in (
                ("ann/whisper", "ann/whisper: is a model of type whisper; moontune adapts types"),
                ("ann/adapter", "ann/adapter: is a peft adapter, not a whole model"),
            ):
                assert ask(model=name)["error"].startswith(refused)
            assert not [r for r in hub.asked if "whisper" in r and "safetensors" in r]
            note(adapter, base_model_name_or_path="ann/gone")
            write_flac(tmp_path / "clip.flac", CLIP)
            answer = ask(argv=["transcribe", "clip.flac", "--model", "a", "--device", "cpu"])
            assert answer["code"] == 2
            assert "the base of a: the hub has no model ann/gone" in answer["said"]
            hub.repos.clear()  # and from now on without the hub
            assert ask(model="ann/tiny", revision=COMMIT)["path"] == found["path"]
            assert ask(model="ann/shards", revision=COMMIT)["path"] == str(shards)
        finally:
            ask.close()
