"""Presets: named settings, under those of a file and of flags."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # Offline in minutes on two cores: the model inside a PyPI package, spoken by espeak-ng voices.
    "offline": {
        "source": "synthetic",
        "model_id": "bundled",
        "lora_r": 8,
        "lr": 5e-4,  # robots of one grammar are soon learnt
        "max_steps": 150,
        "wise_ft": 1.0,  # and there is nothing else to keep
        "backwards_share": 0.0,
    },
    # What moontune was first planned with, whatever the defaults become.
    "plan": {
        "val_share": 0.1,
        "test_share": 0.1,
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "lora_targets": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "lora_part": "both",
        "lora_variant": "lora",
        "batch_size": 1,
        "grad_accum": 8,
        "max_steps": 500,
        "lr": 3e-4,
        "warmup_steps": 50,
        "eval_every_steps": 50,
        "lr_schedule": "cosine",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "early_stop_patience": 5,
        "ema_decay": 0.0,
        "wise_ft": 1.0,
        "token_dropout": 0.0,
        "backwards_share": 0.0,
        "replay_share": 0.0,
    },
}
