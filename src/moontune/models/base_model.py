"""The base: where it comes from, its processor, and the labels it is trained on."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from moontune.data.normalizer import visible_text
from moontune.errors import UserError
from moontune.models.architectures.interface import Architecture
from moontune.models.architectures.registry import ARCHITECTURES, architecture_of
from moontune.models.locate import locate
from moontune.models.provenance import WEIGHTS, weight_files, weights_sha256
from moontune.system.device import choose_device
from moontune.system.fast_imports import import_transformers
from moontune.system.memory import tune_memory

_PADDED_TOKENS = 128  # some models have a few more embeddings than tokens
_PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
_OF_THE_NET = re.compile(r"model\..*(?<!inv_freq)")
_FLOATS = {"F64", "F32", "F16", "BF16"}  # as safetensors names them


@dataclass(frozen=True)
class Origin:
    """Which base this is, so that an adapter can name it and refuse another."""

    asked: str  # what the user gave
    path: str  # the folder it was loaded from
    hub_id: str  # what peft's adapter_config.json names
    revision: str | None
    sha256: str  # of the weights
    from_hub: bool  # then the revision is a commit that can be asked for again
    model_type: str = "moonshine"  # of its config.json


@dataclass(frozen=True)
class Base:
    net: Any  # transformers' class of its architecture
    processor: Any
    origin: Origin
    device: str

    @property
    def architecture(self) -> Architecture:
        return architecture_of(self.net)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer


def load_processor(folder: Path) -> Any:
    """Feature extractor and tokenizer of a saved processor. Raises UserError."""
    import_transformers()
    from transformers import AutoProcessor

    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such processor folder; check the path")
    for names in (_PROCESSOR, _TOKENIZER):
        if not any((folder / name).is_file() for name in names):
            raise UserError(
                f"{folder}: is not a usable processor (holds no {' or '.join(names)}); copy the "
                "processor's and tokenizer's files there from the model that it was trained from"
            )
    try:
        # Code in a folder is never run, nor is it asked on the terminal whether to.
        processor = AutoProcessor.from_pretrained(str(folder), trust_remote_code=False)
        processor.tokenizer  # noqa: B018
    except Exception as error:  # transformers raises many kinds for a broken folder
        raise UserError(f"{folder}: is not a usable processor ({reason_of(error)})") from error
    return processor


def with_processor(base: Base, folder: Path) -> Base:
    """The base with a processor saved apart, such as a run's. Raises UserError."""
    processor = load_processor(folder)
    if processor.tokenizer.get_vocab() != base.tokenizer.get_vocab():
        raise UserError(
            f"{folder}: is the processor of another model: its tokenizer's tokens are not those of "
            f"{base.origin.asked}; give the one saved with the adapter"
        )
    return dataclasses.replace(base, processor=processor)


