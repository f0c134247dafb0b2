"""The Moonshine model: where it comes from, its processor, and the labels it is trained on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from moontune.device import tune_memory
from moontune.errors import UserError
from moontune.hub import locate
from moontune.lean import import_transformers

if TYPE_CHECKING:
    from transformers import MoonshineForConditionalGeneration


@dataclass(frozen=True)
class Origin:
    """Which base this is, so that an adapter can name it and refuse another."""

    asked: str  # what the user gave
    path: str  # the folder it was loaded from
    hub_id: str  # what peft's adapter_config.json names
    revision: str | None
    sha256: str  # of the weights file
    from_hub: bool  # then the revision is a commit that can be asked for again


@dataclass(frozen=True)
class Base:
    net: MoonshineForConditionalGeneration
    processor: Any
    origin: Origin
    device: str

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer


def load_processor(folder: Path) -> Any:
    """Feature extractor and tokenizer of a saved processor. Raises UserError."""
    import_transformers()
    from transformers import AutoProcessor

    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such processor folder; check the path")
    try:
        processor = AutoProcessor.from_pretrained(str(folder))
        processor.tokenizer  # noqa: B018
    except Exception as error:  # transformers raises many kinds for a broken folder
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{folder}: is not a usable processor ({reason})") from error
    return processor


def load_base(model_id: str, revision: str | None, device: str) -> Base:
    """Load net and processor in float32 on `device`. Raises UserError."""
    import_transformers()
    from transformers import MoonshineForConditionalGeneration
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    tune_memory()
    path, hub_id, resolved = locate(model_id, revision)
    weights = path / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{path}: holds no model.safetensors; give a complete model folder")
    try:
        loaded: Any = MoonshineForConditionalGeneration.from_pretrained(
            path, dtype=torch.float32, output_loading_info=True
        )
        net, info = loaded
    except Exception as error:  # transformers raises many kinds for a broken folder
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path}: is not a usable Moonshine model ({reason})") from error
    processor = load_processor(path)
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(f"{weights}: lacks {len(missing)} tensors, first {missing[0]}")
    if net.config.pad_token_id is None:  # a config built by hand; the loss needs one
        net.config.pad_token_id = net.config.eos_token_id
    with open(weights, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    from_hub = re.fullmatch("[0-9a-f]{40}", resolved or "") is not None
    origin = Origin(model_id, str(path), hub_id, resolved, digest, from_hub)
    # Otherwise cuDNN's convolutions keep 10 bits of float32's mantissa.
    torch.backends.cudnn.allow_tf32 = False
    net.to(device).eval()  # type: ignore[arg-type]
    return Base(net, processor, origin, device)


def target_ids(tokenizer: Any, text: str, eos_token_id: int) -> list[int]:
    """Label ids of a text: its tokens without BOS, then EOS.

    The tokenizer's own template adds BOS and no EOS. A label with BOS makes the decoder start
    `1, 1`; one without EOS teaches the model never to stop. White space is folded, and a `</s>` in
    the text is five characters, not the end.
    """
    plain = " ".join(text.split())
    ids = tokenizer(plain, add_special_tokens=False, split_special_tokens=True).input_ids
    return [*ids, eos_token_id]
