"""What broken models, adapters and processors are answered with: one line, by every door."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import noise
from safetensors.torch import load_file, save_file

from moontune.cli import run_stt
from moontune.cli.dispatch import main
from moontune.config.schema import LoraConfig
from moontune.data.audio import write_flac
from moontune.errors import UserError
from moontune.models.adapter import attach_lora, load_adapter, save_adapter
from moontune.models.base_model import load_base
from moontune.transcribe.recognizer import open_recognizer

Mend = Callable[[Path], object]


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    base = load_base(str(tiny_model), None, "cpu")
    folder = tmp_path_factory.mktemp("adapters") / "good"
    save_adapter(attach_lora(base, LoraConfig(), 1), base, folder)
    return folder


def edit(name: str, **changes: Any) -> Mend:
    """Change keys of a JSON file."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))

    return spoil


def cut(name: str) -> Mend:
    return lambda d: (d / name).write_bytes((d / name).read_bytes()[:-1000])


def put(name: str, content: bytes) -> Mend:
    return lambda d: (d / name).write_bytes(content)


def with_weights(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Mend:
    def spoil(folder: Path) -> None:
        state = load_file(folder / name)
        change(state)
        save_file(state, folder / name, {"format": "pt"})

    return spoil


def as_pickle(safe: str, pickled: str) -> Mend:
    def spoil(folder: Path) -> None:
        state = load_file(folder / safe)
        if (tied := "model.decoder.embed_tokens.weight") in state:
            state["proj_out.weight"] = state[tied]
        torch.save(state, folder / pickled)
        (folder / safe).unlink()

    return spoil


def set_first(value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda state: state[min(state)].view(-1)[:1].fill_(value)


def small_vocabulary(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {t: i for t, i in vocabulary.items() if i < 100}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def large_vocabulary(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["more"] = len(vocabulary)
    (folder / "tokenizer.json").write_text(json.dumps(content))


def with_code(folder: Path) -> None:
    """Code of its own, which transformers would offer to run."""
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    for file in folder.glob("*_config.json"):
        content = json.loads(file.read_text())
        content = {k: v for k, v in content.items() if not k.endswith("_class")}
        of_its_own = {"AutoProcessor": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
        file.write_text(json.dumps(content | {"auto_map": of_its_own}))


def set_eight_bit(state: dict[str, torch.Tensor]) -> None:
    name = min(n for n in state if n.endswith("q_proj.weight"))
    state[name] = (100 * state[name]).to(torch.int8)


def in_shards(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    files = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(state)}
    for file in set(files.values()):
        save_file({n: t for n, t in state.items() if files[n] == file}, folder / file)
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": files}))
    (folder / WEIGHTS).unlink()


def lose_a_shard(folder: Path) -> None:
    in_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def pickled_whisper(folder: Path) -> None:
    edit(CONFIG, model_type="whisper")(folder)
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def no_processor(folder: Path) -> None:
    for file in folder.glob("*processor_config.json"):
        file.unlink()


WEIGHTS, CONFIG = "model.safetensors", "config.json"
BASES: dict[str, tuple[Mend, str]] = {
    "no weights": (lambda d: (d / WEIGHTS).unlink(), r"no model\.safetensors; give a complete"),
    "pickled": (as_pickle(WEIGHTS, "pytorch_model.bin"), "a pickle, which can run code"),
    "truncated": (cut(WEIGHTS), "not a usable Moonshine model .*incomplete"),
    "empty weights": (put(WEIGHTS, b""), "not a usable Moonshine model"),
    "a tensor missing": (with_weights(WEIGHTS, lambda s: s.pop(max(s))), "lacks 1 tensors"),
    "NaN": (with_weights(WEIGHTS, set_first(float("nan"))), "NaN or infinite weights, first in"),
    "infinite": (with_weights(WEIGHTS, set_first(float("inf"))), "NaN or infinite weights"),
    "config no JSON": (put(CONFIG, b"{nope"), r"config\.json: is not JSON"),
    "config a list": (put(CONFIG, b"[]"), r"config\.json: is not JSON"),
    "config no text": (put(CONFIG, b"\xff\xfe\x00"), r"config\.json: is not JSON"),
    "other shape": (
        edit(CONFIG, hidden_size=64),
        r"not of the shapes .*\(259, 32\) for \(259, 64\)",
    ),
    "whisper": (
        edit(CONFIG, model_type="whisper"),
        "is a model of type whisper; moontune adapts types moonshine and moonshine_streaming$",
    ),
    "wav2vec": (
        edit(CONFIG, model_type="wav2vec2"),
        "is a model of type wav2vec2; moontune adapts types moonshine and moonshine_streaming$",
    ),
    "pickled whisper": (pickled_whisper, "is a model of type whisper"),
    "a shard missing": (lose_a_shard, r"holds no model\.safetensors; give a complete"),
    "8 bit": (
        with_weights(WEIGHTS, set_eight_bit),
        r"weights are quantised \(.*q_proj\.weight is I8\).*give the model in float32",
    ),
    "quantised by its config": (
        edit(CONFIG, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
        r"weights are quantised \(bitsandbytes\)",
    ),
    "layers more than told": (
        edit(CONFIG, decoder_num_hidden_layers=1),
        "15 tensors that config.json tells nothing of, first model.decoder.layers.1",
    ),
    "no processor": (no_processor, r"holds no processor_config\.json.*copy the processor's"),
    "the other type": (edit(CONFIG, model_type="moonshine_streaming"), "not a usable Moonshine"),
    "several ends": (edit(CONFIG, eos_token_id=[2, 3]), "needs a single one"),
    "no tokenizer": (lambda d: (d / "tokenizer.json").unlink(), r"holds no tokenizer\.json.*copy"),
    "tokenizer cut": (cut("tokenizer.json"), "not a usable processor"),
    "few tokens": (small_vocabulary, "tokenizer has 100 tokens and its model 259"),
    "more tokens": (large_vocabulary, "tokenizer has 260 tokens and its model 259"),
    "code": (with_code, "not a usable processor"),
}
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTERS: dict[str, tuple[Mend, str]] = {
    "no weights": (lambda d: (d / ADAPTER).unlink(), "the adapter is incomplete"),
    "pickled": (as_pickle(ADAPTER, "adapter_model.bin"), "a pickle, which can run code"),
    "truncated": (cut(ADAPTER), "is damaged .*; copy or train it again"),
    "NaN": (with_weights(ADAPTER, set_first(float("nan"))), "NaN or infinite weights"),
    "config no JSON": (put(ADAPTER_CONFIG, b"{nope"), r"adapter_config\.json: is not JSON"),
    "config a list": (put(ADAPTER_CONFIG, b"[]"), r"adapter_config\.json: is not JSON"),
    "config no text": (put(ADAPTER_CONFIG, b"\xff\xfe"), r"adapter_config\.json: is not JSON"),
    "alpha NaN": (edit(ADAPTER_CONFIG, lora_alpha=float("nan")), "NaN is no number"),
    "alpha a word": (edit(ADAPTER_CONFIG, lora_alpha="x"), "does not fit"),
    "other rank": (edit(ADAPTER_CONFIG, r=4), "does not fit .*size mismatch"),
    "unknown kind": (edit(ADAPTER_CONFIG, peft_type="WHAT"), "does not fit"),
}


def spoilt(good: Path, folder: Path, spoil: Mend) -> Path:
    shutil.copytree(good, folder)
    spoil(folder)
    return folder


@pytest.fixture
def door(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`run_stt.py` with these flags, and the line it says."""
    write_flac(tmp_path / "clip.flac", noise(1, 1.0))
    (tmp_path / "list.txt").write_text("clip.flac\n")

    def ask(*words: str) -> tuple[int, str]:
        given = ["--audio-list", f"{tmp_path}/list.txt", "--output", f"{tmp_path}/o.json"]
        base = [] if "--model-id" in words else ["--model-id", str(tiny_model)]
        code = run_stt.main([*given, "--device", "cpu", *base, *words])
        return code, capsys.readouterr().err.strip()

    return ask


@pytest.mark.parametrize("fault", BASES)
def test_a_base_that_cannot_be_used_is_one_line(fault, tmp_path, tiny_model, door, caplog) -> None:
    spoil, message = BASES[fault]
    folder = spoilt(tiny_model, tmp_path / "m", spoil)
    for ask in (
        lambda: load_base(str(folder), None, "cpu"),  # --model-id
        lambda: open_recognizer(str(folder), "cpu"),  # transcribe --model
    ):
        with pytest.raises(UserError, match=message) as found:
            ask()
        assert "\n" not in str(found.value)
    code, line = door("--model-id", str(folder))
    assert code == 2
    assert re.search(message, line)
    assert "\n" not in line
    assert not (folder / "ran").exists()
    assert not caplog.records  # transformers has tables of its own


@pytest.mark.parametrize("fault", ADAPTERS)
def test_an_adapter_that_cannot_be_used_is_one_line(
    fault, tmp_path, tiny_model, adapter, door
) -> None:
    spoil, message = ADAPTERS[fault]
    folder = spoilt(adapter, tmp_path / "a", spoil)
    with pytest.raises(UserError, match=message) as found:
        open_recognizer(str(folder), "cpu", model_id=str(tiny_model))
    assert "\n" not in str(found.value)
    code, line = door("--adapter-dir", str(folder))
    assert code == 2
    assert re.search(message, line)
    assert "\n" not in line


def test_a_line_that_converts_a_pickle_is_given_and_works(
    tmp_path, monkeypatch, tiny_model, adapter
) -> None:
    model = spoilt(tiny_model, tmp_path / "m", as_pickle(WEIGHTS, "pytorch_model.bin"))
    tuned = spoilt(adapter, tmp_path / "a", as_pickle(ADAPTER, "adapter_model.bin"))
    for folder, use in (
        (model, lambda: load_base(str(model), None, "cpu")),
        (tuned, lambda: load_adapter(load_base(str(tiny_model), None, "cpu"), tuned)),
    ):
        with pytest.raises(UserError) as refused:
            use()
        [line] = re.findall(r'python -c "(.*)"', str(refused.value))
        monkeypatch.chdir(folder)
        exec(line, {})
        use()


@pytest.mark.parametrize("spoil", [small_vocabulary, large_vocabulary])
def test_a_processor_of_another_model_is_refused(tmp_path, tiny_model, door, spoil) -> None:
    folder = spoilt(tiny_model, tmp_path / "p", spoil)
    code, line = door("--processor-dir", str(folder))
    assert code == 2
    assert re.search(r"is the processor of another model.*give the one saved", line)


def test_a_few_embeddings_more_than_tokens_are_padding(tmp_path, tiny_model) -> None:
    def pad(state: dict[str, torch.Tensor]) -> None:
        for name in [n for n in state if n.endswith(("embed_tokens.weight", "proj_out.weight"))]:
            state[name] = torch.cat([state[name], torch.zeros(5, 32)])

    folder = spoilt(tiny_model, tmp_path / "m", with_weights(WEIGHTS, pad))
    edit(CONFIG, vocab_size=264)(folder)
    assert load_base(str(folder), None, "cpu").net.config.vocab_size == 264


def test_evaluate_refuses_a_spoilt_adapter_of_its_run(
    tmp_path, monkeypatch, capsys, finished_run
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    folder = Path("outputs/r/lora_adapter")
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    for fault in ("truncated", "NaN", "pickled", "config no JSON", "other rank"):
        spoil, message = ADAPTERS[fault]
        spoil(folder)
        capsys.readouterr()
        assert main(["evaluate", "outputs/r", "--overwrite"]) == 2
        line = capsys.readouterr().err.strip()
        assert re.search(message, line), fault
        assert "\n" not in line
        for name, content in kept.items():
            (folder / name).write_bytes(content)
