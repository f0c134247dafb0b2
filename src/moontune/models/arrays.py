"""A base's weights as arrays, an adapter merged in: what listening needs, read without PyTorch.

Importing PyTorch and transformers takes most of the time that transcribing a sentence does. So
what is plain is read here: float32 safetensors of the very names and shapes that config.json tells
of, and plain LoRA on linear layers. Of anything else, broken or only unusual, `Unplain` is raised;
the way through PyTorch then loads it, or says what is wrong with it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moontune.models.graph.moonshine import Shape

_MOST_SPARE = 128  # embeddings beyond the tokenizer's tokens
# What MoonshineConfig takes where config.json is silent, as far as it matters here.
_DEFAULTS: dict[str, Any] = {
    "model_type": None,
    "vocab_size": 32768,
    "hidden_size": 288,
    "intermediate_size": 1152,
    "encoder_num_hidden_layers": 6,
    "decoder_num_hidden_layers": 6,
    "encoder_num_attention_heads": 8,
    "decoder_num_attention_heads": 8,
    "encoder_num_key_value_heads": None,
    "decoder_num_key_value_heads": None,
    "encoder_hidden_act": "gelu",
    "decoder_hidden_act": "silu",
    "decoder_start_token_id": 1,
    "eos_token_id": 2,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "head_dim": None,
    "quantization_config": None,
}
# Of an adapter_config.json: what plain LoRA may say. Any other key must be empty.
_PLAIN_KEYS = {
    *("peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision"),
    *("inference_mode", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora"),
    *("target_modules", "init_lora_weights", "bias", "ensure_weight_tying"),
    *("megatron_core", "qalora_group_size"),  # of megatron_config and use_qalora
}
_LORA = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


class Unplain(Exception):
    """Not surely read here as PyTorch would read it; the text says why, for whoever debugs."""


@dataclass(frozen=True)
class Arrays:
    """A model, ready to be written as graphs."""

    weights: dict[str, np.ndarray]  # float32, by their names in PyTorch
    shape: Shape
    start: int
    end: int
    tokenizer: Path

    @property
    def notes(self) -> dict[str, str]:
        """The metadata of its graphs."""
        ids = {"decoder_start_token_id": self.start, "eos_token_id": self.end}
        return {"moontune": json.dumps(ids)}


def read_arrays(base: Path, adapter: Path | None = None, processor: Path | None = None) -> Arrays:
    """A base's folder, with an adapter's merged in. The tokenizer is `processor`'s, if given.

    Raises Unplain.
    """
    config = _config(base)
    weights = _tensors(base / "model.safetensors")
    wanted = _shapes(config)
    if {name: value.shape for name, value in weights.items()} != wanted:
        raise Unplain("tensors other than config.json tells of")
    if adapter is not None:
        _merge(weights, adapter)
    tokenizer = _tokenizer(base, config["vocab_size"])
    if processor is not None:
        own = _tokenizer(processor, config["vocab_size"])
        if own.read_bytes() != tokenizer.read_bytes() and _vocabulary(own) != _vocabulary(
            tokenizer
        ):
            raise Unplain("a processor with other tokens")
        tokenizer = own
    start, end = config["decoder_start_token_id"], config["eos_token_id"]
    return Arrays(weights, _shape(config), start, end, tokenizer)


def _object(file: Path) -> dict[str, Any]:
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unplain(f"{file} cannot be read ({error})") from None
    if not isinstance(row, dict):
        raise Unplain(f"{file} is no object")
    return row


def _config(base: Path) -> dict[str, Any]:
    given = _object(base / "config.json")
    config = {name: given.get(name, value) for name, value in _DEFAULTS.items()}
    heads = config["decoder_num_attention_heads"]
    plain = {
        "model_type": "moonshine",
        "encoder_hidden_act": "gelu",
        "decoder_hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": True,
        "head_dim": None,
        "quantization_config": None,
        "encoder_num_attention_heads": heads,  # so that one rotation is both halves'
    }
    for half in ("encoder", "decoder"):
        plain[f"{half}_num_key_value_heads"] = heads
        if config[f"{half}_num_key_value_heads"] is None:
            config[f"{half}_num_key_value_heads"] = config[f"{half}_num_attention_heads"]
    odd = [name for name, value in plain.items() if config[name] != value]
    counts = ("vocab_size", "hidden_size", "intermediate_size", "decoder_start_token_id")
    odd += [name for name in (*counts, "eos_token_id") if type(config[name]) is not int]
    rope = given.get("rope_parameters") or given.get("rope_scaling") or {}
    config["theta"] = rope.get("rope_theta", given.get("rope_theta", 10_000.0))
    factor = given.get("partial_rotary_factor", 0.9)
    config["rotary_share"] = rope.get("partial_rotary_factor", factor)
    if odd or rope.get("rope_type", "default") != "default":
        raise Unplain(f"a config with another {', '.join(odd) or 'rope_type'}")
    return config


def _shape(config: dict[str, Any]) -> Shape:
    heads = config["decoder_num_attention_heads"]
    turning = int(config["hidden_size"] // heads * config["rotary_share"])
    places = np.arange(0, turning, 2, dtype=np.float32) / np.float32(turning)
    frequencies = np.float32(1) / np.power(np.float32(config["theta"]), places)
    # The epsilons are those of transformers' modules, which no config changes.
    return Shape(heads, heads, 1e-5, 1e-5, frequencies.astype(np.float32), 1.0)


def _tensors(file: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy") as opened:
            found = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: bfloat16
        raise Unplain(f"{file} cannot be read ({error})") from None
    for name, value in found.items():
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise Unplain(f"{name} is not finite float32")
    return found


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The names and shapes that a model of this config has."""
    w, inner = config["hidden_size"], config["intermediate_size"]
    encoder, decoder = "model.encoder", "model.decoder"
    shapes: dict[str, tuple[int, ...]] = {
        f"{encoder}.conv1.weight": (w, 1, 127),
        f"{encoder}.conv2.weight": (2 * w, w, 7),
        f"{encoder}.conv2.bias": (2 * w,),
        f"{encoder}.conv3.weight": (w, 2 * w, 3),
        f"{encoder}.conv3.bias": (w,),
        f"{encoder}.groupnorm.weight": (w,),
        f"{encoder}.groupnorm.bias": (w,),
        f"{encoder}.layer_norm.weight": (w,),
        f"{decoder}.norm.weight": (w,),
        f"{decoder}.embed_tokens.weight": (config["vocab_size"], w),
    }
    halves = (
        (encoder, ("self_attn",), ("input", "post_attention"), inner),
        (decoder, ("self_attn", "encoder_attn"), ("input", "post_attention", "final"), 2 * inner),
    )
    for half, attentions, norms, up in halves:
        for i in range(config[f"{half.removeprefix('model.')}_num_hidden_layers"]):
            at = f"{half}.layers.{i}"
            for attention in attentions:
                shapes |= {f"{at}.{attention}.{part}_proj.weight": (w, w) for part in "qkvo"}
            shapes |= {f"{at}.{norm}_layernorm.weight": (w,) for norm in norms}
            shapes |= {f"{at}.mlp.fc1.weight": (up, w), f"{at}.mlp.fc1.bias": (up,)}
            shapes |= {f"{at}.mlp.fc2.weight": (w, inner), f"{at}.mlp.fc2.bias": (w,)}
    return shapes


