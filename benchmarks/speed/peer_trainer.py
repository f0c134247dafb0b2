"""The peer: LoRA on Moonshine with Hugging Face's `Seq2SeqTrainer` and peft, as its users write it.

    uv run python -m benchmarks.speed.peer_trainer --task train --manifest my.jsonl \\
        --model-id DIR --out out.json

In the way of transformers' `run_speech_recognition_seq2seq.py`: features and labels are prepared
once, a collator pads them, the Trainer does the rest. Where its users slow it down, this one does
not: the data lie in memory as arrays, nothing is saved, evaluated or shown during the timed part.

Weighting under accumulation (transformers 5.23): the Trainer looks for `**kwargs` in the forward of
the model inside the PeftModel; Moonshine's has them, so each micro-batch's loss is the sum over its
target tokens divided by the target tokens of the whole update. It is token-weighted as it comes,
and no `compute_loss_func` is needed; the answer's `token_weighted` says what this Trainer found.

What differs from a user's script is for the comparison alone: the clips come in moontune's order,
and the adapter starts from the same seed.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import soundfile
import torch
import transformers
import tyro
from transformers import (
    AutoProcessor,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

from benchmarks.speed.peer_model import SAMPLE_RATE_HZ, lora_model
from benchmarks.speed.work import UPDATE, Work, answer, in_order
from moontune.data.manifest import Utterance, read_manifest

IGNORED = -100


def prepared(rows: list[Utterance], processor: Any) -> list[dict[str, Any]]:
    """One row a clip: `input_values` (samples,) and `labels` (tokens,), in memory."""
    eos = processor.tokenizer.eos_token_id

    def prepare(u: Utterance) -> dict[str, Any]:
        audio, rate = soundfile.read(u.audio_filepath, dtype="float32")
        if rate != SAMPLE_RATE_HZ or audio.ndim != 1:
            raise SystemExit(f"{u.audio_filepath}: the benchmark takes 16 kHz mono audio")
        values = processor.feature_extractor(audio, sampling_rate=rate).input_values[0]
        ids = processor.tokenizer(u.label, add_special_tokens=False).input_ids
        return {"input_values": values, "labels": [*ids, eos]}

    return [prepare(u) for u in rows]


class Collator:
    """Clips padded by the feature extractor, labels padded with -100 by length."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        audio = [{"input_values": f["input_values"]} for f in features]
        batch = self.processor.feature_extractor.pad(audio, return_tensors="pt")
        labels = [{"input_ids": f["labels"]} for f in features]
        padded = self.processor.tokenizer.pad(labels, return_tensors="pt")
        batch["labels"] = padded.input_ids.masked_fill(padded.attention_mask.ne(1), IGNORED)
        return batch


class Record(TrainerCallback):
    """Loss and wall seconds of every update.

    An update lasts from the end of the one before (the first: from the epoch's begin), so that
    fetching and collating its clips counts; that comes before `on_step_begin`.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._last = 0.0

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self._last = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def train(work: Work) -> None:
    rows, _ = read_manifest(work.manifest)
    order = in_order(rows, work)
    processor = AutoProcessor.from_pretrained(work.model_id)
    clips = list({u.id: u for u in order}.values())
    place = {u.id: i for i, u in enumerate(clips)}
    ready = prepared(clips, processor)
    data = [ready[place[u.id]] for u in order]
    with tempfile.TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=UPDATE,
            max_steps=work.updates,
            learning_rate=work.lr,
            lr_scheduler_type="constant",
            warmup_steps=0,
            weight_decay=0.0,
            max_grad_norm=1.0,
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            label_names=["labels"],
            dataloader_num_workers=0,
            dataloader_pin_memory=work.device == "cuda",
            bf16=work.peer_dtype == "bfloat16",
            logging_steps=1,
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=work.device == "cpu",
            seed=work.seed,
        )
        record = Record()
        model = lora_model(work)
        trainer = Seq2SeqTrainer(
            model=model,
            args=arguments,
            train_dataset=data,  # type: ignore[arg-type]
            data_collator=Collator(processor),
            callbacks=[record],
        )
        trainer.train()
    answer(
        work,
        model,
        losses=record.losses,
        seconds=record.seconds,
        utterances=len(order),
        token_weighted=bool(trainer.model_accepts_loss_kwargs),
    )


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    train(tyro.cli(Work, description=__doc__))
