"""Out of memory in training: answered by smaller passes, with the same gradients.

On a GPU torch is given a limit between what an update needs at once and in two passes; on a CPU,
where torch has no such limit, a pass that is too large raises what a GPU would.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.gpu.common import Answer, Setting, adapted, begin, distance
from moontune.data.manifest import Utterance
from moontune.models.transcriber import LoadAudio
from moontune.system.distributed import SINGLE
from moontune.training import loop, losses
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood

BOUND = 1e-3  # of the gradients' distance


def update(
    setting: Setting, clips: Sequence[Utterance], audio: LoadAudio, frames: int
) -> tuple[torch.Tensor, int, float]:
    """The gradients of one update; frames at once in the end; the card's peak, in MiB."""
    base, adapter = adapted(setting.model, setting.device)
    computer = LossComputer(base, audio, torch.float32)
    computer.frames = frames
    for u in clips:  # what is computed once is there, so that the peak is the passes'
        computer.cache(u)
    parameters = [p for p in adapter.parameters() if p.requires_grad]
    gc.collect()
    if setting.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    loop._accumulate(Likelihood(computer), computer, clips, parameters, SINGLE)
    peak = torch.cuda.max_memory_reserved() / 2**20 if setting.device == "cuda" else 0.0
    return torch.cat([p.grad.cpu().flatten() for p in parameters]), computer.frames, peak


def limited_by_torch(
    setting: Setting, clips: Sequence[Utterance], audio: LoadAudio, whole: int
) -> tuple[torch.Tensor, int, str]:
    _, _, much = update(setting, clips, audio, whole)
    _, _, less = update(setting, clips, audio, whole // 2)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory / 2**20
    limit = (much + less) / 2
    torch.cuda.set_per_process_memory_fraction(limit / total)
    found, frames, _ = update(setting, clips, audio, whole)
    torch.cuda.set_per_process_memory_fraction(1.0)
    return found, frames, f"{much:.0f} MiB at once, limit {limit:.0f}"


def simulated(
    setting: Setting, clips: Sequence[Utterance], audio: LoadAudio, whole: int
) -> tuple[torch.Tensor, int, str]:
    passes = LossComputer.passes

    def little_room(self: LossComputer, utterances: Any, labels: Any) -> Iterator[torch.Tensor]:
        for found in passes(self, utterances, labels):
            if self.frames >= whole:
                raise torch.OutOfMemoryError("simulated")
            yield found

    LossComputer.passes = little_room  # type: ignore[method-assign]
    found, frames, _ = update(setting, clips, audio, whole)
    LossComputer.passes = passes  # type: ignore[method-assign]
    return found, frames, "simulated"


def check(setting: Setting, answer: Answer) -> None:
    rows, audio = setting.clips()
    clips = [rows[i % len(rows)] for i in range(64)]
    base, _ = adapted(setting.model, setting.device)
    computer = LossComputer(base, audio, torch.float32)
    whole = sum(len(computer.packed.features(audio(u))) for u in clips)
    losses.LEAST_FRAMES = min(losses.LEAST_FRAMES, whole // 4)
    del base, computer
    expected, _, _ = update(setting, clips, audio, whole)
    limited = limited_by_torch if setting.device == "cuda" else simulated
    found, frames, said = limited(setting, clips, audio, whole)
    apart = distance(found, expected)
    answer.figures |= {"frames": [whole, frames], "gradients": apart}
    answer.check(
        "out of memory is answered by smaller passes",
        frames < whole and apart <= BOUND,
        f"{whole} frames at once, then {frames} ({said}); gradients {apart:.1e} apart "
        f"(at most {BOUND:g})",
    )


if __name__ == "__main__":
    check(*begin())
