"""Losses, gradients and transcripts of a device against the CPU's in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.common import Answer, Setting, adapted, begin, distance
from moontune.config.schema import EvalConfig
from moontune.data.manifest import Utterance
from moontune.models.adapter import load_adapted, save_adapter
from moontune.models.base_model import Base, load_base
from moontune.models.transcriber import LoadAudio, Transcriber
from moontune.training.losses import LossComputer

# How far losses and gradients may be from the CPU's in float32, by their norms. The latter two are
# some ten times what one product is rounded by, 2e-3 and 2e-4, since there are 12 layers of them.
BOUNDS = {
    "float32": {"losses": 1e-4, "gradients": 1e-3},
    "bfloat16": {"losses": 0.05, "gradients": 0.25},
    "float16": {"losses": 0.01, "gradients": 0.05},
}
TIE = 1e-3  # logits that are no further apart may fall either way


def losses_and_gradients(
    setting: Setting, device: str, dtype: torch.dtype, clips: Sequence[Utterance], audio: LoadAudio
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of all target tokens of the clips, and of all weights of the adapter, on the CPU."""
    base, adapter = adapted(setting.model, device)
    computer = LossComputer(base, audio, dtype)
    losses = []
    for of_tokens in computer.passes(clips, computer.labels(clips)):
        of_tokens.sum().backward()
        losses.append(of_tokens.detach().cpu())
    named = sorted((n, p) for n, p in adapter.named_parameters() if p.grad is not None)
    return torch.cat(losses), torch.cat([p.grad.cpu().flatten() for _, p in named])


def check_numbers(setting: Setting, answer: Answer) -> None:
    clips, audio = setting.clips()
    clips = clips[:16]
    expected = losses_and_gradients(setting, "cpu", torch.float32, clips, audio)
    for name, bounds in BOUNDS.items():
        dtype = getattr(torch, name)
        if setting.device == "mps" and name != "float32":
            answer.check(f"{name} against the CPU's float32", None, "Apple's GPU trains in float32")
            continue
        found = losses_and_gradients(setting, setting.device, dtype, clips, audio)
        apart = {
            kind: distance(ours, right)
            for kind, ours, right in zip(("losses", "gradients"), found, expected, strict=True)
        }
        answer.figures[name] = apart
        ok = all(apart[kind] <= bound for kind, bound in bounds.items())
        text = ", ".join(f"{k} {apart[k]:.1e} (at most {b:g})" for k, b in bounds.items())
        answer.check(f"{name} against the CPU's float32", ok, f"{text} apart, {len(clips)} clips")


def transcribed(base: Base, clips: list[np.ndarray], size: int) -> list[list[int]]:
    """Token ids of clips, so many at a time."""
    transcriber, cap = Transcriber(base), EvalConfig().token_cap
    return [
        transcript.tokens
        for i in range(0, len(clips), size)
        for transcript in transcriber(clips[i : i + size], cap)
    ]


@torch.no_grad()
def is_tie(base: Base, clip: np.ndarray, one: list[int], other: list[int]) -> bool:
    """Whether two transcripts part where the CPU's logits of both tokens are all but equal."""
    pairs = zip(one, other, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if place is None:
        return False
    net: Any = base.net
    fed = torch.tensor([[net.config.decoder_start_token_id, *one[:place]]])
    logits = net(input_values=torch.from_numpy(clip)[None], decoder_input_ids=fed).logits[0, -1]
    return abs(float(logits[one[place]] - logits[other[place]])) <= TIE


def check_transcripts(setting: Setting, answer: Answer) -> None:
    rows, audio = setting.clips()
    clips = [audio(u) for u in rows]
    on_cpu, _ = adapted(setting.model, "cpu")
    right = transcribed(on_cpu, clips, 1)
    base, _ = adapted(setting.model, setting.device)
    for name, size in (("alone", 1), ("in batches of 16", 16)):
        written = transcribed(base, clips, size)
        other = [i for i, (a, b) in enumerate(zip(right, written, strict=True)) if a != b]
        ties = [i for i in other if is_tie(on_cpu, clips[i], right[i], written[i])]
        answer.figures[f"transcripts {name}"] = {"other": len(other), "ties": len(ties)}
        tied = f", {len(ties)} at logits less than {TIE:g} apart" if other else ""
        answer.check(
            f"transcripts {name}, token for token",
            len(other) == len(ties),
            f"{len(other)} of {len(clips)} differ from the CPU's{tied}",
        )


def check_saved(setting: Setting, answer: Answer) -> None:
    """An adapter saved on the device writes the same on a CPU."""
    rows, audio = setting.clips()
    clips = [audio(u) for u in rows]
    base, adapter = adapted(setting.model, setting.device)
    folder = answer.out.parent / "saved-adapter"
    save_adapter(adapter, base, folder)
    loaded, _ = load_adapted(load_base(str(setting.model), None, "cpu"), folder, None)
    there, here = transcribed(base, clips, 8), transcribed(loaded, clips, 8)
    on_cpu, _ = adapted(setting.model, "cpu")
    other = [
        i
        for i, (a, b) in enumerate(zip(there, here, strict=True))
        if a != b and not is_tie(on_cpu, clips[i], b, a)
    ]
    found = f"{len(other)} of {len(clips)} transcripts differ"
    answer.check("an adapter saved there loads on a CPU", not other, found)


def main() -> None:
    setting, answer = begin()
    check_numbers(setting, answer)
    check_transcripts(setting, answer)
    check_saved(setting, answer)


if __name__ == "__main__":
    main()
