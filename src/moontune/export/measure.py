"""The products of an export, each heard on the same clips, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance
from moontune.evaluation.comparison import compare
from moontune.evaluation.predictions import prediction_row
from moontune.export.vendor_runtime import vendor_transcripts
from moontune.models.decoding import Transcript

Step = Callable[[int, int], None]
Transcribe = Callable[[Sequence[np.ndarray], TokenCap], list[Transcript]]


@dataclass(frozen=True)
class Speech:
    """What every product hears: clips of float32 mono 16 kHz samples, (samples,) each."""

    utterances: Sequence[Utterance]
    clips: Sequence[np.ndarray]
    cap: TokenCap

    @property
    def seconds(self) -> float:
        return sum(len(clip) for clip in self.clips) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Product:
    name: str
    rows: list[dict[str, Any]]  # predictions, with `tokens` where the product tells them
    bytes: int | None = None  # on disk
    seconds: float | None = None  # of computing, without loading


def hear(
    name: str, size: int, transcribe: Transcribe, speech: Speech, step: Step | None = None
) -> Product:
    """Transcribe clip by clip, the clock running; the first clip is heard once before."""
    transcribe(speech.clips[:1], speech.cap)
    rows, seconds = [], 0.0
    for number, (u, clip) in enumerate(zip(speech.utterances, speech.clips, strict=True), start=1):
        begun = time.perf_counter()
        [out] = transcribe([clip], speech.cap)
        seconds += time.perf_counter() - begun
        row = _row(u, clip, out.text, truncated=out.truncated)
        rows.append(row | {"tokens": out.tokens})
        if step:
            step(number, len(speech.clips))
    return Product(name, rows, size, seconds)


def hear_in_vendors(  # noqa: PLR0917
    name: str, size: int, python: Path, folder: Path, speech: Speech, threads: int, step: Step
) -> Product:
    """The same in the vendor's runtime, which has a token cap of its own and cuts at pauses."""
    heard = vendor_transcripts(python, folder, speech.clips, threads, step)
    rows = [
        _row(u, clip, out.text) | {"lines": out.lines}
        for u, clip, out in zip(speech.utterances, speech.clips, heard, strict=True)
    ]
    return Product(name, rows, size, sum(out.seconds for out in heard))


def _row(u: Utterance, clip: np.ndarray, text: str, *, truncated: bool = False) -> dict[str, Any]:
    given = {
        "id": u.id,
        "speaker": u.speaker,
        "duration": round(len(clip) / SAMPLE_RATE_HZ, 3),
        "reference": u.text,
        "hypothesis": text,
        "truncated": truncated,
    }
    return prediction_row(given, u.id)


def figures(
    product: Product,
    reference: Product,
    speech: Speech,
    encode: Callable[[str], list[int]],
    seed: int,
) -> dict[str, Any]:
    """A product's line of the table. `reference` is the tuned model in PyTorch.

    Tokens of products that tell only text are those of the text.
    """
    measured = compare(reference.rows, product.rows, seed).wer
    pairs = [_tokens(a, b, encode) for a, b in zip(product.rows, reference.rows, strict=True)]
    texts = zip(product.rows, reference.rows, strict=True)
    return {
        "name": product.name,
        "wer": measured.after,
        "wer_interval": measured.after_interval,
        "wer_difference": measured.difference,
        "wer_difference_interval": measured.difference_interval,
        "clips": len(pairs),
        "same_tokens": sum(a == b for a, b in pairs),
        "same_text": sum(a["hypothesis"] == b["hypothesis"] for a, b in texts),
        "token_agreement": agreement(pairs),
        "bytes": product.bytes,
        "seconds": None if product.seconds is None else round(product.seconds, 2),
        "times_real_time": None
        if product.seconds is None
        else round(speech.seconds / product.seconds, 2),
        "silent": sum(not row["hypothesis"] for row in product.rows),
    }


def _tokens(
    one: dict[str, Any], other: dict[str, Any], encode: Callable[[str], list[int]]
) -> tuple[list[int], list[int]]:
    if "tokens" in one and "tokens" in other:
        return one["tokens"], other["tokens"]
    return encode(one["hypothesis"]), encode(other["hypothesis"])


def agreement(pairs: Sequence[tuple[list[int], list[int]]]) -> float:
    """1 - edits / tokens, over all clips; of two lists the longer one counts."""
    from rapidfuzz.distance import Levenshtein

    longest = sum(max(len(a), len(b)) for a, b in pairs)
    return 1 - sum(Levenshtein.distance(a, b) for a, b in pairs) / max(longest, 1)
