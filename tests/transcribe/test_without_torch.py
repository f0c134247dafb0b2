"""Listening loads no training stack, and writes what PyTorch writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import noise
from choices import assert_decided
from safetensors.torch import load_file, save_file

from moontune.cli.dispatch import main
from moontune.config.schema import LoraConfig, TokenCap
from moontune.data.audio import read_audio, write_flac
from moontune.models import arrays
from moontune.models import transcriber as transcribing
from moontune.models.adapter import attach_lora, load_adapter, save_adapter, save_processor
from moontune.models.arrays import Unplain, read_arrays
from moontune.models.base_model import load_base
from moontune.models.onnx import OnnxTranscriber
from moontune.models.packed.beams import Beam
from moontune.models.transcriber import Transcriber
from moontune.transcribe.mending import MendedGreedy
from moontune.transcribe.recognizer import open_recognizer

CAP = TokenCap(6.5, 8)
CLIPS = [noise(1, 1.0), noise(2, 1.7), noise(3, 0.4)]
HEAVY = {"torch", "transformers", "peft", "datasets", "scipy", "onnx", "optuna"}


def made_adapter(tiny_model: Path, folder: Path, config: LoraConfig | None = None) -> Path:
    """An adapter of the tiny model that changes what is written, and a processor beside it."""
    base = load_base(str(tiny_model), None, "cpu")
    model = attach_lora(base, config or LoraConfig(), 1)
    torch.manual_seed(1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.add_(0.3 * torch.randn_like(p))
    save_adapter(model, base, folder / "adapter")
    save_processor(base, folder / "processor")
    return folder / "adapter"


@pytest.fixture
def adapter(tmp_path: Path, tiny_model: Path) -> Path:
    return made_adapter(tiny_model, tmp_path)


def run_without(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A program in which importing any of HEAVY fails."""
    missing = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {sorted(HEAVY)}:\n"
        "            raise ImportError(f'{name} is not here')\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    given = [sys.executable, "-c", missing + code, *map(str, words)]
    return subprocess.run(given, capture_output=True, text=True)


def ending(tiny_model: Path, adapter: Path, clip: np.ndarray, to: Path) -> Path:
    """The tiny model with the end where the adapter writes its fifth token of the clip: by itself
    it writes until the cap, which is mended with PyTorch."""
    base = load_base(str(tiny_model), None, "cpu")
    load_adapter(base, adapter)
    [written] = Transcriber(base, mends_loops=False)([clip], CAP)
    folder = shutil.copytree(tiny_model, to)
    edit("config.json", eos_token_id=written.tokens[4])(folder)
    return folder


def test_transcribe_works_where_the_training_stack_cannot_be_imported(
    tmp_path, tiny_model, adapter
) -> None:
    write_flac(tmp_path / "clip.flac", noise(0, 1.0))
    clip = read_audio(tmp_path / "clip.flac")
    model = ending(tiny_model, adapter, clip, tmp_path / "ending")
    code = "from moontune.cli.dispatch import main\nsys.exit(main(sys.argv[1:]))\n"
    words = ["transcribe", tmp_path / "clip.flac", "--device", "cpu"]
    words += ["--model", adapter, "--model-id", model]
    done = run_without(code, *words, "--speech-threshold", "1e-6")
    assert done.returncode == 0, done.stderr
    assert "loading" not in done.stdout + done.stderr  # for terminals alone
    [wanted] = open_recognizer(str(adapter), "cpu", model_id=str(model))([clip], CAP)
    assert not wanted.truncated
    assert done.stdout.split() == wanted.text.split() != []


def with_consensus(monkeypatch: pytest.MonkeyPatch, tiny_model: Path, text: str) -> None:
    """Whatever beams are searched, they say so."""
    base = load_base(str(tiny_model), None, "cpu")
    ids: Any = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    beam = Beam([*ids, base.net.config.eos_token_id], -1.0)
    monkeypatch.setattr(transcribing, "beams", lambda _, keys, caps, width: [[beam]] * len(caps))


def test_a_transcript_without_an_end_is_mended_as_with_pytorch(
    monkeypatch, tiny_model, adapter
) -> None:
    """The tiny model writes until the cap. It is loaded once for all that are to be mended."""
    with_consensus(monkeypatch, tiny_model, "Hard to starboard.")
    for of in (tiny_model, adapter):
        plain, timed = (
            open_recognizer(str(of), "cpu", word_times=asked) for asked in (False, True)
        )
        assert isinstance(plain.transcribe, MendedGreedy)
        loaded = counted_calls(monkeypatch, "moontune.models.base_model.load_base")
        found = plain(CLIPS, CAP), plain(CLIPS[:1], CAP)
        assert len(loaded) == 1
        assert [t.text for t in found[0]] == ["Hard to starboard."] * 3
        assert found[1] == found[0][:1]
        assert [replace(t, words=None) for t in timed(CLIPS, CAP)] == found[0]


