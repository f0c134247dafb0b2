"""Stage split: train, val and test, by whole speakers or by recordings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from moontune.config.recommended import clips_heard
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, write_manifest
from moontune.data.splitting import SPLITS, Split, SplitBy, SplitName, meaning_of, split_utterances
from moontune.errors import UserError
from moontune.pipeline.earlier_run import (
    corrected_clips,
    earlier_run,
    earlier_splits,
    write_left_out,
    write_new_clips,
)
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.report.provenance import shared_text
from moontune.system.files import write_json
from moontune.system.formatting import agreeing, counted
from moontune.system.progress import Ui

_SEVERAL = 1_000  # clips, which are soon labelled


def split_by_of(run: RunDir, config: RunConfig) -> SplitBy:
    """How a run's cleaned utterances are split: as asked, or as `auto` is for them."""
    asked = config.split.split_by
    return run.stages()["clean"]["split_by"] if asked == "auto" else asked


def _most(config: RunConfig, kind: str) -> dict[SplitName, int]:
    """The clips that are kept at most, for a label has to be made for each: no fewer than a
    training comes to hear, or hours of audio would wait for minutes of training."""
    most = max(_SEVERAL, clips_heard(config))
    if kind == "sweep":  # whose trials may be longer than the run's own settings say
        longer = replace(config, train=replace(config.train, max_steps=None))
        most = max(most, clips_heard(longer))
    return {"train": most, "val": max(_SEVERAL, most // 10)}


def _remarks(split: Split, new: str) -> list[str]:
    """What to say of clips that were left out; `new`: of which, if not of all."""
    why = {
        "train": "a training by these settings hears no more",
        "val": "these are enough to validate on",
    }
    return [
        f"of {name}, {counted(len(gone), f'{new}clip')} {agreeing(len(gone), 'was', 'were')} left "
        f"out at random, and {len(split.parts[name]):,} kept: {why[name]}"
        for name, gone in split.left_out.items()
    ]


def split_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write the manifests of the splits, and split.json with their shares and what they share."""
    utterances = run.utterances("clean")
    hashes: dict[str, str] = run.read("manifests/audio_sha256.json")
    earlier = earlier_run(config)
    fixed = earlier_splits(earlier, hashes) if earlier else {}
    corrected = corrected_clips(earlier, utterances, hashes) if earlier else set()
    if earlier is not None and not corrected and len(fixed) == len(utterances):
        raise UserError(
            f"--after {earlier.path}: no clip of --manifest is new or has another text; which were "
            f"dropped, and why, is in {run.manifest('dropped')}; give other clips"
        )

    def audio_key(u: Utterance) -> str:
        return hashes.get(u.id, "")

    split = split_utterances(
        utterances,
        val_share=config.split.val_share,
        test_share=config.split.test_share,
        seed=config.output.seed,
        split_by=split_by_of(run, config),
        audio_key=audio_key,
        fixed=fixed,
    )
    split = split.with_at_most(_most(config, run.kind), audio_key, fixed)
    gone = [u for part in split.left_out.values() for u in part]
    write_left_out(run, gone)
    remarks = _remarks(split, "new " if fixed else "")
    for remark in remarks:
        ui.note(remark)
    if earlier is not None:
        empty = [name for name in SPLITS if not split.parts[name]]
        if empty:
            raise UserError(
                f"{earlier.path}: none of its {empty[0]} clips is there any more; leave --after out"
            )
        new = len(utterances) - len(fixed) - len(gone)
        write_new_clips(run, earlier, split, fixed, corrected)
        texts = f", {len(corrected):,} of them with another text" if corrected else ""
        stay = f"{len(fixed):,} stay where {earlier.path} had them{texts}"
        ui.note(f"{counted(new, 'new clip')}; {stay}")
    for name in SPLITS:
        write_manifest(run.manifest(name), split.parts[name], keep_where=True)
        share = split.shares[name]
        ui.note(
            f"{name:5} {counted(share.utterances, 'clip'):>9}, "
            f"{counted(share.speakers, 'speaker') if share.speakers else 'not named':>11}, "
            f"{share.seconds / 60:5.1f} min ({100 * share.share:.1f} %, wanted "
            f"{100 * share.wanted:.0f} %)"
        )
    summary = split.summary()
    counts: dict[str, int] = summary["leakage"]["counts"]
    if meaning := meaning_of(split.split_by, split.voices):
        ui.note(f"split by recording: {meaning}")
    if split.kept is not None and split.kept.sentence:
        ui.note(split.kept.sentence)
    nameless = any(u.speaker is None for u in utterances)
    if split.split_by == "utterance" and split.voices and nameless:
        ui.warn("not every clip names its speaker, so shared speakers cannot be counted")
    ui.note(f"shared between splits: {shared_text(counts)}")
    write_json(run / "split.json", summary)
    return {"leakage": counts, "remarks": remarks}
