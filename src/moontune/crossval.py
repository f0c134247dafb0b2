"""`moontune crossval`: a run for every fold, and what they say together. No torch here."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from moontune.comparison import compare
from moontune.config import Folds, RunConfig
from moontune.errors import UserError
from moontune.facts import Section, command_facts, setting_facts
from moontune.files import new_folder, write_json, write_jsonl, write_text
from moontune.manifest import Utterance, read_manifest, read_rows, write_manifest
from moontune.markdown import cell
from moontune.parallel import SOLO, Group
from moontune.pipeline import run_stage, stage_named
from moontune.predictions import stored_predictions
from moontune.report import check_report_file, facts_table, merged, run_key
from moontune.report_figures import changed, edits, groups, measures
from moontune.report_figures import drawn as intervals
from moontune.rundir import RunDir, create_run
from moontune.split import SPLITS, check_count, groups_of, split_folds
from moontune.stage_ui import Ui
from moontune.stages import labels_stage
from moontune.verdict import REMEDY, cautions
from moontune.wording import counted, origin_text, show

BEFORE = ("sample", "clean")  # done once, for all folds
FORGOTTEN = 0.005  # WER on general speech, mean over the folds
_OF_A_FOLD = ("labels", "baseline", "train", "evaluate")


class FoldUi(Ui, Protocol):
    """Also tells which fold is at work."""

    def stage(self, name: str, summary: str, index: int, count: int) -> None: ...


@dataclass(frozen=True)
class Fold:
    """What a fold's run came to."""

    run: RunDir
    training: dict[str, Any]
    before: dict[str, Any]  # eval_base.json
    after: dict[str, Any]
    general: tuple[float, float] | None  # WER on general speech, base and tuned


def check_folds(config: RunConfig, folds: Folds) -> None:
    """Raises UserError, before anything is spent, for folds that the data cannot have."""
    if folds == "speaker":
        return
    if folds < 3:
        raise UserError(
            f"--folds {folds}: what a fold leaves must be enough to train and to validate; give 3 "
            "or more, or use moontune run"
        )
    if config.data.manifest is not None:
        by = config.split.split_by
        check_count(groups_of(read_manifest(config.data.manifest)[0], by), folds, by)


def make_folds(run: RunDir, config: RunConfig, ui: Ui) -> None:
    """Give a run of cleaned utterances its folds: runs of their own, split and ready to go on."""
    hashes: dict[str, str] = run.read("manifests/audio_sha256.json")
    splits = split_folds(
        read_rows(run.manifest("clean")),
        folds=run.record()["asked_folds"],
        val_share=config.split.val_share,
        seed=config.output.seed,
        split_by=config.split.split_by,
        audio_key=lambda u: hashes.get(u.id, ""),
    )
    done, command = run.stages(), run.commands()[-1]
    for number, split in enumerate(splits, 1):
        path = run / f"fold-{number}"
        with new_folder(path) as empty:
            fold = create_run(_of_fold(config, run, number), empty, path.name, command)
            shutil.copytree(run / "manifests", empty / "manifests")
            for name in SPLITS:
                write_manifest(fold.manifest(name), split.parts[name])
            summary = split.summary()
            write_json(fold / "split.json", summary)
            for name in BEFORE:
                fold.finish_stage(name, done[name])
            leaks = {"leakage": summary["leakage"]["counts"], "seconds": 0.0}
            fold.finish_stage("split", leaks)
        size = ", ".join(f"{name} {len(split.parts[name])} clips" for name in SPLITS)
        ui.note(f"fold {number}: {size}, {split.shares['test'].speakers} speakers in test")
    run.note(folds=len(splits))


def _of_fold(config: RunConfig, run: RunDir, number: int) -> RunConfig:
    """So that the fold can be gone on with as a run: `moontune run --resume`, the artifact too."""
    place = replace(config.output, run_name=f"fold-{number}", output_dir=run.path)
    return replace(config, output=place)


def do_folds(run: RunDir, ui: FoldUi, group: Group = SOLO) -> None:
    """Train and measure every fold, those left over from an interrupted cross-validation first."""
    group.of_lead(lambda: _check_unchanged(run))
    count = group.of_lead(lambda: run.record()["folds"])
    written: dict[str, str] = {}  # the base's transcripts, which are the same in every fold
    for number in range(1, count + 1):
        fold = RunDir(run / f"fold-{number}")
        done = group.of_lead(fold.stages)
        for name in _OF_A_FOLD:
            if name in done:
                continue
            stage = stage_named(name)
            if name == "labels":
                stage = replace(stage, run=partial(labels_stage, written=written))
            ui.stage(f"fold {number}: {name}", stage.summary, number, count)
            run_stage(fold, group.of_lead(fold.config), stage, ui, group)


def _check_unchanged(run: RunDir) -> None:
    """Raises UserError where a fold is gone, or was done again with settings of its own."""
    config = run.config()
    for number in range(1, run.record()["folds"] + 1):
        path = run / f"fold-{number}"
        if not (path / "run.json").is_file():
            raise UserError(f"{path}: is missing; start the cross-validation over with --overwrite")
        own, wanted = RunDir(path).config(), _of_fold(config, run, number)
        for section in ("clean", "split", "model", "labels", "lora", "train", "eval", "general"):
            if getattr(own, section) != getattr(wanted, section):
                raise UserError(
                    f"{path}: has other {section} settings than the cross-validation; redo it with "
                    "those, or start over with --overwrite"
                )


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
    }


def _cautions(comparison: dict[str, Any], folds: list[Fold]) -> list[str]:
    found = cautions(comparison, None, folds[0].run.read("split.json"))
    for fold in folds:
        skipped = fold.training["skipped"]
        if skipped:
            found.append(f"Caution: {fold.run.path.name} left out {counted(skipped, 'update')}.")
        if not fold.training["best_step"]:
            found.append(f"Caution: in {fold.run.path.name} no update was better than the base.")
    shared = [_leaks(fold, "audio") for fold in folds]
    if any(shared):
        found.append(
            f"Caution: {sum(shared)} recordings stand in two splits of a fold, so the figures are "
            "not of unseen clips."
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
    from moontune.pages import crossval_page

    c = found["comparison"]
    sections = [
        _fold_facts(found),
        command_facts(found["environment"]["commands"]),
        setting_facts(config),
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
    section = "\n\n".join(parts) + "\n"
    write_text(run / "report.md", section.replace("## ", "# ", 1))
    page = crossval_page(run, found, (rows["base"], rows["tuned"]), sections, config)
    write_text(run / "report.html", page)
    file = config.report.report_file
    check_report_file(file)
    write_text(file, merged(file, run_key(run), section))


def refuse_other_folds(run: RunDir, folds: Folds | None) -> None:
    """Raises UserError where a run to go on with is no cross-validation, or has other folds.

    As long as none were made, their number may still be changed.
    """
    record = run.record()
    if "asked_folds" not in record:
        raise UserError(f"{run.path}: is a single run; give another --run-name")
    if folds is None or folds == record["asked_folds"]:
        return
    if "folds" in record:
        raise UserError(
            f"--folds {folds} differs from the {record['asked_folds']} it has; a resumed "
            "cross-validation keeps its folds: leave it out, or start another"
        )
    run.note(asked_folds=folds)  # none were made yet
