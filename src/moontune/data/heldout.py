"""A small manifest of held-out clips with audio beside it: `scripts/build_manifest.py`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moontune.config.schema import CleanConfig, DataConfig
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance, write_manifest
from moontune.data.sources.dispatch import sample_source
from moontune.errors import UserError
from moontune.system.files import real_path
from moontune.system.progress import Progress, no_progress


@dataclass(frozen=True)
class ManifestArgs:
    """Sample clips into a manifest."""

    output: Path
    """The JSONL manifest to write; sampled audio goes into `audio/` beside it, and that of
    --source manifest stays where it is."""
    split: str = "test.clean"
    """Part of LibriSpeech, as in test.clean, test.other, train.clean.100."""
    samples: int = 5
    """The number of clips."""
    source: Literal["librispeech", "manifest", "synthetic", "silence"] = "librispeech"
    """Where they come from."""
    dataset: str = DataConfig.dataset
    """Hub id of LibriSpeech, or a folder of parquet files in its columns."""
    manifest: Path | None = None
    """With --source manifest: the manifest to choose from."""
    seed: int = 42
    """Decides which clips."""
    rows_per_speaker: int = 1
    """At most this many LibriSpeech clips of one speaker."""


def build_manifest(args: ManifestArgs, progress: Progress = no_progress) -> list[Utterance]:
    """Sample, clean and write; returns what was written. Raises UserError."""
    if args.samples < 1:
        raise UserError(f"--samples {args.samples}: at least 1 is needed")
    if args.source == "manifest" and args.manifest is None:
        raise UserError("--source manifest needs the file; add --manifest FILE.jsonl")
    if args.manifest is not None and real_path(args.manifest) == real_path(args.output):
        raise UserError(f"--output {args.output} is the manifest it chooses from; name another")
    config = DataConfig(
        source=args.source,
        manifest=None if args.manifest is None else (args.manifest,),
        dataset=args.dataset,
        dataset_split=args.split,
        utterances=args.samples,
        rows_per_speaker=args.rows_per_speaker,
    )
    folder = real_path(args.output).parent / "audio"
    limits = CleanConfig()
    sample = sample_source(config, limits, seed=args.seed, audio_dir=folder, progress=progress)
    cleaned = clean(sample.utterances, limits, keep_silence=args.source == "silence")
    dropped = [*sample.dropped, *cleaned.dropped]
    if not cleaned.utterances:
        why = f"{dropped[0].where}: {dropped[0].detail}" if dropped else "the source is empty"
        raise UserError(f"no usable clip was found ({why})")
    write_manifest(args.output, [dataclasses.replace(u, target=None) for u in cleaned.utterances])
    return cleaned.utterances