def counted_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """The arguments of every call from now on."""
    module, _, function = name.rpartition(".")
    real, calls = getattr(sys.modules[module], function), []
    monkeypatch.setattr(name, lambda *given: (calls.append(given), real(*given))[1])
    return calls


def test_the_words_are_the_same_in_every_format(monkeypatch, tmp_path, tiny_model, capsys) -> None:
    """Also of a recording that loops: it is not heard again in halves for one of them."""
    with_consensus(monkeypatch, tiny_model, "Hard to starboard.")
    write_flac(tmp_path / "loops.flac", noise(5, 3.0))
    words = ["transcribe", str(tmp_path / "loops.flac"), "--model", str(tiny_model)]
    words += ["--device", "cpu", "--speech-threshold", "1e-6", "--format"]
    for form in ("text", "jsonl", "srt", "vtt"):
        assert main([*words, form]) == 0
        said = capsys.readouterr().out
        assert said.count("Hard to starboard.") == 1, form


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(),
        LoraConfig(lora_r=4, lora_alpha=12.0, lora_variant="rslora"),
        LoraConfig(lora_part="decoder", lora_targets=("q_proj", "fc1", "fc2")),
    ],
)
def test_an_adapter_is_merged_as_peft_has_it(tmp_path, tiny_model, config) -> None:
    folder = made_adapter(tiny_model, tmp_path, config)
    found = read_arrays(tiny_model, folder, tmp_path / "processor")
    base = load_base(str(tiny_model), None, "cpu")
    merged: Any = load_adapter(base, folder)
    wanted = merged.merge_and_unload().state_dict()
    for name, value in found.weights.items():
        assert np.abs(value - wanted[name].numpy()).max() < 1e-6, name
    plain = load_file(tiny_model / "model.safetensors")
    assert any(np.abs(v - plain[n].numpy()).max() > 0.01 for n, v in found.weights.items())
    rotary = base.net.model.decoder.rotary_emb
    assert np.array_equal(found.shape.inv_freq, rotary.inv_freq.numpy())
    assert found.shape.norm_eps == base.net.model.encoder.groupnorm.eps
    assert found.shape.layer_norm_eps == base.net.model.encoder.layer_norm.eps


def test_the_tokens_are_pytorchs(tiny_model, adapter) -> None:
    for of in (None, adapter):
        base = load_base(str(tiny_model), None, "cpu")
        if of is not None:
            load_adapter(base, of)
        wanted = Transcriber(base, mends_loops=False)(CLIPS, CAP)
        assert_decided(base, CLIPS, wanted)
        assert OnnxTranscriber.of_arrays(read_arrays(tiny_model, of))(CLIPS, CAP) == wanted
        found = open_recognizer(str(of or tiny_model), "cpu")
        assert isinstance(found.transcribe, MendedGreedy)  # through arrays
        assert found(CLIPS, CAP) == Transcriber(base)(CLIPS, CAP)


def test_what_a_clip_is_written_as_does_not_depend_on_the_clips_beside_it(
    tiny_model, adapter
) -> None:
    """Of several written together one ends at once, one soon, and the others go on; a clip that
    ends alone stays for a while."""
    base = load_base(str(tiny_model), None, "cpu")
    load_adapter(base, adapter)
    found = OnnxTranscriber.of_arrays(read_arrays(tiny_model, adapter))
    clips = [noise(i, 0.4 + 0.1 * i) for i in (0, 1, 4, 7, 8, 9, 10, 11)]
    assert_decided(base, clips, Transcriber(base, mends_loops=False)(clips, CAP))
    pair: Any = found._pair
    alone = [pair.write([clip], [10])[0] for clip in clips]
    assert len(set(map(tuple, alone))) > 3, "all write the same"
    for most in (
        [0, *[10] * 7],
        [1, 3, *[10] * 6],
        [10] * 8,
        [2] * 8,
        [10, 3, 10, 10, 3, 10, 10, 3],
    ):
        together = pair.write(clips, most)
        assert together == [tokens[:n] for tokens, n in zip(alone, most, strict=True)]
    assert found([], CAP) == []


