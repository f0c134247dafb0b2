"""The peer's evaluation: the loop people write, one clip at a time, and jiwer on the texts.

    uv run python -m benchmarks.speed.peer_evaluate --task evaluate --manifest my.jsonl \\
        --model-id DIR --out out.json

Processor, `generate` under the token cap that moontune gives the clip, and a forward with labels
for the loss. The audio is decoded beforehand; reading it is not timed. The normaliser is Whisper's
as moontune calls it, without the lone `.` that it leaves of an ellipsis, so that WER must agree.
"""

from __future__ import annotations

import time
from typing import Any

import jiwer
import torch
import transformers
import tyro
from transformers import AutoProcessor

from benchmarks.speed.adapter import fill
from benchmarks.speed.peer_model import SAMPLE_RATE_HZ, lora_model
from benchmarks.speed.work import Work, answer, preloaded
from moontune.config.schema import EvalConfig
from moontune.data.manifest import read_manifest
from moontune.data.normalizer import normalize


@torch.no_grad()
def one(model: Any, processor: Any, audio: Any, text: str) -> tuple[list[int], float, int]:
    """Token ids written, summed loss in nats and target tokens of one clip, (samples,)."""
    inputs = processor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").to(model.device)
    cap = EvalConfig().token_cap(len(audio) / SAMPLE_RATE_HZ)
    written = model.generate(**inputs, do_sample=False, max_new_tokens=cap)
    ids = processor.tokenizer(text, add_special_tokens=False).input_ids
    labels = torch.tensor([[*ids, processor.tokenizer.eos_token_id]], device=model.device)
    loss = model(**inputs, labels=labels).loss
    return written[0, 1:].tolist(), float(loss) * labels.shape[1], labels.shape[1]


def evaluate(work: Work) -> None:
    rows, _ = read_manifest(work.manifest)
    processor = AutoProcessor.from_pretrained(work.model_id)
    model = lora_model(work)
    fill(model, work.seed)
    model.to(work.device).eval()
    store = preloaded(rows)
    clips = [store(u) for u in rows]
    for u, clip in zip(rows[:2], clips[:2], strict=True):  # warm-up
        one(model, processor, clip, u.label)
    begun = time.perf_counter()
    found = [one(model, processor, c, u.label) for u, c in zip(rows, clips, strict=True)]
    texts = processor.tokenizer.batch_decode([t for t, *_ in found], skip_special_tokens=True)
    wer = jiwer.wer([normalize(u.text) for u in rows], [normalize(text) for text in texts])
    answer(
        work,
        model,
        seconds=time.perf_counter() - begun,
        utterances=len(rows),
        tokens=[t for t, *_ in found],
        losses=[loss for _, loss, _ in found],
        targets=[count for *_, count in found],
        wer=wer,
    )


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    evaluate(tyro.cli(Work, description=__doc__))
