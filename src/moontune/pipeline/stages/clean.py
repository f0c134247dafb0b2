"""Stage clean: utterances that cannot be used dropped, with the reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from moontune.config.schema import PLAN_MINUTES, RunConfig
from moontune.data.cleaning import clean
from moontune.data.manifest import read_run_manifest, write_manifest
from moontune.data.normalizer import is_latin
from moontune.data.splitting import resolved_split
from moontune.errors import UserError
from moontune.pipeline.general_speech import clean_general_speech
from moontune.pipeline.run_dir import RunDir
from moontune.system.files import read_jsonl, write_json, write_jsonl
from moontune.system.progress import Ui


def clean_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write the manifest `clean`, the reasons of all that was dropped, and hashes of the audio."""
    sampled = read_run_manifest(run.manifest("sampled"))
    split_by = resolved_split(sampled, config.split.split_by)
    cleaned = clean(
        sampled,
        config.clean,
        keep_silence=config.data.source == "silence",
        need_speaker=split_by == "speaker",
        progress=ui.progress,
    )
    before = [r for r in read_jsonl(run.manifest("dropped")) if r["stage"] == "sample"]
    rows = before + [{"stage": "clean", **asdict(d)} for d in cleaned.dropped]
    write_jsonl(run.manifest("dropped"), rows)
    write_json(run / "manifests/audio_sha256.json", cleaned.audio_sha256)
    reasons = dict(Counter(r["reason"] for r in rows).most_common())
    minutes = sum(u.duration or 0.0 for u in cleaned.utterances) / 60
    for reason, count in reasons.items():
        example = next(r for r in rows if r["reason"] == reason)
        ui.note(f"dropped {count}: {reason}, e.g. {example['where']}: {example['detail']}")
    if len(cleaned.utterances) < 3:
        raise UserError(
            f"{len(cleaned.utterances)} of {len(sampled)} utterances are usable and at least 3 are "
            f"needed; see {run.manifest('dropped')} for the reasons"
        )
    if cleaned.annotations:
        listed = ", ".join(f"{kind} in {n}" for kind, n in cleaned.annotations.items())
        ui.note(f"taken out of transcripts, not being speech: {listed} (--keep-annotations)")
    ui.note(f"{len(cleaned.utterances)} usable utterances, {minutes:.1f} minutes")
    low, high = PLAN_MINUTES
    remarks = []
    if not low <= minutes <= high:
        remarks.append(f"{minutes:.1f} minutes is outside the plan's {low:.0f}-{high:.0f}")
    foreign = [u for u in sampled if not is_latin(u.text)]
    if foreign:
        remarks.append(
            f"{len(foreign)} texts are not in Latin script, e.g. {foreign[0].where}; where the "
            "base is for their language, --tokens-per-second 13 gives it room"
        )
    if cleaned.two_people:
        remarks.append(
            f"in {len(cleaned.two_people)} stereo clips two people may be mixed, e.g. "
            f"{cleaned.two_people[0].where}; `channel` in the row picks one"
        )
    if cleaned.narrow > len(cleaned.utterances) / 2:
        remarks.append(
            f"{cleaned.narrow} of {len(cleaned.utterances)} clips hold nothing above 4 kHz, as a "
            "telephone's do: the figures are for such a line"
        )
    for remark in remarks:
        ui.warn(remark)
    write_manifest(run.manifest("clean"), cleaned.utterances, keep_where=True)
    remark = clean_general_speech(run, config, ui, cleaned)
    return {
        "utterances": len(cleaned.utterances),
        "minutes": round(minutes, 2),
        "speakers": len({u.speaker for u in cleaned.utterances}),
        "dropped": reasons,
        "annotations": cleaned.annotations,
        "split_by": split_by,
        "remarks": remarks,
        "general_remark": remark,
    }