def _merge(weights: dict[str, np.ndarray], adapter: Path) -> None:
    """Add a plain LoRA into the weights, as `models/packed` does: w + scale * (b @ a)."""
    config = _object(adapter / "adapter_config.json")
    odd = [name for name, value in config.items() if name not in _PLAIN_KEYS and value]
    plain = config.get("peft_type") == "LORA" and config.get("bias", "none") == "none"
    plain &= config.get("init_lora_weights", True) in (True, False)  # some change the base
    rank, alpha = config.get("r", 0), config.get("lora_alpha", 0)
    if odd or not plain or type(rank) is not int or type(alpha) not in (int, float) or rank < 1:
        raise Unplain(f"an adapter with {', '.join(odd) or 'another kind, rank or alpha'}")
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    if not math.isfinite(scale):
        raise Unplain("an adapter with an alpha that is no number")
    loras: dict[str, dict[str, np.ndarray]] = {}
    for name, value in _tensors(adapter / "adapter_model.safetensors").items():
        if (part := _LORA.fullmatch(name)) is None:
            raise Unplain(f"an adapter with {name}")
        loras.setdefault(part[1], {})[part[2]] = value
    if loras.keys() != _targets(weights, config.get("target_modules")):
        raise Unplain("an adapter on other layers than it says")
    for name, lora in loras.items():
        weight = weights[f"{name}.weight"]
        a, b = lora.get("A"), lora.get("B")
        if a is None or b is None:
            raise Unplain(f"an adapter with half of {name}")
        if a.shape != (rank, weight.shape[1]) or b.shape != (len(weight), rank):
            raise Unplain(f"an adapter whose {name} does not fit")
        weights[f"{name}.weight"] = weight + np.float32(scale) * (b @ a)


def _targets(weights: Mapping[str, np.ndarray], wanted: Any) -> set[str]:
    """The linear layers that peft puts such an adapter on; empty where that is not plain."""
    layers = {
        name.removesuffix(".weight")
        for name, value in weights.items()
        if value.ndim == 2 and ".layers." in name
    }
    try:
        if isinstance(wanted, str):
            return {name for name in layers if re.fullmatch(wanted, name)}
        return {name for name in layers if any(f".{name}".endswith(f".{end}") for end in wanted)}
    except (re.error, TypeError):
        return set()


def _tokenizer(folder: Path, vocab_size: int) -> Path:
    """Its tokenizer.json, if transformers would decode with that and nothing beside it."""
    says = _object(folder / "tokenizer_config.json")
    others = [_object(file) for file in folder.glob("*processor_config.json")]
    if not others or any("auto_map" in row for row in (says, *others)):
        raise Unplain(f"{folder} has a processor of its own")
    if says.get("clean_up_tokenization_spaces"):
        raise Unplain("a tokenizer that tidies up")
    file = folder / "tokenizer.json"
    tokens, special = _vocabulary(file)
    named = [says.get(f"{name}_token") for name in ("bos", "eos", "unk", "pad")]
    contents = [t.get("content") if isinstance(t, dict) else t for t in named if t is not None]
    if not {*contents} <= special or not 0 <= vocab_size - len(tokens) < _MOST_SPARE:
        raise Unplain(f"{file} is not all of the tokenizer, or another model's")
    return file


def _vocabulary(file: Path) -> tuple[dict[str, int], set[str]]:
    """All its tokens and their ids, and which are special."""
    made = _object(file)
    try:
        added = made["added_tokens"]
        tokens = {**made["model"]["vocab"], **{row["content"]: row["id"] for row in added}}
        return tokens, {row["content"] for row in added if row["special"]}
    except (KeyError, TypeError) as error:
        raise Unplain(f"{file} is no tokenizer ({error})") from None
