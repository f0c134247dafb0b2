"""LibriSpeech's rows and files, made small."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from moontune.data.audio import SAMPLE_RATE_HZ

SPLIT = "train.clean.100"
SECONDS = 0.25


def clip(
    seed: int, *, seconds: float = SECONDS, rate: int = SAMPLE_RATE_HZ, kind: str = "FLAC"
) -> bytes:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate))
    stream = io.BytesIO()
    if kind == "FLAC":  # not as moontune would encode it: what is kept can be told from that
        soundfile.write(stream, noise, rate, format=kind, compression_level=0.0)
    else:
        soundfile.write(stream, np.stack([noise, noise], axis=1), rate, format=kind)
    return stream.getvalue()


def row(speaker: int, number: int, content: bytes | None, **other: Any) -> dict[str, Any]:
    ident = f"{speaker}-{speaker * 10}-{number:04d}"
    return {
        "file": f"{ident}.flac",
        "audio": {"bytes": content, "path": f"{ident}.flac"},
        "text": f"SPEAKER {speaker} SAYS {number}",
        "speaker_id": speaker,
        "chapter_id": speaker * 10,
        "id": ident,
    } | other


def write_parquet(path: Path, rows: list[dict[str, Any]], row_group_size: int = 9) -> None:
    """Rows under LibriSpeech's schema, with the metadata that `datasets` writes."""
    from datasets import Audio, Features, Value

    kinds = {"file": "string", "text": "string", "speaker_id": "int64", "chapter_id": "int64"}
    features = Features({name: Value(kind) for name, kind in (kinds | {"id": "string"}).items()})
    features["audio"] = Audio(sampling_rate=SAMPLE_RATE_HZ)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    pq.write_table(table, path, row_group_size=row_group_size)
