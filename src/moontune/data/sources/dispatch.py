"""The configured source's utterances."""

from __future__ import annotations

from pathlib import Path

from moontune.config.schema import DEFAULT_UTTERANCES, CleanConfig, DataConfig
from moontune.data.sources import synthetic
from moontune.data.sources.base import Sample
from moontune.data.sources.librispeech import LibriSpeechQuery, sample_librispeech
from moontune.data.sources.manifests import sample_manifests
from moontune.system.progress import Progress, no_progress


def sample_source(
    config: DataConfig,
    limits: CleanConfig,
    *,
    seed: int,
    audio_dir: Path,
    patient: bool = True,
    find_speakers: bool = False,
    progress: Progress = no_progress,
) -> Sample:
    """Sample utterances as configured; generated or downloaded audio goes below `audio_dir`.

    `patient`: whether to wait for a hub that never answered yet. `find_speakers`: whether a
    manifest's speakers may be found by folders and file names.
    """
    wanted = config.utterances or DEFAULT_UTTERANCES
    if config.source == "librispeech":
        query = LibriSpeechQuery(
            dataset=config.dataset,
            split=config.dataset_split,
            utterances=wanted,
            seed=seed,
            rows_per_speaker=config.rows_per_speaker,
            min_duration_s=limits.min_duration_s,
            max_duration_s=limits.max_duration_s,
            revision=config.dataset_revision,
        )
        return sample_librispeech(query, audio_dir, patient=patient, progress=progress)
    if config.source == "manifest":
        assert config.manifest is not None  # config.resolve saw to it
        return sample_manifests(
            config.manifest, config.utterances, seed, find_speakers=find_speakers
        )
    make = synthetic.sample_silence if config.source == "silence" else synthetic.sample_synthetic
    return make(utterances=wanted, seed=seed, audio_dir=audio_dir, progress=progress)
