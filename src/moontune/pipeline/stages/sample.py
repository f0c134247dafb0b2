"""What each stage of a run does: from what the run's folder holds to what it leaves there."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from moontune.config.schema import PLAN_MINUTES, RunConfig
from moontune.data.manifest import Dropped, read_rows, write_manifest
from moontune.data.splitting import SPLITS
from moontune.data.truecasing import is_latin
from moontune.errors import UserError
from moontune.pipeline.general_speech import clean_more_speech, sample_more_speech
from moontune.pipeline.run_dir import RunDir
from moontune.system.cache import cache_dir
from moontune.system.files import read_jsonl, write_json, write_jsonl
from moontune.system.progress import Ui


def sample_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.data.sources.dispatch import sample

    taken = sample(
        config.data,
        config.clean,
        seed=config.output.seed,
        audio_dir=cache_dir() / "audio",
        progress=ui.progress,
    )
    write_manifest(run.manifest("sampled"), taken.utterances, keep_where=True)
    write_jsonl(run.manifest("dropped"), [_dropped_row("sample", d) for d in taken.dropped])
    facts = {"utterances": len(taken.utterances), "dropped": len(taken.dropped)}
    ui.note(f"{len(taken.utterances)} utterances from {config.data.source}")
    again = [u for u in taken.utterances if u.where and u.id.endswith(f"#{_line(u.where)}")]
    if again:
        ui.note(
            f"remark: {len(again)} ids were used before, e.g. {again[0].where}, now {again[0].id}"
        )
    return facts | {"origin": taken.origin} | sample_more_speech(run, config, ui)


def _line(where: str) -> str:
    return where.rpartition(":")[2]


def _dropped_row(stage: str, d: Dropped) -> dict[str, Any]:
    return {"stage": stage, **asdict(d)}


def clean_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.data.cleaning import clean

    sampled = read_rows(run.manifest("sampled"))
    result = clean(
        sampled,
        config.clean,
        keep_silence=config.data.source == "silence",
        need_speaker=config.split.split_by == "speaker",
        progress=ui.progress,
    )
    before = [r for r in read_jsonl(run.manifest("dropped")) if r["stage"] == "sample"]
    rows = before + [_dropped_row("clean", d) for d in result.dropped]
    write_jsonl(run.manifest("dropped"), rows)
    write_json(run / "manifests/audio_sha256.json", result.audio_sha256)
    reasons = dict(Counter(r["reason"] for r in rows).most_common())
    minutes = sum(u.duration or 0.0 for u in result.utterances) / 60
    for reason, count in reasons.items():
        example = next(r for r in rows if r["reason"] == reason)
        ui.note(f"dropped {count}: {reason}, e.g. {example['where']}: {example['detail']}")
    if len(result.utterances) < 3:
        raise UserError(
            f"{len(result.utterances)} of {len(sampled)} utterances are usable and at least 3 are "
            f"needed; see {run.manifest('dropped')} for the reasons"
        )
    ui.note(f"{len(result.utterances)} usable utterances, {minutes:.1f} minutes")
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
    for remark in remarks:
        ui.note(f"remark: {remark}")
    write_manifest(run.manifest("clean"), result.utterances)
    remark = clean_more_speech(run, config, ui, result)
    return {
        "utterances": len(result.utterances),
        "minutes": round(minutes, 2),
        "speakers": len({u.speaker for u in result.utterances}),
        "dropped": reasons,
        "remarks": remarks,
        "general_remark": remark,
    }


def split_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.data.splitting import split_utterances

    utterances = read_rows(run.manifest("clean"))
    hashes: dict[str, str] = run.read("manifests/audio_sha256.json")
    done = split_utterances(
        utterances,
        val_share=config.split.val_share,
        test_share=config.split.test_share,
        seed=config.output.seed,
        split_by=config.split.split_by,
        audio_key=lambda u: hashes.get(u.id, ""),
    )
    for name in SPLITS:
        write_manifest(run.manifest(name), done.parts[name])
        s = done.shares[name]
        ui.note(
            f"{name:5} {s.utterances:4} clips, {s.speakers:3} speakers, {s.seconds / 60:5.1f} min "
            f"({100 * s.share:.1f} %, wanted {100 * s.wanted:.0f} %)"
        )
    summary = done.summary()
    counts = summary["leakage"]["counts"]
    if config.split.split_by == "utterance" and any(u.speaker is None for u in utterances):
        ui.note("remark: not every clip names its speaker, so shared speakers cannot be counted")
    ui.note(
        "shared between splits: "
        + ", ".join(
            f"{n} {kind}{'' if n == 1 or kind == 'audio' else 's'}" for kind, n in counts.items()
        )
    )
    write_json(run / "split.json", summary)
    return {"leakage": counts}


def artifact_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.pipeline.stages.artifact import artifact_test

    done = artifact_test(run, config)
    ui.note(
        f"fresh process: {done['clips_identical']} of {done['clips_compared']} clips gave "
        "identical token ids"
    )
    return {}


def verdict_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.pipeline.stages.verdict import write_metrics

    metrics = write_metrics(run, config)
    return {"accepted": metrics["accepted"]}


def report_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.report.run_markdown import update_report

    update_report(run, config)
    ui.note(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")
    return {}