def reason_of(error: Exception) -> str:
    """The first line of what a library says, and the next where the first only announces it."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__


def pickle_hint(folder: Path, name: str) -> str:
    """Advice about weights that are there as a pickle only, which may run code when opened."""
    if not (folder / f"{name}.bin").is_file():
        return ""
    return (
        f", only {name}.bin, a pickle, which can run code and is not opened; if you trust it: "
        f'python -c "import torch, safetensors.torch as s; '
        f"s.save_file({{k: v.clone() for k, v in torch.load('{name}.bin').items()}}, "
        f"'{_SAFE[name]}', {{'format': 'pt'}})\""
    )


_SAFE = {
    "pytorch_model": WEIGHTS,
    "adapter_model": "adapter_model.safetensors",
}


def load_base(model_id: str, revision: str | None, device: str) -> Base:
    """Load net and processor in float32 on a device: auto, cuda, mps or cpu. Raises UserError."""
    device = choose_device(device).name
    import_transformers()
    import transformers
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # its table of what does not fit; we say it
    tune_memory()
    path, hub_id, resolved = locate(model_id, revision)
    architecture = ARCHITECTURES[_config_of(path).get("model_type", "moonshine")]
    weights = weight_files(path)
    if not weights:
        instead = pickle_hint(path, "pytorch_model") or "; give a complete model folder"
        raise UserError(f"{path}: holds no {WEIGHTS}{instead}")
    _refuse_quantised(path, weights)
    try:
        loaded: Any = getattr(transformers, architecture.net_class).from_pretrained(
            path,
            dtype=torch.float32,
            attn_implementation="sdpa",  # a config may name compiled code of the hub
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        net, info = loaded
    except Exception as error:  # transformers raises many kinds for a broken folder
        reason = reason_of(error)
        raise UserError(f"{path}: is not a usable Moonshine model ({reason})") from error
    _check_weights(net, info, weights[0] if len(weights) == 1 else path)
    processor = load_processor(path)
    spare = net.config.vocab_size - len(processor.tokenizer)
    if not 0 <= spare < _PADDED_TOKENS:
        raise UserError(
            f"{path}: its tokenizer has {len(processor.tokenizer)} tokens and its model "
            f"{net.config.vocab_size}; they are not of one model"
        )
    _complete_ids(net.config, path)
    from_hub = re.fullmatch("[0-9a-f]{40}", resolved or "") is not None
    digest, kind = weights_sha256(path), architecture.model_type
    origin = Origin(model_id, str(path), hub_id, resolved, digest, from_hub, kind)
    # Otherwise cuDNN's convolutions keep 10 bits of float32's mantissa.
    torch.backends.cudnn.allow_tf32 = False
    net.to(device).eval()
    return Base(net, processor, origin, device)


def _refuse_quantised(path: Path, weights: list[Path]) -> None:
    """Raises UserError for weights of integers or of 8-bit floats, which transformers would take
    as they are where it does not know of their scales. Broken files are left to it."""
    from safetensors import SafetensorError, safe_open

    how = _config_of(path).get("quantization_config")
    if isinstance(how, dict):
        how = how.get("quant_method") or how
    for file in [] if how else weights:
        try:
            with safe_open(file, "pt") as opened:
                types = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            continue
        odd = [name for name, kind in sorted(types.items()) if kind not in _FLOATS]
        how = f"{odd[0]} is {types[odd[0]]}" if odd else how
    if how:
        raise UserError(
            f"{path}: its weights are quantised ({how}), which cannot be adapted; give the model "
            "in float32, float16 or bfloat16 that it was made from"
        )


def _config_of(path: Path) -> dict[str, Any]:
    """A model's config.json; empty where it cannot be read: loading says what is wrong."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _complete_ids(config: Any, path: Path) -> None:
    """Fill in the token ids that a config built by hand may leave open, and the loss needs."""
    if not isinstance(config.eos_token_id, int):
        raise UserError(
            f"{path}: its config.json has the eos_token_id {config.eos_token_id}, where moontune "
            "needs a single one; give a model that ends its transcripts with one token"
        )
    if config.pad_token_id is None:
        config.pad_token_id = config.eos_token_id
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = config.bos_token_id


def _check_weights(net: Any, info: dict[str, Any], weights: Path) -> None:
    """Raises UserError where the file does not hold the net that its config.json tells of."""
    missing, other = sorted(info["missing_keys"]), sorted(info["mismatched_keys"])
    # What is not of the net itself, as another head, and tables that it makes itself, do no harm.
    unknown = sorted(n for n in info["unexpected_keys"] if _OF_THE_NET.fullmatch(n))
    if unknown and not missing:
        raise UserError(
            f"{weights}: holds {len(unknown)} tensors that config.json tells nothing of, first "
            f"{unknown[0]}; give a folder whose files belong together"
        )
    if missing:
        raise UserError(f"{weights}: lacks {len(missing)} tensors, first {missing[0]}")
    if other:
        name, found, wanted = other[0][0], tuple(other[0][1]), tuple(other[0][2])
        raise UserError(
            f"{weights}: {len(other)} tensors are not of the shapes that config.json tells, first "
            f"{name}, {found} for {wanted}; give a folder whose files belong together"
        )
    if name := not_finite(net.state_dict()):
        raise UserError(
            f"{weights}: holds NaN or infinite weights, first in {name}; bring a whole copy"
        )


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The first tensor that holds NaN or infinite values."""
    return next((name for name, t in tensors.items() if not bool(t.isfinite().all())), None)


def target_ids(tokenizer: Any, text: str, eos_token_id: int) -> list[int]:
    """Label ids of a text: its tokens without BOS, then EOS.

    The tokenizer's own template adds BOS and no EOS. A label with BOS makes the decoder start
    `1, 1`; one without EOS teaches the model never to stop. A `</s>` in the text is five
    characters, not the end.
    """
    ids = tokenizer(
        visible_text(text), add_special_tokens=False, split_special_tokens=True
    ).input_ids
    return [*ids, eos_token_id]
