"""The general speech of a run: what is checked for forgetting, and what is replayed in training."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import Dropped, Utterance, read_rows, write_manifest
from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir
from moontune.system.cache import cache_dir
from moontune.system.files import write_jsonl
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.data.cleaning import Cleaned

_PURPOSE = {"general": "the check for forgetting", "replay": "replay"}


def more_speech(run: RunDir, name: str) -> list[Utterance]:
    """Clips of the run's manifest `general` or `replay`; none where it has no such speech."""
    file = run.manifest(name)
    return read_rows(file) if file.is_file() else []


def sample_more_speech(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """General speech for the forgetting check and for replay, where the settings want any."""
    from moontune.data.sources.general_speech import sample_general, sample_replay

    general, remark = sample_general(config, cache_dir() / "audio", ui.progress)
    replay = sample_replay(config, cache_dir() / "audio", ui.progress)
    if remark:
        ui.note(f"remark: {remark}")
    for name, found in (("general", general), ("replay", replay)):
        rows = found.utterances if found else []
        write_manifest(run.manifest(f"{name}_sampled"), rows, keep_where=True)
        _write_dropped(run, name, found.dropped if found else [])
        if found:
            ui.note(f"{len(rows)} clips of general speech for {_PURPOSE[name]}")
    return {
        "general": general.origin if general else None,
        "general_remark": remark,
        "replay": replay.origin if replay else None,
    }


def _write_dropped(run: RunDir, name: str, dropped: list[Dropped]) -> None:
    write_jsonl(run.manifest(f"{name}_dropped"), [asdict(d) for d in dropped])


def clean_more_speech(run: RunDir, config: RunConfig, ui: Ui, own: Cleaned) -> str | None:
    """Clean it, and leave out what is in the run's own data or is in both.

    Replay leaves out the run's speakers too, where the split keeps speakers whole: they might be in
    the test split. The check leaves them out where it is drawn from the run's own corpus. Returns a
    remark where nothing is left to check.
    """
    from moontune.data.cleaning import clean

    remark = None
    facts = run.stages()["sample"]
    heard, speakers = set(own.audio_sha256.values()), {u.speaker for u in own.utterances} - {None}
    for name in ("general", "replay"):
        sampled = more_speech(run, f"{name}_sampled")
        origin = facts.get(name) or {}
        replayed = name == "replay" and config.split.split_by == "speaker"
        strangers = replayed or _same_corpus(facts["origin"], origin)
        done = clean(sampled, config.clean, progress=ui.progress)
        kept, left_out = [], []
        for u in done.utterances:
            if done.audio_sha256[u.id] in heard:
                left_out.append(_left_out(u, "its audio is in the run's other data"))
            elif strangers and u.speaker in speakers:
                left_out.append(_left_out(u, f"speaker {u.speaker} is in the run's other data"))
            else:
                kept.append(u)
        heard |= set(done.audio_sha256.values())
        speakers |= {u.speaker for u in kept} - {None}
        write_manifest(run.manifest(name), kept)
        _write_dropped(run, name, [*done.dropped, *left_out])
        if len(kept) < len(sampled):
            ui.note(
                f"{len(kept)} of {len(sampled)} clips of general speech for {_PURPOSE[name]} are "
                f"used, the reasons are in {run.manifest(f'{name}_dropped')}"
            )
        if sampled and not kept:
            remark = _nothing_left(config, name)
            ui.note(f"remark: {remark}")
    return remark


def _left_out(u: Utterance, detail: str) -> Dropped:
    return Dropped(u.where or str(u.audio_filepath), u.id, "in the run's data", detail)


def _nothing_left(config: RunConfig, name: str) -> str:
    """What was not asked for may be missing; what was is a mistake."""
    text = f"no clip for {_PURPOSE[name]} is usable and outside the run's own data"
    if name == "general" and config.general.general == "auto":
        return f"forgetting is not checked: {text}"
    raise UserError(
        f"{text}; run again with --overwrite and another manifest, or with --general off, "
        "--replay-share 0"
    )


def _same_corpus(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("source", "manifest", "dataset"))
