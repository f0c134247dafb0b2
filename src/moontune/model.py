"""The Moonshine model: where it comes from, its exact encoding, its loss and its transcripts.

Clips are encoded one at a time: the encoder's first norm runs over all of time, so padding would
change what the model hears. Encoder states are then padded with an exact mask for the decoder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from moontune.errors import UserError
from moontune.hub import locate

if TYPE_CHECKING:
    import numpy as np
    from transformers import MoonshineForConditionalGeneration
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput

IGNORED = -100


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
    from transformers import MoonshineForConditionalGeneration
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
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
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    from_hub = re.fullmatch("[0-9a-f]{40}", resolved or "") is not None
    origin = Origin(model_id, str(path), hub_id, resolved, digest, from_hub)
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


def pad_labels(labels: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """(batch, tokens) int64, padded with -100 by length: pad and EOS are the same id here."""
    width = max(len(ids) for ids in labels)
    rows = [[*ids, *[IGNORED] * (width - len(ids))] for ids in labels]
    return torch.tensor(rows, dtype=torch.long, device=device)


def encode(
    net: MoonshineForConditionalGeneration, clips: Sequence[np.ndarray], device: str
) -> MoonshineEncoderModelOutput:
    """Encoder states of clips, each encoded alone: (batch, frames, width) and an exact mask."""
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput

    encoder = net.model.encoder
    states = [
        encoder(torch.from_numpy(clip).to(device)[None]).last_hidden_state[0] for clip in clips
    ]
    if len(states) == 1:
        return MoonshineEncoderModelOutput(last_hidden_state=states[0][None], attention_mask=None)
    frames = [state.shape[0] for state in states]
    mask = (
        torch.arange(max(frames), device=device)[None]
        < torch.tensor(frames, device=device)[:, None]
    )
    padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
    return MoonshineEncoderModelOutput(last_hidden_state=padded, attention_mask=mask.int())


def token_losses(
    net: MoonshineForConditionalGeneration,
    encoded: MoonshineEncoderModelOutput,
    labels: torch.Tensor,
) -> torch.Tensor:
    """Summed cross-entropy of each clip's target tokens in nats, (batch,).

    The decoder is fed `[start, labels[:-1]]`; label padding counts nothing.
    """
    start = torch.full_like(labels[:, :1], net.config.decoder_start_token_id)
    inputs = torch.cat([start, labels[:, :-1]], dim=1)
    inputs = inputs.masked_fill(inputs == IGNORED, int(net.config.pad_token_id or 0))
    logits = net(encoder_outputs=encoded, decoder_input_ids=inputs, use_cache=False).logits
    flat = functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return flat.view_as(labels).sum(dim=1)


def token_cap(duration_s: float, tokens_per_second: float) -> int:
    """How many new tokens a transcript may have (the model card's rule; without it it loops)."""
    return int(duration_s * tokens_per_second) + 2


@torch.no_grad()
def greedy_tokens(
    net: MoonshineForConditionalGeneration,
    encoded: MoonshineEncoderModelOutput,
    caps: Sequence[int],
) -> list[list[int]]:
    """Greedy transcripts of encoded clips: token ids without the start token, EOS kept.

    `caps` limits each clip's tokens by itself. Equal to `generate` on each clip alone (a test holds
    that); a clip that has ended stays in the batch and what it would write further is ignored.
    """
    decoder, eos = net.model.decoder, net.config.eos_token_id
    states, mask = encoded.last_hidden_state, encoded.attention_mask
    assert states is not None
    last = torch.full((len(caps), 1), int(net.config.decoder_start_token_id or 0))
    last = last.to(states.device)
    cache = None
    steps: list[torch.Tensor] = []
    going = torch.ones_like(last, dtype=torch.bool)
    for step in range(max(caps)):
        out = decoder(
            input_ids=last,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        cache = out.past_key_values
        last = net.proj_out(out.last_hidden_state[:, -1:]).argmax(dim=-1)
        steps.append(last)
        going &= last != eos
        going &= torch.tensor([[cap > step + 1] for cap in caps], device=last.device)
        if not going.any():
            break
    written: list[list[int]] = torch.cat(steps, dim=1).tolist()
    cut = [row[:cap] for row, cap in zip(written, caps, strict=True)]
    return [row[: row.index(eos) + 1] if eos in row else row for row in cut]
