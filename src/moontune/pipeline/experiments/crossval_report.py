"""What the folds of a cross-validation say together: figures, cautions, report. No torch here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, read_rows, write_manifest
from moontune.evaluation.acceptance import REMEDY, cautions
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show
from moontune.evaluation.predictions import stored_predictions
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.stages.report import write_report
from moontune.report.markdown import cell
from moontune.report.markdown_tables import changed, edits, groups, measures
from moontune.report.markdown_tables import drawn as intervals
from moontune.report.provenance import Section, command_facts, origin_text, setting_facts
from moontune.report.run_markdown import facts_table
from moontune.system.files import read_jsonl, write_json, write_jsonl
from moontune.system.formatting import counted
from moontune.training.stability import unsteady

FORGOTTEN = 0.005  # WER on general speech, mean over the folds


@dataclass(frozen=True)
class Fold:
    """What a fold's run came to."""

    run: RunDir
    training: dict[str, Any]
    before: dict[str, Any]  # eval_base.json
    after: dict[str, Any]
    general: tuple[float, float] | None  # WER on general speech, base and tuned


def pool(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """Write what the folds say together, as a run's files are written; returns `crossval.json`."""
    folds = [_read(RunDir(run / f"fold-{n}")) for n in range(1, run.record()["folds"] + 1)]
    rows: dict[str, list[dict[str, Any]]] = {}
    for which in ("base", "tuned"):
        files = (fold.run / f"predictions_{which}.jsonl" for fold in folds)
        rows[which] = [row for file in files for row in stored_predictions(file)]
        write_jsonl(run / f"predictions_{which}.jsonl", rows[which])
    write_json(run / "eval_base.json", _together([fold.before for fold in folds]))
    write_json(run / "eval_tuned.json", _together([fold.after for fold in folds]))
    write_manifest(run.manifest("test"), [u for fold in folds for u in _tested(fold)])
    write_json(run / "train.json", _trainings([fold.training for fold in folds]))
    comparison = compare(rows["base"], rows["tuned"], config.output.seed)
    last = folds[-1].run.stages()["evaluate"]
    run.finish_stage("evaluate", last)
    found = {
        "run": run.record()["name"],
        "comparison": comparison,
        "cautions": _cautions(comparison, folds),
        "folds": [_row(fold) for fold in folds],
        "split_by": config.split.split_by,
        "data": run.stages()["clean"] | {"origin": run.stages()["sample"]["origin"]},
        "base_model": last["base"],
        "device": last["device"],
        "environment": run.record()["environment"],
    }
    write_json(run / "crossval.json", found)
    _report(run, config, found, rows)
    run.mark_complete()
    return found


def _read(fold: RunDir) -> Fold:
    files = [fold / f"general_eval_{which}.json" for which in ("base", "tuned")]
    wers = [fold.read(file.name)["wer"] for file in files if file.is_file()]
    return Fold(
        fold,
        fold.read("train.json"),
        fold.read("eval_base.json"),
        fold.read("eval_tuned.json"),
        (wers[0], wers[1]) if len(wers) == 2 and None not in wers else None,
    )


def _tested(fold: Fold) -> list[Utterance]:
    return read_rows(fold.run.manifest("test"))


def _together(evaluations: list[dict[str, Any]]) -> dict[str, Any]:
    """What makes two cross-validations comparable: `comparison.unlike` looks at it."""

    def digest(key: str) -> str:
        return hashlib.sha256("".join(e[key] for e in evaluations).encode()).hexdigest()[:16]

    same = {key: evaluations[0][key] for key in ("normalizer", "decoding")}
    return same | {"manifest": digest("manifest"), "audio": digest("audio")}


def _trainings(of_folds: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(key: str) -> float:
        return sum(t[key] for t in of_folds) / len(of_folds)

    means = {key: mean(key) for key in ("steps", "best_step", "first_val_loss", "best_val_loss")}
    return means | {"seconds": sum(t["seconds"] for t in of_folds)}


def _row(fold: Fold) -> dict[str, Any]:
    t = fold.training
    return {
        "fold": fold.run.path.name,
        "utterances": fold.before["utterances"],
        "speakers": len({u.speaker for u in _tested(fold)}),
        "train_utterances": len(read_rows(fold.run.manifest("train"))),
        "wer": [fold.before["wer"], fold.after["wer"]],
        "loss": [fold.before["loss"], fold.after["loss"]],
        "general_wer": fold.general,
        "steps": t["steps"],
        "best_step": t["best_step"],
        "skipped": t["skipped"],
        "stopped": t["stopped"],
        "seconds": t["seconds"],
        "picked": t.get("picked", {}),
    }


def _picked(folds: list[dict[str, Any]]) -> dict[str, str]:
    """What the folds picked, each for its own data."""
    names = dict.fromkeys(name for fold in folds for name in fold["picked"])
    values = {
        name: [str(setting_text(fold["picked"].get(name))) for fold in folds] for name in names
    }
    return {name: ", ".join(dict.fromkeys(found)) for name, found in values.items()}


def _cautions(comparison: dict[str, Any], folds: list[Fold]) -> list[str]:
    found = cautions(comparison, None, folds[0].run.read("split.json"))
    if comparison["collapsed"]:
        found.append(f"Caution: the tuned models collapsed: {comparison['collapsed']}.")
    for fold in folds:
        for wrong in unsteady(read_jsonl(fold.run / "train_log.jsonl")):
            found.append(f"Caution: in {fold.run.path.name} {wrong}.")
        skipped = fold.training["skipped"]
        if skipped:
            found.append(f"Caution: {fold.run.path.name} left out {counted(skipped, 'update')}.")
        collapsed = fold.training.get("collapsed")
        if collapsed:
            found.append(
                f"Caution: in {fold.run.path.name} the base was kept, not the update with the "
                f"least loss: {collapsed}."
            )
        elif not fold.training["best_step"]:
            found.append(f"Caution: in {fold.run.path.name} no update was better than the base.")
    shared = [_leaks(fold, "audio") for fold in folds]
    if any(shared):
        found.append(
            f"Caution: in {sum(map(bool, shared))} of the folds recordings stand in two splits "
            f"({max(shared)} at most), so the figures are not of unseen clips."
        )
    heard = [fold.general for fold in folds if fold.general is not None]
    if heard:
        before, after = (sum(wers) / len(heard) for wers in zip(*heard, strict=True))
        if after - before > FORGOTTEN:
            found.append(
                f"Caution: it forgot general speech: WER {show('wer', before)} -> "
                f"{show('wer', after)} in the mean of the folds; {REMEDY}."
            )
    return found


def _leaks(fold: Fold, kind: str) -> int:
    return fold.run.read("split.json")["leakage"]["counts"][kind]


def _fold_facts(found: dict[str, Any]) -> Section:
    def arrow(pair: Any, name: str) -> str:
        if pair is None or None in pair:
            return "-"
        return " -> ".join(show(name, x) for x in pair)

    rows = [
        [
            f["fold"],
            f["train_utterances"],
            f["utterances"],
            f["speakers"],
            arrow(f["wer"], "wer"),
            arrow(f["loss"], "loss"),
            arrow(f["general_wer"], "wer"),
            f"{f['best_step']} of {f['steps']}",
        ]
        for f in found["folds"]
    ]
    head = ["fold", "trained on", "test clips", "speakers", "WER", "loss", "WER, general speech"]
    seconds = sum(f["seconds"] for f in found["folds"])
    met = "its speaker" if found["split_by"] == "speaker" else "it"
    note = (
        f"Each clip is tested once, by an adapter that never met {met}. Training took "
        f"{seconds:.0f} s in all. Origin: {origin_text(found['data']['origin'])}."
    )
    return Section("Folds", [*head, "update kept"], rows, note)


def _report(
    run: RunDir, config: RunConfig, found: dict[str, Any], rows: dict[str, list[dict[str, Any]]]
) -> None:
    """Write report.md and report.html, and put it first in the collected report."""
    from moontune.report.html.contents import crossval_page

    c = found["comparison"]
    sections = [
        _fold_facts(found),
        command_facts(found["environment"]["commands"]),
        setting_facts(config, _picked(found["folds"])),
    ]
    parts = [
        f"## {cell(found['run'])}, cross-validation",
        f"**{cell(c['sentences']['wer'])}**",
        *(cell(c["sentences"][name]) for name in ("loss", "typography") if name in c["sentences"]),
        *map(cell, found["cautions"]),
        measures(c),
        edits(c),
        intervals(c),
        *map(facts_table, sections[:1]),
        groups(c),
        changed(rows["base"], rows["tuned"]),
        *map(facts_table, sections[1:]),
    ]
    page = crossval_page(run, found, (rows["base"], rows["tuned"]), sections, config)
    write_report(run, config, "\n\n".join(parts) + "\n", page)
