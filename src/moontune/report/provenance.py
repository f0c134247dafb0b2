"""The provenance of a run as tables: its data, artifact, commands, settings and machine."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from moontune.config.loading import setting_text, to_dict
from moontune.config.schema import RunConfig
from moontune.config.validation import in_effect, without_effect
from moontune.data.recordings import KeptTogether
from moontune.data.sources.base import DataOrigin
from moontune.languages.table import current
from moontune.report.results.final import FinalMetrics
from moontune.report.results.metrics import RunMetrics
from moontune.report.results.run import ArtifactTest, RunResults
from moontune.system.formatting import counted, percent

_NAMED = 4  # settings in the title of a folded table


@dataclass(frozen=True)
class Section:
    """A table of a report; without a head its rows are lines of code."""

    title: str
    head: list[str]
    rows: list[list[Any]]
    note: str = ""
    folded: bool = False  # on a page opened by whoever wants it


def provenance_of(results: RunResults) -> list[Section]:
    """All of them, in the order of the reports."""
    return [
        data_facts(results.metrics),
        artifact_facts(results.artifact),
        command_facts(results.commands),
        setting_facts(results.config, results.metrics.training.reasons),
        machine_facts(results.metrics),
    ]


def data_facts(metrics: RunMetrics) -> Section:
    data, general = metrics.data, metrics.general
    named = metrics.comparison.speakers > 0
    rows = [
        [
            name,
            split.utterances,
            split.speakers if named else "-",
            f"{split.seconds / 60:.1f}",
            f"{100 * split.share:.1f} %, {100 * split.wanted:.0f} wanted",
        ]
        for name, split in data.splits.items()
    ]
    dropped = ", ".join(f"{n} {reason}" for reason, n in data.corpus.dropped.items()) or "none"
    more = "".join(
        f" {use}: {origin_text(origin)}."
        for use, origin in (
            ("Checked for forgetting on", general.origin),
            ("Replayed", general.replay),
        )
        if origin
    )
    listed = (f"{kind} in {n}" for kind, n in data.corpus.annotations.items())
    taken = ", ".join(listed) or "nothing"
    note = kept_text(data.kept) + (
        f"Shared between splits: {shared_text(data.leakage)}. Dropped: {dropped}. "
        f"Taken out of transcripts: {taken}. References are "
        f"{data.references}, labels {data.labels}. Set aside: {data.set_aside}. "
        f"Origin: {origin_text(data.corpus.origin)}.{more}"
    )
    head = ["split", "clips", "speakers", "minutes", "share of the audio"]
    return Section("Data and split", head, rows, note)


def kept_text(kept: KeptTogether | None) -> str:
    """What a split kept on one side, as a sentence with a space behind it; empty for nothing."""
    text = "" if kept is None else kept.sentence
    return f"{text[:1].upper()}{text[1:]}. " if text else ""


def shared_text(leakage: Mapping[str, int]) -> str:
    """What stands in two splits, by kind: "2 recordings, 1 sentence", or "nothing"."""
    nouns = {"audio": "recording"}
    found = (counted(n, nouns.get(kind, kind)) for kind, n in leakage.items() if n)
    return ", ".join(found) or "nothing"


def origin_text(origin: DataOrigin) -> str:
    """The source of data in words, without the folder it happens to lie in."""
    return ", ".join(f"{k} {v}" for k, v in origin.in_words.items() if k != "folder")


def artifact_facts(artifact: ArtifactTest) -> Section:
    rows = [
        [clip.id, clip.reference, clip.transcript, "yes" if clip.same_tokens else "NO"]
        for clip in artifact.clips
    ]
    label = current().rate_label
    rate = "" if artifact.rate is None else f", {label} {percent(artifact.rate)} on these clips"
    note = (
        f"Reloaded in a fresh process on {artifact.device}{rate}: "
        f"scripts/{shlex.join(artifact.command)}"
    )
    return Section("The artifact", ["clip", "reference", "transcript", "same tokens"], rows, note)


def artifact_counts(artifact: ArtifactTest) -> Section:
    """The same without the clips: how many were the same, and where."""
    same = sum(clip.same_tokens for clip in artifact.clips)
    label = current().rate_label
    rate = "" if artifact.rate is None else f", {label} {percent(artifact.rate)} on these clips"
    note = (
        f"Reloaded in a fresh process on {artifact.device}{rate}: "
        f"{same} of {counted(len(artifact.clips), 'clip')} gave identical tokens."
    )
    return Section("The artifact", [], [], note)


def command_facts(commands: list[list[str]]) -> Section:
    return Section("Commands", [], [["moontune " + shlex.join(words)] for words in commands])


def setting_facts(
    config: RunConfig,
    reasons: dict[str, str] | None = None,
    shown: Collection[str] | None = None,
) -> Section:
    """Settings in effect, those that differ from the defaults first; `reasons` of those that were
    recommended for the data. Of `shown` alone, where it is given."""
    usual, asked = _flat(RunConfig()), _flat(config)
    idle = without_effect(config)
    effect = {
        k: v
        for k, v in _flat(in_effect(config)).items()
        if k not in idle and (shown is None or k in shown)
    }
    changed = [name for name in effect if name in asked and asked[name] != usual.get(name)]
    names = [*changed, *(name for name in effect if name not in changed)]
    rows = [[name, setting_text(effect[name])] for name in names]
    recommended = "; ".join(f"{name}: {reason}" for name, reason in (reasons or {}).items())
    few = "differs" if len(changed) == 1 else f"{len(changed)} differ"
    note = f"The first {few} from the defaults." if changed else "All by default."
    note += f" Picked for the data: {recommended}." if recommended else ""
    title = f"Settings: {', '.join(changed[:_NAMED])}" if changed else "Settings"
    title += ", ..." if len(changed) > _NAMED else ""
    return Section(title, ["setting", "value"], rows, note, folded=True)


def _flat(config: RunConfig) -> dict[str, Any]:
    return {k: v for section in to_dict(config).values() for k, v in section.items()}


def machine_facts(metrics: RunMetrics | FinalMetrics) -> Section:
    environment, base, device = metrics.environment, metrics.base, metrics.device
    versions = ", ".join(f"{k} {v}" for k, v in environment.versions.items())
    rows = [
        ["base", f"{base.asked} ({base.hub_id}, revision {base.revision or 'not stated'})"],
        ["type", base.model_type],
        ["weights", f"sha256 {base.sha256[:16]}"],
        ["device", f"{device.name} ({device.reason}), {device.dtype}"],
        ["training", _training(metrics)],
        ["seconds", ", ".join(f"{k} {v:.0f}" for k, v in metrics.stage_seconds.items())],
        ["python", f"{environment.python} on {environment.platform}"],
        ["versions", versions],
        ["source", environment.git_revision or "installed package"],
        ["started", environment.started],
    ]
    note = ". ".join(metrics.remarks)
    return Section("Machine and versions", ["", ""], rows, note, folded=True)


def _training(metrics: RunMetrics | FinalMetrics) -> str:
    training = metrics.training
    figures, reversed_clips = training.figures, training.reversed_clips
    text = (
        f"{figures.steps} updates ({training.stopped}), {training.skipped} skipped, "
        f"{training.trainable_parameters:,} parameters, matrix products in {training.dtype}, "
        f"{figures.seconds:.0f} s of which {training.seconds_validating:.0f} s validating, "
        f"{training.utterances_per_second:.1f} clips a second"
    )
    if training.word_errors:
        text += f", then {training.word_errors}"
    if not reversed_clips.clips:
        return text
    return (
        f"{text}, {reversed_clips.clips} clips heard backwards too, with nothing to write for "
        f"{reversed_clips.empty}"
    )
