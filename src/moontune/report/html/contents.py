"""What a run, or two, put on their HTML page. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moontune.config.loading import in_effect, setting_text, to_dict
from moontune.config.schema import RunConfig
from moontune.data.manifest import read_rows
from moontune.pipeline.run_dir import RunDir
from moontune.report.html.page import Page, render_page
from moontune.report.provenance import Section, command_facts, facts_of
from moontune.system.files import read_jsonl


def run_page(
    run: RunDir,
    config: RunConfig,
    facts: Sequence[Section] = (),
    heading: tuple[str, str] | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """The page of a run that has its metrics, with more `facts` and `remarks` before its own.

    `heading` is what stands above the title, and the title.
    """
    m = run.read("metrics.json")
    general = m["general"]
    kind, title = heading or ("run report", m["run"])
    page = Page(
        kind=kind,
        title=title,
        accepted=m["accepted"],
        sentence=m["comparison"]["sentences"]["wer"],
        cautions=[*remarks, *_why(m["verdict"]), *m["verdict"]["cautions"]],
        names=("base", "tuned"),
        comparison=m["comparison"],
        general=general if general["comparison"] else None,
        general_note=general["remark"] or "The settings asked for none.",
        checks=m["verdict"]["checks"],
        predictions=_predictions(run / "predictions_base.jsonl", run / "predictions_tuned.jsonl"),
        audio=_audio(run),
        train_log=read_jsonl(run / "train_log.jsonl"),
        kept_step=m["training"]["best_step"],
        facts=[*facts, *facts_of(run, m)],
    )
    return render_page(page, config.report.report_clips)


def _why(verdict: dict[str, Any]) -> list[str]:
    """What the chip alone does not say: a smoke run's leniency, or the checks that failed."""
    if verdict["accepted"]:
        return ["Accepted as a smoke run, on its artifacts alone."] if verdict["smoke"] else []
    failed = [c for c in verdict["checks"] if not c["passed"]]
    return [f"Not accepted: {c['name']}: {c['detail']}." for c in failed]


def comparison_page(  # noqa: PLR0917
    runs: tuple[RunDir, ...],
    names: tuple[str, str],
    comparison: dict[str, Any],
    remarks: list[str],
    clips: int,
    facts: Sequence[Section] = (),
    heading: tuple[str, str] | None = None,
) -> str:
    """The page of two runs' tuned models side by side, with more `facts` before theirs.

    `heading` is what stands above the title, and the title.
    """
    heading = heading or ("comparison of two runs", f"{names[0]} and {names[1]}")
    used = [to_dict(in_effect(r.used_config())) for r in runs]
    configs = [{k: v for section in all_.values() for k, v in section.items()} for all_ in used]
    keys = [k for k in configs[0] | configs[1] if configs[0].get(k) != configs[1].get(k)]
    differing = [[k, *(setting_text(c.get(k, "not set")) for c in configs)] for k in keys]
    trainings = [r.read("train.json") for r in runs]
    kept = [
        [label, *(round(t[key], 4) for t in trainings)]
        for label, key in (
            ("updates", "steps"),
            ("kept update", "best_step"),
            ("validation loss", "best_val_loss"),
            ("seconds of training", "seconds"),
        )
    ]
    all_commands = [words for r in runs for words in r.record()["environment"]["commands"]]
    commands = [list(words) for words in dict.fromkeys(map(tuple, all_commands))]
    page = Page(
        kind=heading[0],
        title=heading[1],
        accepted=None,
        sentence=comparison["sentences"]["wer"],
        cautions=remarks,
        names=names,
        comparison=comparison,
        general=None,
        general_note=None,
        checks=[],
        predictions=_predictions(*(r / "predictions_tuned.jsonl" for r in runs)),
        audio=_audio(runs[0]),
        train_log=[],
        kept_step=None,
        facts=[
            *facts,
            Section("Settings that differ", ["setting", *names], differing),
            Section("Training", ["", *names], kept),
            command_facts(commands),
        ],
    )
    return render_page(page, clips)


def crossval_page(
    run: RunDir,
    found: dict[str, Any],
    predictions: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    facts: list[Section],
    config: RunConfig,
) -> str:
    """The page of a cross-validation; `found` is its `crossval.json`."""
    page = Page(
        kind=f"cross-validation, {len(found['folds'])} folds",
        title=found["run"],
        accepted=None,
        sentence=found["comparison"]["sentences"]["wer"],
        cautions=found["cautions"],
        names=("base", "tuned"),
        comparison=found["comparison"],
        general=None,
        general_note=None,
        checks=[],
        predictions=predictions,
        audio=_audio(run),
        train_log=[],
        kept_step=None,
        facts=facts,
    )
    return render_page(page, config.report.report_clips)


def _predictions(before: Path, after: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of both, in one order."""
    rows = read_jsonl(before)
    others = {r["id"]: r for r in read_jsonl(after)}
    return rows, [others[r["id"]] for r in rows]


def _audio(run: RunDir) -> dict[str, Path]:
    return {u.id: u.audio_filepath for u in read_rows(run.manifest("test"))}
