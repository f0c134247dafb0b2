"""Stage clean: utterances that cannot be used dropped, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from moontune.config.schema import PLAN_MINUTES, RunConfig
from moontune.data.annotations import SPEAKERS, labels_of_speakers
from moontune.data.cleaning import clean
from moontune.data.manifest import Utterance, write_manifest
from moontune.data.splitting import resolved_split
from moontune.errors import UserError
from moontune.languages.letters import is_latin
from moontune.languages.table import Language
from moontune.pipeline.general_speech import clean_general_speech
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import write_json, write_jsonl
from moontune.system.formatting import counted
from moontune.system.progress import Ui

_LABELS_SHOWN = 4  # of speakers, taken out of transcripts


def clean_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write the manifest `clean`, the reasons of all that was dropped, and hashes of the audio."""
    sampled = run.utterances("sampled")
    split_by = resolved_split(sampled, config.split.split_by)
    cleaned = clean(
        sampled,
        config.clean,
        keep_silence=config.data.source == "silence",
        need_speaker=split_by == "speaker",
        progress=ui.progress,
    )
    before = [r for r in run.rows("manifests/dropped.jsonl") if r["stage"] == "sample"]
    rows = before + [{"stage": "clean", **asdict(d)} for d in cleaned.dropped]
    write_jsonl(run.manifest("dropped"), rows)
    write_json(run / "manifests/audio_sha256.json", cleaned.audio_sha256)
    reasons = dict(Counter(r["reason"] for r in rows).most_common())
    minutes = sum(u.duration or 0.0 for u in cleaned.utterances) / 60
    _tell_dropped(run, rows, reasons, len(sampled), ui)
    if len(cleaned.utterances) < 3:
        raise UserError(
            f"{len(cleaned.utterances)} of {counted(len(sampled), 'utterance')} are usable and at "
            f"least 3 are needed; see {run.manifest('dropped')} for the reasons"
        )
    if cleaned.annotations:
        names = labels_of_speakers([u.text for u in sampled])
        shown = "".join(f', as "{name}:"' for name in names[:_LABELS_SHOWN])
        listed = ", ".join(
            f"{kind} in {n}{shown if kind == SPEAKERS else ''}"
            for kind, n in cleaned.annotations.items()
        )
        ui.note(f"taken out of transcripts, not being speech: {listed} (--keep-annotations)")
    usable = counted(len(cleaned.utterances), "usable utterance")
    ui.note(f"{usable}, {minutes:.1f} minutes")
    remarks = []
    if minutes < PLAN_MINUTES[0]:
        remarks.append(
            f"{minutes:.1f} minutes are less than the {PLAN_MINUTES[0]:.0f} and more that moontune "
            "is meant for: they can help, but show less, and less surely"
        )
    remarks += _foreign(sampled, config.language)
    if cleaned.two_people:
        remarks.append(
            f"in {counted(len(cleaned.two_people), 'stereo clip')} two people may be mixed, e.g. "
            f"{cleaned.two_people[0].where}; `channel` in the row picks one"
        )
    if cleaned.narrow > len(cleaned.utterances) / 2:
        remarks.append(
            f"{cleaned.narrow} of {counted(len(cleaned.utterances), 'clip')} hold nothing above "
            "4 kHz, as a telephone's do: the figures are for such a line"
        )
    for remark in remarks:
        ui.warn(remark)
    write_manifest(run.manifest("clean"), cleaned.utterances, keep_where=True)
    remark = clean_general_speech(run, config, ui, cleaned, split_by)
    return {
        "utterances": len(cleaned.utterances),
        "minutes": round(minutes, 2),
        "speakers": len({u.speaker for u in cleaned.utterances} - {None}),
        "dropped": reasons,
        "annotations": cleaned.annotations,
        "split_by": split_by,
        "remarks": remarks,
        "general_remark": remark,
    }


def _foreign(utterances: Sequence[Utterance], language: Language) -> list[str]:
    """A remark where texts are not in the script of the language: all in Latin letters, or not."""
    foreign = [
        u
        for u in utterances
        if any(map(str.isalpha, u.text)) and is_latin(u.text) != language.latin
    ]
    if not foreign:
        return []
    script = "not in Latin script" if language.latin else "in Latin script"
    return [
        f"{script}: {counted(len(foreign), 'text')}, e.g. {foreign[0].where}; the language is "
        f"{language.name}: where they and the base are of another, --language says so"
    ]


def _tell_dropped(
    run: RunDir, rows: list[dict[str, Any]], reasons: dict[str, int], sampled: int, ui: Ui
) -> None:
    """Each reason with an example, where all are listed, and a warning where half of the files
    cannot be read."""
    for reason, count in reasons.items():
        example = next(r for r in rows if r["reason"] == reason)
        ui.note(f"dropped {count}: {reason}, e.g. {example['where']}: {example['detail']}")
    if rows:
        ui.note(f"{counted(len(rows), 'dropped row')} in all: {run.manifest('dropped')}")
    unreadable = reasons.get("unreadable", 0)
    if unreadable and 2 * unreadable >= sampled:
        ui.alarm(
            f"{unreadable} of {counted(sampled, 'recording')} are missing or cannot be read; look "
            f"whether the manifest's paths are right, in {run.manifest('dropped')}"
        )
