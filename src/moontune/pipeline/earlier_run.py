"""The run that another comes after: its clips come along and stay in their splits.

So what was tested on stays unheard, and what the new clips bought can be told on the same clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from moontune.config.schema import DataConfig, ModelConfig, RunConfig, SplitConfig
from moontune.data.manifest import Dropped, Utterance, read_manifest, write_manifest
from moontune.data.sources.base import Sample
from moontune.data.splitting import SPLITS, Split, SplitBy, SplitName
from moontune.errors import UserError
from moontune.evaluation.comparison import compare
from moontune.models.locate import is_hub_id
from moontune.pipeline.run_folder.opening import evaluated_run, open_run
from moontune.pipeline.run_folder.record import KINDS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import real_path, user_path, write_json

NEW_CLIPS = "new_clips.json"
_LEFT_OUT = "left_out"  # a manifest
_CUT = "left out by the earlier split"
Sound = tuple[Path, float | None, int | None]  # a file, where in it, and the channel


def earlier_run(config: RunConfig) -> RunDir | None:
    """The run that this one comes after; None where it comes after none. Raises UserError."""
    place = config.data.after
    if place is None:
        return None
    run = evaluated_run(place)
    if run.kind != "run":
        raise UserError(f"--after {place}: is {KINDS[run.kind]}; name a single run")
    return run


def may_come_after(place: str | None) -> RunDir | None:
    """The run in a folder, where another can come after it; None of anything else."""
    if place is None or not (user_path(place) / "run.json").is_file():
        return None
    run = open_run(user_path(place))
    return run if run.kind == "run" and "evaluate" in run.stages() else None


def with_earlier(config: RunConfig) -> RunConfig:
    """The configuration with the earlier run's clips before the new ones, and with its base.

    The same again of one that has them. Raises UserError where the two do not go together.
    """
    run = earlier_run(config)
    if run is None:
        return config
    clips = run.file("manifests/clean.jsonl")
    new = [path for path in config.data.manifest or () if real_path(path) != real_path(clips)]
    if not new:
        raise UserError(f"--after {run.path}: its clips are known; add --manifest with new ones")
    if config.data.utterances is not None:
        raise UserError("--after takes all clips, and --utterances a part of them; drop one")
    return replace(
        config,
        data=replace(config.data, manifest=(clips, *new)),
        split=_same_split(config.split, run),
        model=_same_base(config.model, run),
    )


def left_out_beside(reviewed: Path) -> Path:
    """The file of what a review dropped, beside the manifest that it wrote."""
    return reviewed.with_name(f"{reviewed.stem}.left_out.jsonl")


def without_left_out(sample: Sample, config: DataConfig) -> Sample:
    """A sample without those clips of the earlier run that its split left out, or that the review
    behind a new manifest dropped."""
    if config.after is None or not config.manifest:
        return sample
    clips, *new = config.manifest
    beside = [left_out_beside(user_path(path)) for path in new]
    files = [file for file in beside if file.is_file() and file.stat().st_size]
    dropped = {
        sound_of(u): ("dropped in a review", f"is in {file.name}")
        for file in files
        for u in read_manifest(file)[0]
    }
    cut = _left_out_of(RunDir(user_path(config.after)))
    kept, gone = [], []
    for u in sample.utterances:
        is_earlier = u.where is not None and u.where.rpartition(":")[0] == str(clips)
        if is_earlier and sound_of(u) in dropped:
            gone.append(Dropped(u.where or u.id, u.id, *dropped[sound_of(u)]))
        elif sound_of(u) in cut:
            gone.append(Dropped(u.where or u.id, u.id, _CUT, f"{config.after} had enough without"))
        else:
            kept.append(u)
    return replace(sample, utterances=kept, dropped=[*sample.dropped, *gone])


def write_left_out(run: RunDir, gone: Sequence[Utterance]) -> None:
    """Keep which clips its split left out, and those that the runs before it did: none of them is
    new to a run that comes after it."""
    before = earlier_run(run.config())
    rows = [*(_rows_left_out(before) if before else ()), *gone]
    if rows:
        write_manifest(run.manifest(_LEFT_OUT), rows, keep_where=True)
    else:
        run.manifest(_LEFT_OUT).unlink(missing_ok=True)


def _rows_left_out(run: RunDir) -> list[Utterance]:
    return run.utterances(_LEFT_OUT) if run.manifest(_LEFT_OUT).is_file() else []


def _left_out_of(run: RunDir) -> set[Sound]:
    return {sound_of(u) for u in _rows_left_out(run)}


def sound_of(u: Utterance) -> Sound:
    """The stretch of audio that a clip is."""
    return real_path(u.audio_filepath), u.offset, u.channel


def _same_split(split: SplitConfig, run: RunDir) -> SplitConfig:
    """Split as the earlier run is. Raises UserError where another way is asked for."""
    theirs: SplitBy = run.read("split.json")["split_by"]
    if split.split_by not in ("auto", theirs):
        raise UserError(
            f"--split-by {split.split_by}: {run.path} is split by {theirs}, and its splits stay; "
            "leave it out, or leave --after out"
        )
    return replace(split, split_by=theirs)


def _same_base(model: ModelConfig, run: RunDir) -> ModelConfig:
    """The earlier run's base, where none is asked for. Raises UserError for another."""
    theirs = run.config().model
    if model.language not in (None, theirs.language):
        raise UserError(
            f"--language {model.language}: {run.path} is in {theirs.language}; leave it out, or "
            "leave --after out"
        )
    model = replace(model, language=theirs.language)
    if replace(model, language=None) == ModelConfig() or model == theirs:
        return theirs
    ours, known = (
        name if is_hub_id(name) else str(real_path(Path(name)))
        for name in (model.model_id, theirs.model_id)
    )
    if ours != known:
        raise UserError(
            f"--model-id {model.model_id}: {run.path} is on {theirs.model_id}, and figures of two "
            "bases say nothing of the clips; leave it out, or leave --after out"
        )
    return model


