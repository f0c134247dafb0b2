"""The report of a sweep: its winner against the run's own settings and against the base."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.comparison import compare
from moontune.pipeline.experiments.compare_runs import compared_run
from moontune.pipeline.experiments.search_space import value_of
from moontune.pipeline.experiments.sweep import best_of, told
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.stages.report import write_report
from moontune.report.html.contents import comparison_page, run_page
from moontune.report.html.page import Heading
from moontune.report.markdown import cell
from moontune.report.markdown_tables import bootstrap_note, changed, edits, measures, result
from moontune.report.provenance import Section, command_facts, origin_text, setting_facts
from moontune.report.results import RunComparison, RunMetrics
from moontune.report.run_markdown import section_text
from moontune.system.files import write_json

OWN = "own settings"  # what trial 0 is called


def write_sweep_report(
    run: RunDir, config: RunConfig, trials: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write sweep.json and the report of a sweep whose winner was tested; returns sweep.json."""
    winner = best_of(trials)["number"]
    tested = [RunDir(run / f"trial-{number}") for number in sorted({0, winner})]
    results = [trial.results() for trial in tested]
    row = {
        "run": run.record()["name"],
        "trials": trials,
        "winner": winner,
        "own": _own(run, results[0].config),
        "tested": {t.path.name: _figures(r.metrics) for t, r in zip(tested, results, strict=True)},
        "data": tested[0].read("metrics.json")["data"],
        "environment": run.record()["environment"],
    }
    pair = None
    if winner:
        names = (OWN, f"trial-{winner}")
        before, after = (compared_run(t, name) for t, name in zip(tested, names, strict=True))
        comparison = compare(before.predictions, after.predictions, config.output.seed)
        row["comparison"] = comparison.to_json()
        pair = RunComparison(before, after, comparison, [])
    row["tested_before"] = tested_before(run, trials, winner)
    row["sentence"] = sentence_of(row)
    write_json(run / "sweep.json", row)
    facts = [
        _trial_facts(row),
        command_facts(row["environment"]["commands"]),
        setting_facts(config),
    ]
    heading = Heading(f"sweep, {len(trials)} trials", row["run"])
    clips = config.report.report_clips
    if pair is None:
        remarks = [row["sentence"]]
        page = run_page(results[0], clips, heading=heading, facts=facts[:1], remarks=remarks)
    else:
        pair = replace(pair, remarks=[row["sentence"], *results[1].metrics.verdict.cautions])
        page = comparison_page(pair, clips, heading=heading, facts=facts[:1])
    write_report(run, config, _markdown(row, results[-1].metrics, pair, facts), page)
    run.mark_complete()
    return row


def _own(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """The values of the run's own settings among those that were searched."""
    names = [word.partition("=")[0] for word in run.record()["sweep"]["tune"]]
    return {name: setting_text(value_of(config, name)) for name in names}


def _figures(metrics: RunMetrics) -> dict[str, Any]:
    """A tested trial against the base, as sweep.json has it."""
    return {
        "sentence": metrics.comparison.sentences["wer"],
        "wer": [metrics.baseline.wer, metrics.tuned.wer],
        "loss": [metrics.baseline.loss, metrics.tuned.loss],
        "accepted": metrics.verdict.accepted,
    }


def tested_before(run: RunDir, trials: list[dict[str, Any]], winner: int) -> list[int]:
    """Winners of the sweep when it had fewer trials."""
    others = (t["number"] for t in trials if t["number"] not in (0, winner))
    return [n for n in others if "evaluate" in RunDir(run / f"trial-{n}").stages()]


def sentence_of(row: dict[str, Any]) -> str:
    number, count = row["winner"], len(row["trials"])
    if not number:
        return (
            f"Of {count} trials none validated better than the run's own settings; no other was "
            "tested."
        )
    best = best_of(row["trials"])
    sentence = (
        f"Of {count} trials, trial {number} validated best ({told(best['values'])}). Chosen by "
        "validation alone, it and the run's own settings were then tested once."
    )
    if not row["tested_before"]:
        return sentence
    earlier = ", ".join(f"trial {n}" for n in row["tested_before"])
    return (
        f"{sentence} Before the sweep went on, {earlier} had been the best and was tested too: the "
        "more looks at a test split, the likelier a lucky one."
    )


def _trial_facts(row: dict[str, Any]) -> Section:
    names, rows = list(row["own"]), []
    states = {"pruned": "given up early", "aborted": "aborted"}
    for trial in sorted(row["trials"], key=lambda t: t["best_val_loss"]):
        values = [(trial["values"] if trial["number"] else row["own"])[name] for name in names]
        texts = [f"{v:.3g}" if isinstance(v, float) else v for v in values]
        state = "best" if trial["number"] == row["winner"] else states.get(trial["state"], "")
        loss, step = f"{trial['best_val_loss']:.4f}", f"{trial['best_step']}"
        rows.append([trial["number"], *texts, loss, step, state])
    head = ["trial", *names, "validation loss", "at update", ""]
    origin = DataOrigin.from_json(row["data"]["origin"])
    note = f"Trial 0 has the run's own settings. Origin: {origin_text(origin)}."
    return Section("Trials", head, rows, note)


def _markdown(
    row: dict[str, Any], best: RunMetrics, pair: RunComparison | None, facts: list[Section]
) -> str:
    """The sweep's section: the winner against the run's own settings, where it is another, and
    against the base."""
    parts = [f"## {cell(row['run'])}, sweep", f"**{cell(row['sentence'])}**"]
    if pair is not None:
        parts += [
            *map(cell, pair.comparison.sentences.values()),
            measures(pair.comparison, pair.names),
            edits(pair.comparison, pair.names),
            bootstrap_note(pair.comparison),
        ]
    parts += [
        f"### trial-{row['winner']} against the base",
        cell(best.verdict.sentence),
        *map(cell, best.verdict.cautions),
        result(best),
        section_text(facts[0]),
    ]
    if pair is not None:
        parts.append(changed(pair.before.predictions, pair.after.predictions, pair.names))
    return "\n\n".join([*parts, *map(section_text, facts[1:])]) + "\n"