def test_the_real_models_tokens_are_pytorchs(bundled_base) -> None:
    from moontune.data.sources.bundled_speech import bundled_recordings

    speech = read_audio(bundled_recordings()[0][0])
    clips = [speech, speech[:40_000]]
    wanted = Transcriber(bundled_base, mends_loops=False)(clips, CAP)
    found = OnnxTranscriber.of_arrays(read_arrays(Path(bundled_base.origin.path)))
    assert found(clips, CAP) == wanted


def edit(name: str, **changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        row = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(row))

    return change


def with_weights(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        state = load_file(folder / name)
        change(state)
        save_file(state, folder / name, {"format": "pt"})

    return spoil


WEIGHTS, LORA = "model.safetensors", "adapter_model.safetensors"


def test_heads_that_pytorch_pads_are_plain(tmp_path, tiny_model) -> None:
    """As the vendor's base model has them: the padding is zeros, and changes nothing."""
    folder = tmp_path / "m"
    shutil.copytree(tiny_model, folder)
    edit("config.json", pad_head_dim_to_multiple_of=16)(folder)
    base = load_base(str(folder), None, "cpu")
    assert base.net.model.encoder.layers[0].self_attn.head_dim_padding > 0
    with torch.no_grad():
        theirs = base.net.model.encoder(torch.from_numpy(CLIPS[0])[None]).last_hidden_state
    session = OnnxTranscriber.of_arrays(read_arrays(folder))
    sound = {
        "input_values": CLIPS[0][None],
        "attention_mask": np.ones((1, len(CLIPS[0])), np.int64),
    }
    ours = session._pair._encoder.run(None, sound)[0]
    assert np.abs(ours - theirs.numpy()).max() < 1e-4
    wanted = Transcriber(base, mends_loops=False)(CLIPS, CAP)
    assert_decided(base, CLIPS, wanted)
    assert session(CLIPS, CAP) == wanted


@pytest.mark.parametrize(
    "change",
    [
        edit("config.json", encoder_hidden_act="relu"),
        edit("config.json", decoder_num_key_value_heads=2),
        edit("config.json", encoder_num_hidden_layers=1),
        edit("config.json", rope_parameters={"rope_type": "yarn", "rope_theta": 10_000.0}),
        edit("config.json", eos_token_id=[2, 3]),
        edit("tokenizer_config.json", clean_up_tokenization_spaces=True),
        edit("tokenizer_config.json", eos_token="<other>"),
        with_weights(WEIGHTS, lambda s: s.update({min(s): s[min(s)].to(torch.bfloat16)})),
        with_weights(WEIGHTS, lambda s: s[min(s)].view(-1)[:1].fill_(float("nan"))),
    ],
)
def test_an_unusual_base_is_left_to_pytorch(tmp_path, tiny_model, change) -> None:
    folder = tmp_path / "m"
    shutil.copytree(tiny_model, folder)
    read_arrays(folder)
    change(folder)
    with pytest.raises(Unplain):
        read_arrays(folder)


@pytest.mark.parametrize(
    "change",
    [
        edit("adapter_config.json", use_dora=True),
        edit("adapter_config.json", rank_pattern={"q_proj": 4}),
        edit("adapter_config.json", modules_to_save=["proj_out"]),
        edit("adapter_config.json", bias="all"),
        edit("adapter_config.json", init_lora_weights="pissa"),
        edit("adapter_config.json", lora_alpha="x"),
        edit("adapter_config.json", r=5),
        edit("adapter_config.json", something_new=True),
        edit("adapter_config.json", target_modules=["q_proj"]),
        with_weights(LORA, lambda s: s.pop(min(s))),
        with_weights(LORA, lambda s: [s.pop(n) for n in sorted(s)[:2]]),
    ],
)
def test_an_unusual_adapter_is_left_to_pytorch(tiny_model, adapter, change) -> None:
    read_arrays(tiny_model, adapter)
    change(adapter)
    with pytest.raises(Unplain):
        read_arrays(tiny_model, adapter)


def test_what_is_unplain_is_still_heard(tmp_path, tiny_model, monkeypatch) -> None:
    def refuse(*parts: object) -> None:
        raise Unplain("no")

    wanted = open_recognizer(str(tiny_model), "cpu")(CLIPS, CAP)
    monkeypatch.setattr("moontune.transcribe.recognizer.read_arrays", refuse)
    found = open_recognizer(str(tiny_model), "cpu")
    assert not isinstance(found.transcribe, MendedGreedy)
    assert [t.tokens for t in found(CLIPS, CAP)] == [t.tokens for t in wanted]


def test_every_key_that_peft_writes_is_known(adapter) -> None:
    """A new version's key with a value would send every adapter the slow way."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert not [k for k, v in config.items() if v and k not in arrays._PLAIN_KEYS]
