"""What settings and values are called by other trainers, and the nearest name here."""

from __future__ import annotations

import difflib
from collections.abc import Collection

# Hugging Face's TrainingArguments, peft, NeMo, SpeechBrain, ESPnet, Whisper fine-tuning scripts.
_SETTINGS = {
    "batch_size": ("batch", "bs", "micro_batch_size", "train_batch_size", "per_device_batch_size",
                   "per_device_train_batch_size"),
    "dataset": ("dataset_name", "dataset_id"),
    "device": ("gpu", "cuda", "accelerator", "use_cuda", "no_cuda"),
    "domain_text": ("corpus", "kenlm", "kenlm_model", "kenlm_model_path", "language_model",
                    "language_model_path", "lm", "lm_file", "lm_model", "lm_path", "ngram",
                    "text_corpus", "text_file"),
    "dtype": ("precision", "bf16", "fp16", "amp", "mixed_precision", "torch_dtype"),
    "early_stop_patience": ("patience", "early_stopping", "early_stopping_patience"),
    "ema_decay": ("ema",),
    "eval_every_steps": ("eval_steps", "eval_every", "eval_interval", "val_check_interval",
                         "validation_steps", "save_steps"),
    "folds": ("k", "n_folds", "num_folds", "n_splits"),
    "grad_accum": ("accumulate_grad_batches", "accumulation_steps", "gradient_accumulation",
                   "gradient_accumulation_steps", "grad_accumulation", "grad_acc"),
    "key_terms": ("boost", "context_words", "custom_vocabulary", "hotwords", "hot_words",
                  "keyterms", "keywords", "phrases", "terms", "vocabulary", "word_boost"),
    "language": ("lang", "language_id", "lang_id", "locale", "source_lang", "target_lang"),
    "label_style": ("casing", "lowercase", "text_style"),
    "lora_alpha": ("alpha",),
    "lora_dropout": ("dropout",),
    "lora_r": ("r", "rank", "lora_rank"),
    "lora_targets": ("target_modules", "lora_target_modules", "targets"),
    "lr": ("learning_rate", "learningrate", "peak_lr", "max_lr", "lrate"),
    "lr_schedule": ("scheduler", "lr_scheduler", "lr_scheduler_type", "schedule"),
    "manifest": ("data", "train", "train_data", "train_file", "train_files", "train_manifest",
                 "train_path", "training_data", "data_path", "data_file", "data_files", "jsonl",
                 "input", "manifest_filepath", "manifest_file", "manifest_path", "manifests",
                 "train_manifest_filepath"),
    "max_duration_s": ("max_duration", "max_length", "max_seconds", "max_duration_in_seconds"),
    "max_grad_norm": ("clip", "clip_grad", "grad_clip", "gradient_clip", "gradient_clip_val"),
    "max_steps": ("updates", "max_updates", "num_updates", "steps", "num_steps", "train_steps",
                  "max_train_steps", "iterations", "iters", "max_iters", "epochs", "num_epochs",
                  "max_epochs", "n_epochs", "num_train_epochs"),
    "min_duration_s": ("min_duration", "min_seconds", "min_duration_in_seconds"),
    "model_id": ("model", "base", "base_model", "base_model_id", "checkpoint", "model_name",
                 "model_path", "model_name_or_path", "pretrained", "pretrained_model",
                 "pretrained_model_name_or_path"),
    "output_dir": ("out", "out_dir", "outdir", "output_folder", "output_path", "save_dir", "runs"),
    "overwrite": ("force", "overwrite_output_dir"),
    "preset": ("profile",),
    "resume": ("continue", "resume_from", "resume_from_checkpoint", "restart"),
    "revision": ("model_revision", "commit"),
    "run_name": ("name", "exp_name", "experiment", "experiment_name", "run_id", "exp"),
    "seed": ("random_seed", "manual_seed", "rng_seed", "data_seed", "random_state"),
    "split_by": ("split", "group_by"),
    "test_share": ("test_size", "test_split", "test_ratio", "test_fraction"),
    "trials": ("n_trials", "num_trials"),
    "utterances": ("limit", "samples", "num_samples", "max_samples", "max_train_samples", "n",
                   "num_utterances", "max_utterances"),
    "val_share": ("val_size", "val_split", "val_ratio", "validation_split", "eval_split",
                  "valid_share", "dev_share"),
    "warmup_steps": ("warmup", "num_warmup_steps", "warmup_updates", "warmup_ratio",
                     "warmup_epochs"),
    "weight_decay": ("wd", "decay", "l2"),
}  # fmt: skip
_NAMES = {other: name for name, others in _SETTINGS.items() for other in others}
_VALUES = {
    **dict.fromkeys(("gpu", "nvidia", "cuda:0", "gpu:0"), "cuda"),
    **dict.fromkeys(("apple", "metal", "mac"), "mps"),
    **dict.fromkeys(("fp32", "f32", "float", "32"), "float32"),
    **dict.fromkeys(("bf16", "bf16-mixed", "half"), "bfloat16"),
    **dict.fromkeys(("speakers", "voice", "person"), "speaker"),
    **dict.fromkeys(("utterances", "recording", "clip", "random"), "utterance"),
    **dict.fromkeys(("txt", "plain"), "text"),
    **dict.fromkeys(("json",), "jsonl"),
    **dict.fromkeys(("jsonl", "file", "own"), "manifest"),
}


def nearest_setting(word: str, known: Collection[str]) -> str | None:
    """The one of the known settings that a name most likely means; None where none is near.

    Dashes are as good as underscores, and names of other trainers are known.
    """
    name = word.strip("-").lower().replace("-", "_")
    if _NAMES.get(name) in known:
        return _NAMES[name]
    return _nearest(name, known)


def setting_hint(word: str, spelt: str) -> str:
    """`did you mean --max-steps?`, with the unit where the word's own is another."""
    hint = f"did you mean {spelt}?"
    if word.strip("-").lower().replace("-", "_").endswith(("epochs", "ratio")) and "steps" in spelt:
        hint += " (it counts updates)"
    return hint


def nearest_value(word: str, options: Collection[str]) -> str | None:
    """The one of the options that a value most likely means; None where none is near."""
    name = word.lower()
    return _VALUES[name] if _VALUES.get(name) in options else _nearest(name, options)


def _nearest(word: str, known: Collection[str]) -> str | None:
    if word in known:
        return word
    close = difflib.get_close_matches(word, [*known], n=1, cutoff=0.7)
    return close[0] if close else None
