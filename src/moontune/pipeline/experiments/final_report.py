"""The report of an adapter trained on all clips: its checks, final.json, Markdown and page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from moontune.config.loading import to_dict
from moontune.config.schema import RunConfig
from moontune.config.validation import remarks
from moontune.data.normalizer import normalizer_name
from moontune.errors import UserError
from moontune.evaluation.acceptance import Check, forgetting
from moontune.evaluation.degeneration import as_written, degenerated
from moontune.languages.table import current
from moontune.pipeline.experiments.final import CHECK_FILE, FinishedCrossval, doubts_of
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.opening import open_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import listening, take_along, use_base
from moontune.pipeline.stages.report import Rendered, write_report
from moontune.pipeline.stages.verdict import general_comparison, general_row, mps_fallbacks
from moontune.report.final_adapter import render_final, render_final_public, statement
from moontune.report.html.contents import final_page
from moontune.report.results.final import Expectation, FinalMetrics, FinalResults
from moontune.report.results.metrics import NextStep
from moontune.report.results.run import ArtifactTest
from moontune.system.files import damage_as_user_error, write_json
from moontune.system.formatting import counted
from moontune.training.stability import unsteady
from moontune.training.summary import TrainingSummary

_FILES = {
    "adapter config": "lora_adapter/adapter_config.json",
    "adapter weights": "lora_adapter/adapter_model.safetensors",
    "processor": "processor/tokenizer.json",
    "resolved config": "config.toml",
    "training log": TRAIN_LOG,
    "artifact test": "artifact_test.json",
    "train manifest": "manifests/train.jsonl",
}


def write_final_report(run: RunDir, crossval: FinishedCrossval, config: RunConfig) -> FinalResults:
    """Check the trained adapter from its files; write final.json and the reports.

    Raises UserError where files are damaged.
    """
    with damage_as_user_error(run.path, f"again: {final_command(crossval.run.path)} --overwrite"):
        _drop_figures(run)
        write_json(run / "final.json", _metrics(run, crossval, config))
        metrics = FinalMetrics.from_json(run.read("final.json"))
        results = _results(run, metrics)
        page = final_page(results, config.report.report_clips)
        own, public = render_final(results), render_final_public(results)
        write_report(run, config, Rendered(own, public, page))
    run.mark_complete()
    return results


def final_results(path: Path) -> FinalResults:
    """The results of a final adapter that is done, from its folder. Raises UserError."""
    run = open_run(path)
    if run.kind != "final":
        raise UserError(f"{path}: is no adapter of moontune final")
    again = f"again: {final_command(run.path.parent)} --overwrite"
    with damage_as_user_error(run.path, again):
        return _results(run, run.final_metrics())


def _results(run: RunDir, metrics: FinalMetrics) -> FinalResults:
    return FinalResults(
        metrics=metrics,
        config=run.used_config(),
        artifact=ArtifactTest.from_json(run.read("artifact_test.json")),
        audio=run.audio_of(run.suspects()),
        suspects=run.suspects(),
        next_steps=_next_steps(run, metrics),
    )


def _next_steps(run: RunDir, metrics: FinalMetrics) -> list[NextStep]:
    """What to do with the adapter; of one that failed a check, with the base."""
    place = str(run.path)
    if not metrics.usable:
        return [use_base(run.used_config())]
    expected = metrics.expected.comparison
    return [listening("Use it", place, expected, "after"), take_along(place)]


def _drop_figures(run: RunDir) -> None:
    """Take the error rate out of artifact_test.json: it is of clips that were trained on."""
    row = run.read("artifact_test.json")
    row[current().rate] = None
    for clip in row["clips"]:
        for name in ("errors", "words", current().rate):
            clip.pop(name, None)
    write_json(run / "artifact_test.json", row)


def _metrics(run: RunDir, crossval: FinishedCrossval, config: RunConfig) -> dict[str, Any]:
    """final.json. No figure in it is of this adapter, but those on general speech."""
    record, train = run.record(), run.read("train.json")
    stages = record["stages"]
    sampled, cleaned = stages["sample"], stages["clean"]
    comparison = crossval.comparison
    expected = Expectation(
        crossval.name,
        len(crossval.folds),
        comparison,
        list(crossval.cautions),
        crossval.key_terms,
    )
    general = general_comparison(run, config.output.seed)
    checks = _checks(run, crossval)
    clips, aside = cleaned["utterances"], stages["labels"].get("set_aside", 0)
    return {
        "run": record["name"],
        "usable": all(check.passed for check in checks),
        "statement": statement(clips, aside, expected),
        "trained_on": clips - aside,
        "held_out": 0,
        "expected": expected.to_json(),
        "kept_update": asdict(crossval.kept_update(run.used_config().train.updates)),
        "checks": [asdict(check) for check in checks],
        "cautions": forgetting(general),
        "general": general_row(stages, general),
        "training": train,
        "data": cleaned | {"origin": sampled["origin"]},
        "labels": {k: stages["labels"][k] for k in ("asked", "references", "used")},
        "normalizer": normalizer_name(),
        "decoding": {
            "tokens_per_second": config.eval.token_cap.per_second,
            "token_margin": config.eval.token_margin,
        },
        "base_model": stages["train"]["base"],
        "device": stages["train"]["device"],
        "remarks": [
            *remarks(config),
            *cleaned["remarks"],
            *stages["labels"].get("remarks", []),
        ],
        "timings_s": {name: facts["seconds"] for name, facts in stages.items()},
        "config": to_dict(run.used_config()),
        "environment": record["environment"],
    }


def _checks(run: RunDir, crossval: FinishedCrossval) -> list[Check]:
    """Checks that need nothing held out; and whether there was reason to train at all."""
    training = TrainingSummary.from_json(run.read("train.json"))
    found = doubts_of(crossval)
    faults = [f"{counted(training.skipped, 'update')} skipped"] if training.skipped else []
    faults += [training.stopped] if training.aborted else []
    faults += unsteady(run.rows(TRAIN_LOG))
    fallbacks = ", ".join(f"{k} ({n}x)" for k, n in mps_fallbacks(run.stages()).items())
    missing = [name for name, file in _FILES.items() if not (run / file).is_file()]
    artifact = run.read("artifact_test.json")
    same = f"{artifact['clips_identical']} of {artifact['clips_compared']}"
    lost, count = _collapse(run, crossval)
    return [
        Check("expected to help", not found, "; ".join(found) or "by the cross-validation"),
        Check(
            "transcripts are speech",
            lost is None,
            lost
            or f"of {counted(count, 'clip')} trained on, hardly more are empty or run in a loop "
            "than of the base's transcripts",
        ),
        Check("stable training", not faults, "; ".join(faults) or "no update skipped"),
        Check("no MPS fallback", not fallbacks, fallbacks or "none reported"),
        Check(
            "artifacts complete",
            not missing,
            ", ".join(missing) or "all written",
        ),
        Check(
            "same words in a fresh process",
            bool(artifact["identical_tokens"]),
            f"{same} clips gave identical token ids",
        ),
    ]


def _collapse(run: RunDir, crossval: FinishedCrossval) -> tuple[str | None, int]:
    """What became of the transcripts, if the adapter stopped writing speech; and of how many."""
    rows = run.rows(CHECK_FILE)
    of_base = {r["id"]: r for r in crossval.run.predictions("base")}
    before = as_written(of_base[row["id"]] for row in rows)
    return degenerated(before, as_written(rows)), len(rows)
