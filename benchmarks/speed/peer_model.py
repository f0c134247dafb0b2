"""The peers' model: transformers' Moonshine with peft's LoRA."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import MoonshineForConditionalGeneration

from benchmarks.speed.work import ALPHA, ATTENTION, RANK, Work

SAMPLE_RATE_HZ = 16_000


def lora_model(work: Work) -> PeftModel:
    """The base with an untrained adapter on the attention projections of `work.sites`."""
    net = MoonshineForConditionalGeneration.from_pretrained(work.model_id, dtype=torch.float32)
    names = "|".join(ATTENTION)
    targets = rf".*\.decoder\.layers\..*\.({names})" if work.sites == "decoder" else [*ATTENTION]
    config = LoraConfig(
        task_type=None, r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=targets
    )
    torch.manual_seed(work.seed)
    return get_peft_model(net, config)  # type: ignore[return-value]
