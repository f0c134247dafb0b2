"""General speech beside a run's own: to see what the adapter forgot, and to keep it from that."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, read_manifest
from moontune.data.sources.base import DataOrigin, Sample
from moontune.data.sources.bundled_speech import sample_bundled_speech
from moontune.data.sources.dispatch import sample_source
from moontune.errors import UserError
from moontune.system.files import real_path
from moontune.system.progress import Progress, no_progress

_ROWS_PER_SPEAKER = 5  # of LibriSpeech's 40 test speakers


def sample_general(
    config: RunConfig, audio_dir: Path, progress: Progress = no_progress
) -> tuple[Sample | None, str | None]:
    """Speech for the forgetting check; and a remark where it is not what one would wish.

    Raises UserError where what was asked for cannot be had; what was not asked for may be missing.
    """
    wanted, seed = config.general.general, config.output.seed
    if wanted == "off":
        return None, None
    if wanted == "manifest":
        path = config.general.general_manifest
        assert path is not None  # settings.resolve saw to it
        rows, bad = read_manifest(path)
        if _one_file(config.general.replay_manifest, path):
            rows, _ = _halves(rows, seed)
        rows = spread_over_speakers(rows, config.general.general_utterances, seed)
        return Sample(rows, bad, origin=_origin(path)), None
    offline = config.data.source in ("synthetic", "silence")
    if wanted == "librispeech" or (wanted == "auto" and not offline):
        try:
            unseen = "validation" if config.data.dataset_split.startswith("test") else "test"
            return _librispeech(config, f"{unseen}.clean", audio_dir, progress), None
        except UserError as error:
            if wanted == "librispeech":
                raise
            missing = error.problem
    else:
        missing = "this source works without a network"
    try:
        sample = sample_bundled_speech(audio_dir)
    except UserError as error:
        if wanted == "bundled":
            raise
        return None, f"forgetting is not checked: {missing}, and {error.problem}"
    if wanted == "bundled":
        return sample, None
    return sample, (
        f"forgetting is checked on {len(sample.utterances)} clips of 2 readers only: {missing}; "
        "give speech of your own with --general-manifest"
    )


def sample_replay(
    config: RunConfig, audio_dir: Path, progress: Progress = no_progress
) -> Sample | None:
    """General speech to mix into training; None unless asked for. Raises UserError."""
    g, seed = config.general, config.output.seed
    if not g.replay_share:
        return None
    if g.replay_manifest is None:
        return _librispeech(config, "train.clean.100", audio_dir, progress)
    rows, bad = read_manifest(g.replay_manifest)
    if _one_file(g.replay_manifest, g.general_manifest):
        _, rows = _halves(rows, seed)
    rows = spread_over_speakers(rows, g.replay_utterances, seed)
    if not rows:
        raise UserError(
            f"{g.replay_manifest}: its only speaker is taken for the check for forgetting; give "
            "another --replay-manifest"
        )
    return Sample(rows, bad, origin=_origin(g.replay_manifest))


def _origin(manifest: Path) -> DataOrigin:
    return DataOrigin("manifest", manifest=(str(manifest),))


def _one_file(one: Path | None, other: Path | None) -> bool:
    return one is not None and other is not None and real_path(one) == real_path(other)


def _librispeech(config: RunConfig, split: str, audio_dir: Path, progress: Progress) -> Sample:
    replay = split.startswith("train")
    patient = replay or config.general.general == "librispeech"  # else there is something instead
    g = config.general
    data = dataclasses.replace(
        config.data,
        source="librispeech",
        dataset_split=split,
        utterances=g.replay_utterances if replay else g.general_utterances,
        rows_per_speaker=_ROWS_PER_SPEAKER,
    )
    seed = config.output.seed + (2 if replay else 1)  # not the rows that the run itself drew
    try:
        return sample_source(
            data,
            config.clean,
            seed=seed,
            audio_dir=audio_dir,
            patient=patient,
            progress=progress,
        )
    except UserError as error:
        instead = (
            "--replay-manifest FILE, or --replay-share 0"
            if replay
            else "--general bundled, --general off, or --general-manifest FILE"
        )
        use = "replay" if replay else "the check for forgetting"
        raise UserError(
            f"LibriSpeech for {use} cannot be had ({error.problem})", remedy=f"give {instead}"
        ) from None


def spread_over_speakers(rows: Sequence[Utterance], wanted: int, seed: int) -> list[Utterance]:
    """At most `wanted` rows, of as many speakers as there are and as evenly as can be."""
    rng = random.Random(seed)
    queues: dict[str, list[Utterance]] = {}
    for u in rows:
        queues.setdefault(u.speaker or u.id, []).append(u)
    order = sorted(queues)
    rng.shuffle(order)
    for queue in queues.values():
        rng.shuffle(queue)
    taken: list[Utterance] = []
    while len(taken) < min(wanted, len(rows)):
        taken += [queues[s].pop() for s in order if queues[s]][: wanted - len(taken)]
    return taken


def _halves(rows: Sequence[Utterance], seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """Rows of half the speakers, and of the others: checked on and trained on."""
    speakers = sorted({u.speaker or u.id for u in rows})
    random.Random(seed).shuffle(speakers)
    first = set(speakers[: (len(speakers) + 1) // 2])
    inside = [u for u in rows if (u.speaker or u.id) in first]
    return inside, [u for u in rows if (u.speaker or u.id) not in first]
