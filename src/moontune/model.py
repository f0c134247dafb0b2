"""The Moonshine model: where it comes from, its exact encoding, its loss and its transcripts.

Batches are exact: the encoder's first norm runs over all of time and its mask keeps frames that are
padding, so a padded batch would change what the model hears; `encode` gives the norm each clip's
own length and the encoder a mask of exact frames.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from moontune.errors import UserError
from moontune.hub import locate

if TYPE_CHECKING:
    import numpy as np
    from transformers import MoonshineForConditionalGeneration
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput

IGNORED = -100
SAMPLES_PER_FRAME = 64 * 3 * 2  # strides of conv1, conv2 and conv3


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


def pad_labels(labels: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """(batch, tokens) int64, padded with -100 by length: pad and EOS are the same id here."""
    width = max(len(ids) for ids in labels)
    rows = [[*ids, *[IGNORED] * (width - len(ids))] for ids in labels]
    return torch.tensor(rows, dtype=torch.long, device=device)


def encode(
    net: MoonshineForConditionalGeneration,
    clips: Sequence[np.ndarray],
    device: str,
    *,
    together: bool | None = None,
) -> MoonshineEncoderModelOutput:
    """Encoder states of float32 16 kHz clips, each (samples,), as if each were encoded alone.

    Returns states (batch, frames, width), zero beyond a clip's own frames, and their int mask
    (batch, frames), None where nothing is padded. One clip is what `net.model.encoder` gives, to
    the bit; clips encoded `together`, in one padded pass, agree with that to float32 rounding.

    Default: together, but one by one on a CPU, which has no use for padding. Seconds for 128 clips,
    477 s of accented speech, on 1 (2) threads: one by one 7.2 (6.1); together in batches of 16
    sorted by length 8.1 (6.3), shuffled 18.3 (12.6); of 4 sorted 5.9 (4.3), shuffled 10.7 (6.7).
    """
    if together is None:
        together = torch.device(device).type != "cpu"
    waves = [torch.from_numpy(clip).to(device) for clip in clips]
    return _encode_together(net, waves) if together else _encode_apart(net, waves)


def frame_counts(samples: int) -> tuple[int, int, int]:
    """Frames after conv1, conv2 and conv3 that lie wholly inside a clip of so many samples."""
    first = (samples - 127) // 64 + 1
    second = (first - 7) // 3 + 1
    return first, second, (second - 3) // 2 + 1


def _encode_apart(
    net: MoonshineForConditionalGeneration, waves: Sequence[torch.Tensor]
) -> MoonshineEncoderModelOutput:
    states = [net.model.encoder(wave[None]).last_hidden_state[0] for wave in waves]
    counts = torch.tensor([len(state) for state in states], device=waves[0].device)
    padded = pad_sequence(states, batch_first=True)
    mask = _first(counts, padded.shape[1]).int() if len(set(map(len, states))) > 1 else None
    return _encoded(padded, mask)


def _encode_together(
    net: MoonshineForConditionalGeneration, waves: Sequence[torch.Tensor]
) -> MoonshineEncoderModelOutput:
    encoder, padded = net.model.encoder, pad_sequence(list(waves), batch_first=True)
    if len(set(map(len, waves))) == 1:
        return _encoded(encoder(padded).last_hidden_state, None)
    counts = [frame_counts(len(wave)) for wave in waves]
    assert min(last for *_, last in counts) > 0, "a clip is shorter than one frame"
    first, _, last = torch.tensor(counts, device=padded.device).unbind(dim=1)
    # The encoder keeps every 384th value of the mask it is given: these keep `last` ones a clip.
    mask = _first(last * SAMPLES_PER_FRAME, padded.shape[1])
    with _norm_over(encoder.groupnorm, first):
        out = encoder(padded, attention_mask=mask)
    mask = out.attention_mask
    return _encoded(out.last_hidden_state * mask[..., None], mask)


def _encoded(states: torch.Tensor, mask: torch.Tensor | None) -> MoonshineEncoderModelOutput:
    from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput

    return MoonshineEncoderModelOutput(last_hidden_state=states, attention_mask=mask)


def _first(counts: torch.Tensor, width: int) -> torch.Tensor:
    """(batch, width) bool: true at the first `counts` positions of each row."""
    return torch.arange(width, device=counts.device) < counts[:, None]


@contextmanager
def _norm_over(norm: nn.GroupNorm, counts: torch.Tensor) -> Iterator[None]:
    """While open, the one-group norm of (batch, channels, time) sees the first `counts` frames.

    Each clip has its own mean and population variance over those; frames beyond come out zero. The
    hook sits on the shared module: not for threads.
    """
    assert norm.num_groups == 1

    def masked(_module: nn.Module, inputs: tuple[torch.Tensor], _out: torch.Tensor) -> torch.Tensor:
        (x,) = inputs
        mask = _first(counts, x.shape[2])[:, None].to(x.dtype)
        size = counts[:, None, None] * x.shape[1]
        mean = (x * mask).sum(dim=(1, 2), keepdim=True) / size
        centred = (x - mean) * mask
        variance = centred.square().sum(dim=(1, 2), keepdim=True) / size
        normed = centred * torch.rsqrt(variance + norm.eps)
        return (normed * norm.weight[:, None] + norm.bias[:, None]) * mask

    handle = norm.register_forward_hook(masked)
    try:
        yield
    finally:
        handle.remove()


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
