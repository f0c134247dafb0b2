"""What a sweep found: the winner against the run's own settings, and the report. No torch here."""

from __future__ import annotations

from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.evaluation.comparison import compare
from moontune.evaluation.predictions import stored_predictions
from moontune.pipeline.experiments.search_space import value_of
from moontune.pipeline.experiments.sweep import best_of, told
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.stages.report import write_report
from moontune.report.html.contents import comparison_page, run_page
from moontune.report.markdown import cell
from moontune.report.markdown_tables import changed, drawn, edits, measures, result
from moontune.report.provenance import Section, command_facts, origin_text, setting_facts
from moontune.report.run_markdown import facts_table
from moontune.system.files import write_json

OWN = "own settings"  # what trial 0 is called


def conclude(run: RunDir, config: RunConfig, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Write sweep.json and the report of a sweep whose winner was tested; returns sweep.json."""
    winner = best_of(trials)["number"]
    tested = [RunDir(run / f"trial-{number}") for number in sorted({0, winner})]
    metrics = [trial.read("metrics.json") for trial in tested]
    found = {
        "run": run.record()["name"],
        "trials": trials,
        "winner": winner,
        "own": _own(run, tested[0]),
        "tested": {trial.path.name: _figures(m) for trial, m in zip(tested, metrics, strict=True)},
        "data": metrics[0]["data"],
        "environment": run.record()["environment"],
    }
    rows = tuple(stored_predictions(trial / "predictions_tuned.jsonl") for trial in tested)
    if winner:
        found["comparison"] = compare(rows[0], rows[1], config.output.seed)
    found["tested_before"] = tested_before(run, trials, winner)
    found["sentence"] = sentence_of(found)
    write_json(run / "sweep.json", found)
    facts = [
        _trial_facts(found),
        command_facts(found["environment"]["commands"]),
        setting_facts(config),
    ]
    text = _markdown(found, metrics, rows, facts)
    names = (OWN, f"trial-{winner}")
    clips = config.report.report_clips
    heading = (f"sweep, {len(trials)} trials", found["run"])
    if winner:
        remarks = [found["sentence"], *metrics[1]["verdict"]["cautions"]]
        pair = (tested[0], tested[1])
        page = comparison_page(pair, names, found["comparison"], remarks, clips, facts[:1], heading)
    else:
        page = run_page(tested[0], config, facts[:1], heading, [found["sentence"]])
    write_report(run, config, text, page)
    run.mark_complete()
    return found


def _own(run: RunDir, first: RunDir) -> dict[str, Any]:
    """What the trial of the run's own settings had of those that were searched."""
    config = first.used_config()
    names = [word.partition("=")[0] for word in run.record()["sweep"]["tune"]]
    return {name: setting_text(value_of(config, name)) for name in names}


def _figures(m: dict[str, Any]) -> dict[str, Any]:
    """Of a tested trial: does it beat the base?"""
    return {
        "sentence": m["comparison"]["sentences"]["wer"],
        "wer": [m["baseline"]["wer"], m["tuned"]["wer"]],
        "loss": [m["baseline"]["loss"], m["tuned"]["loss"]],
        "accepted": m["accepted"],
    }


def tested_before(run: RunDir, trials: list[dict[str, Any]], winner: int) -> list[int]:
    """Winners of the sweep when it had fewer trials."""
    others = (t["number"] for t in trials if t["number"] not in (0, winner))
    return [n for n in others if "evaluate" in RunDir(run / f"trial-{n}").stages()]


def sentence_of(found: dict[str, Any]) -> str:
    number, count = found["winner"], len(found["trials"])
    if not number:
        return (
            f"Of {count} trials none validated better than the run's own settings; no other was "
            "tested."
        )
    best = best_of(found["trials"])
    sentence = (
        f"Of {count} trials, trial {number} validated best ({told(best['values'])}). Chosen by "
        "validation alone, it and the run's own settings were then tested once."
    )
    if not found["tested_before"]:
        return sentence
    earlier = ", ".join(f"trial {n}" for n in found["tested_before"])
    return (
        f"{sentence} Before the sweep went on, {earlier} had been the best and was tested too: the "
        "more looks at a test split, the likelier a lucky one."
    )


def _trial_facts(found: dict[str, Any]) -> Section:
    names, rows = list(found["own"]), []
    for t in sorted(found["trials"], key=lambda t: t["best_val_loss"]):
        values = [(t["values"] if t["number"] else found["own"])[name] for name in names]
        shown = [f"{v:.3g}" if isinstance(v, float) else v for v in values]
        said = {"pruned": "given up early", "aborted": "aborted"}.get(t["state"], "")
        said = "best" if t["number"] == found["winner"] else said
        rows.append([t["number"], *shown, f"{t['best_val_loss']:.4f}", f"{t['best_step']}", said])
    head = ["trial", *names, "validation loss", "at update", ""]
    note = f"Trial 0 has the run's own settings. Origin: {origin_text(found['data']['origin'])}."
    return Section("Trials", head, rows, note)


def _markdown(
    found: dict[str, Any],
    metrics: list[dict[str, Any]],
    rows: tuple[list[dict[str, Any]], ...],
    facts: list[Section],
) -> str:
    parts = [f"## {cell(found['run'])}, sweep", f"**{cell(found['sentence'])}**"]
    if found["winner"]:
        c, names = found["comparison"], (OWN, f"trial-{found['winner']}")
        parts += [
            *map(cell, c["sentences"].values()),
            measures(c, names),
            edits(c, names),
            drawn(c),
        ]
    best = metrics[-1]
    parts += [
        f"### trial-{found['winner']} against the base",
        cell(best["verdict"]["sentence"]),
        *map(cell, best["verdict"]["cautions"]),
        result(best),
    ]
    parts += map(facts_table, facts[:1])
    if found["winner"]:
        parts.append(changed(rows[0], rows[1], names))
    return "\n\n".join([*parts, *map(facts_table, facts[1:])]) + "\n"
