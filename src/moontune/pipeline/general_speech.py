"""The general speech of a run: clips for the forgetting check, and clips replayed in training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from moontune.config.schema import RunConfig
from moontune.data.cleaning import Cleaned, clean
from moontune.data.manifest import (
    Dropped,
    Utterance,
    write_manifest,
)
from moontune.data.sources.base import DataOrigin
from moontune.data.sources.general_speech import sample_general, sample_replay
from moontune.data.splitting import SplitBy
from moontune.errors import UserError
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.cache import cache_dir
from moontune.system.files import write_jsonl
from moontune.system.formatting import counted
from moontune.system.progress import Ui

Use = Literal["general", "replay"]  # the forgetting check, and replay: so their files are named
_PURPOSE: dict[Use, str] = {"general": "the check for forgetting", "replay": "replay"}


def general_speech(run: RunDir, use: Use) -> list[Utterance]:
    """The run's clips for one use; none where it has no such speech."""
    return _read(run, use)


def _read(run: RunDir, manifest: str) -> list[Utterance]:
    return run.utterances(manifest) if run.manifest(manifest).is_file() else []


def sample_general_speech(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Sample clips for both uses, where the settings want any; returns where they are from."""
    general, remark = sample_general(config, cache_dir() / "audio", ui.progress)
    replay = sample_replay(config, cache_dir() / "audio", ui.progress)
    if remark:
        ui.warn(remark)
    samples: dict[Use, Any] = {"general": general, "replay": replay}
    for use, sample in samples.items():
        utterances = sample.utterances if sample else []
        write_manifest(run.manifest(f"{use}_sampled"), utterances, keep_where=True)
        _write_dropped(run, use, sample.dropped if sample else [])
        if sample:
            ui.note(f"{counted(len(utterances), 'clip')} of general speech for {_PURPOSE[use]}")
    return {
        "general": general.origin.to_json() if general else None,
        "general_remark": remark,
        "replay": replay.origin.to_json() if replay else None,
    }


def _write_dropped(run: RunDir, use: Use, dropped: list[Dropped]) -> None:
    write_jsonl(run.manifest(f"{use}_dropped"), [asdict(d) for d in dropped])


@dataclass(frozen=True)
class _Part:
    """A part of a run's speech: what is in one must not be in another."""

    recordings: set[str]  # hashes of their samples
    utterances: list[Utterance]

    @property
    def speakers(self) -> set[str]:
        return {u.speaker for u in self.utterances if u.speaker is not None}


def clean_general_speech(
    run: RunDir, config: RunConfig, ui: Ui, own: Cleaned, split_by: SplitBy
) -> str | None:
    """Clean the clips for both uses, and leave out what another part of the run has, whose own
    clips are to be split by that.

    Returns a remark where nothing is left to check. Raises UserError where nothing is left of
    what was asked for.
    """
    own_part = _Part(set(own.audio_sha256.values()), own.utterances)
    check, remark = _clean_check(run, config, ui, own_part)
    _clean_replay(run, config, ui, [own_part, check], split_by)
    return remark


def _clean_check(run: RunDir, config: RunConfig, ui: Ui, own: _Part) -> tuple[_Part, str | None]:
    """Of the run's own corpus, only other speakers are checked."""
    sampled = _read(run, "general_sampled")
    check = _clean(run, config, ui, "general", [own], same_speakers=not _own_corpus(run, "general"))
    if check.utterances or not sampled:
        return check, None
    if config.general.general != "auto":
        raise _nothing_left("general")
    remark = f"forgetting is not checked: {_none_usable('general')}"
    ui.warn(remark)
    return check, remark


def _clean_replay(
    run: RunDir, config: RunConfig, ui: Ui, others: list[_Part], split_by: SplitBy
) -> None:
    """Where the split keeps speakers whole, one that is replayed might be in the test split."""
    sampled = _read(run, "replay_sampled")
    same_speakers = split_by != "speaker" and not _own_corpus(run, "replay")
    replay = _clean(run, config, ui, "replay", others, same_speakers=same_speakers)
    if sampled and not replay.utterances:
        raise _nothing_left("replay")


def _clean(
    run: RunDir, config: RunConfig, ui: Ui, use: Use, others: list[_Part], *, same_speakers: bool
) -> _Part:
    """Write the manifest of one use and the reasons for what is not in it.

    `same_speakers`: speakers of the other parts may be in this one.
    """
    sampled = _read(run, f"{use}_sampled")
    cleaned = clean(sampled, config.clean, progress=ui.progress)
    recordings = set[str]().union(*(part.recordings for part in others))
    speakers = set[str]().union(*(part.speakers for part in others))
    usable, left_out = [], []
    for u in cleaned.utterances:
        if cleaned.audio_sha256[u.id] in recordings:
            left_out.append(_left_out(u, "its audio is in the run's other data"))
        elif not same_speakers and u.speaker in speakers:
            left_out.append(_left_out(u, f"speaker {u.speaker} is in the run's other data"))
        else:
            usable.append(u)
    write_manifest(run.manifest(use), usable)
    _write_dropped(run, use, [*cleaned.dropped, *left_out])
    if len(usable) < len(sampled):
        ui.note(
            f"{len(usable)} of {counted(len(sampled), 'clip')} of general speech for "
            f"{_PURPOSE[use]} are used, the reasons are in {run.manifest(f'{use}_dropped')}"
        )
    return _Part(set(cleaned.audio_sha256.values()), usable)


def _left_out(u: Utterance, detail: str) -> Dropped:
    return Dropped(u.where or str(u.audio_filepath), u.id, "in the run's data", detail)


def _none_usable(use: Use) -> str:
    return f"no clip for {_PURPOSE[use]} is usable and outside the run's own data"


def _nothing_left(use: Use) -> UserError:
    return UserError(
        f"{_none_usable(use)}; run again with --overwrite and another manifest, or with --general "
        "off, --replay-share 0"
    )


def _own_corpus(run: RunDir, use: Use) -> bool:
    """Speech for this use is drawn from where the run's own data is."""
    facts = run.stages()["sample"]
    if not facts.get(use):
        return False
    return DataOrigin.from_json(facts[use]).same_corpus(DataOrigin.from_json(facts["origin"]))