def write_new_clips(
    run: RunDir, earlier: RunDir, split: Split, fixed: dict[str, SplitName], corrected: set[str]
) -> None:
    """Write which clips the earlier run had not, and of how many it had another text."""
    new = {name: [u.id for u in split.parts[name] if u.id not in fixed] for name in SPLITS}
    row = {
        "run": str(earlier.path),
        "new": {name: len(ids) for name, ids in new.items()},
        "new_test": new["test"],
        "corrected": {s: sum(u.id in corrected for u in split.parts[s]) for s in SPLITS},
    }
    write_json(run / NEW_CLIPS, row)


def new_clips_of(run: RunDir, seed: int) -> dict[str, Any] | None:
    """What the new clips bought, as metrics.json has it; None of a run that came after none."""
    predictions = run / "predictions_earlier.jsonl"
    if not (run / NEW_CLIPS).is_file() or not predictions.is_file():
        return None
    row = run.read(NEW_CLIPS)
    before, after = (run.predictions(which) for which in ("earlier", "tuned"))
    new = set(row.pop("new_test"))
    new_before, new_after = ([r for r in rows if r["id"] in new] for rows in (before, after))
    return row | {
        "comparison": compare(before, after, seed).to_json(),
        "of_new": compare(new_before, new_after, seed).to_json() if new else None,
    }


def earlier_splits(run: RunDir, digests: dict[str, str]) -> dict[str, SplitName]:
    """The splits that the earlier run had clips in, by the new run's ids.

    `digests` are hashes of the new run's samples by id: a clip is the same whatever it is called.
    """
    theirs: dict[str, str] = run.read("manifests/audio_sha256.json")
    where: dict[str, SplitName] = {
        theirs[u.id]: name for name in SPLITS for u in run.utterances(name)
    }
    return {name: where[d] for name, d in digests.items() if d in where}


def corrected_clips(
    run: RunDir, utterances: Iterable[Utterance], digests: dict[str, str]
) -> set[str]:
    """Ids of those that the earlier run had with another text."""
    theirs: dict[str, str] = run.read("manifests/audio_sha256.json")
    texts = {theirs[u.id]: u.text for u in run.utterances("clean")}
    return {u.id for u in utterances if texts.get(digests[u.id], u.text) != u.text}
