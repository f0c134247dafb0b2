"""Stage verdict: the run judged, and everything it measured in metrics.json."""

from __future__ import annotations

from typing import Any

from moontune.config.loading import remarks, to_dict
from moontune.config.schema import RunConfig
from moontune.evaluation.acceptance import difference, judge
from moontune.evaluation.comparison import compare
from moontune.evaluation.predictions import stored_predictions
from moontune.pipeline.run_dir import RunDir
from moontune.system.files import read_jsonl, write_json
from moontune.system.progress import Ui
from moontune.training.stability import unsteady


def verdict_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    metrics = write_metrics(run, config)
    return {"accepted": metrics["accepted"]}


def write_metrics(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """Judge the run from its files and write metrics.json."""
    record = run.record()
    stages = record["stages"]
    base, tuned = run.read("eval_base.json"), run.read("eval_tuned.json")
    training, artifact = run.read("train.json"), run.read("artifact_test.json")
    split = run.read("split.json")
    seed = config.output.seed
    before, after = (
        stored_predictions(run / f"predictions_{which}.jsonl") for which in ("base", "tuned")
    )
    comparison = compare(before, after, seed)
    general = _general(run, stages, seed)
    fallbacks: dict[str, int] = {}
    for facts in stages.values():
        for operator, count in facts.get("mps_fallbacks", {}).items():
            fallbacks[operator] = fallbacks.get(operator, 0) + count
    missing = [name for name, path in run.artifacts().items() if not path.is_file()]
    log = run.artifacts()["training log"]
    wrong = unsteady(read_jsonl(log)) if log.is_file() else []
    verdict = judge(
        base,
        tuned,
        comparison,
        general["comparison"],
        training,
        missing,
        artifact,
        fallbacks,
        split,
        config.report.smoke,
        wrong,
    )
    metrics = {
        "run": record["name"],
        "accepted": verdict.accepted,
        "verdict": verdict.row(),
        "baseline": base,
        "tuned": tuned,
        "difference": difference(base, tuned),
        "comparison": comparison,
        "general": general,
        "training": training,
        "stability": {
            "skipped_updates": training["skipped"],
            "stopped": training["stopped"],
            "unsteady": wrong,
            "mps_fallbacks": fallbacks,
        },
        "artifact": {
            key: artifact[key]
            for key in ("identical_tokens", "clips_compared", "clips_identical", "wer")
        },
        "device": stages["train"]["device"],
        "base_model": stages["train"]["base"],
        "data": stages["clean"] | {"origin": stages["sample"]["origin"]},
        "split": split["shares"],
        "leakage": stages["split"]["leakage"],
        "labels": {k: stages["labels"][k] for k in ("asked", "references", "used")},
        "remarks": [
            *remarks(config),
            *stages["clean"]["remarks"],
            *([general["remark"]] if general["remark"] else []),
        ],
        "timings_s": {name: facts["seconds"] for name, facts in stages.items()},
        "config": to_dict(run.used_config()),
        "environment": record["environment"],
    }
    write_json(run / "metrics.json", metrics)
    return metrics


def _general(run: RunDir, stages: dict[str, Any], seed: int) -> dict[str, Any]:
    """The check for forgetting: where its speech is from, and the comparison if there was any."""
    sampled, nothing_left = stages["sample"], stages["clean"].get("general_remark")
    files = [run / f"general_predictions_{which}.jsonl" for which in ("base", "tuned")]
    rows = [stored_predictions(f) for f in files if f.is_file()]
    there = sampled.get("general") is not None and not nothing_left and len(rows) == 2
    return {
        "origin": sampled.get("general") if there else None,
        "remark": nothing_left or sampled.get("general_remark"),
        "replay": sampled.get("replay"),
        "comparison": compare(rows[0], rows[1], seed) if there else None,
    }
