"""What both contenders of the speed benchmark are given, and the shape of their answers.

`run.py` starts each contender as `python CONTENDER.py --task ... --manifest ... --out FILE`, in a
process of its own; the contender writes one JSON object to FILE. No torch here: the process that
starts the others must stay small, since a child's peak memory begins at its parent's.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moontune.data.manifest import Utterance
from moontune.data.truecasing import restore_style, style_of

if TYPE_CHECKING:
    import numpy as np

UPDATE = 8  # clips in an update
RANK, ALPHA = 8, 16
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")  # of cross-attention too

Sites = Literal["both", "decoder"]


@dataclass(frozen=True)
class Work:
    """One contender's share of the benchmark."""

    task: Literal["train", "evaluate"]
    """`train`: LoRA updates; `evaluate`: loss, transcripts and WER of every row."""
    manifest: Path
    """JSONL manifest."""
    model_id: str
    """Folder of the base."""
    out: Path
    """Where the JSON answer is written."""
    sites: Sites = "both"
    """Attention projections of both halves or of the decoder alone."""
    updates: int = 20
    """Updates of 8 clips."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of our matrix products in training."""
    peer_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the peer's in training: bfloat16 is the Trainer's `bf16=True`."""
    device: str = "cpu"
    """cpu, cuda or mps."""
    lr: float = 3e-4
    """Constant learning rate."""
    seed: int = 42
    """Seed of the adapter's start and of the order of the clips."""


def in_order(rows: Sequence[Utterance], work: Work) -> list[Utterance]:
    """The clips of all updates in the order in which moontune takes them."""
    from moontune.training.sampling import shuffled

    return list(islice(shuffled(rows, work.seed), work.updates * UPDATE))


def sentence_case(rows: Sequence[Utterance]) -> list[Utterance]:
    """Rows with a target in sentence case where the reference is ALL CAPS.

    Capitals cost twice the tokens, and moontune restores their case before it trains on them.
    """
    return [
        replace(u, target=restore_style(u.text, ""))
        if u.target is None and style_of([u.text]) == "upper"
        else u
        for u in rows
    ]


def preloaded(rows: Sequence[Utterance]) -> Callable[[Utterance], np.ndarray]:
    """Their audio, decoded beforehand."""
    from moontune.models.transcriber import load_audio

    clips = {u.audio_filepath: load_audio(u) for u in rows}
    return lambda u: clips[u.audio_filepath]


def peak_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    return in_mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_mib(maxrss: int) -> float:
    """What `ru_maxrss` says, in MiB."""
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def answer(work: Work, model: Any, **found: Any) -> None:
    """Write what was found, with the weights of the adapter on `model`, the peak memory (on a GPU,
    the card's) and the threads."""
    import torch

    found["adapted"] = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)

    on_gpu = work.device == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_mib()
    row = found | {"peak_mib": peak, "threads": torch.get_num_threads()}
    work.out.write_text(json.dumps(row), encoding="utf-8")
