"""Stage verdict: the run judged, and everything it measured in metrics.json."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from moontune.config.loading import to_dict
from moontune.config.schema import RunConfig
from moontune.config.validation import remarks
from moontune.data.splitting import meaning_of
from moontune.evaluation.acceptance import (
    ArtifactEvidence,
    Evidence,
    ModelFigures,
    Verdict,
    judge,
)
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import evaluated_rate
from moontune.evaluation.measures import Comparison
from moontune.pipeline.consensus.figures import text_use_of, weighed_predictions
from moontune.pipeline.earlier_run import new_clips_of
from moontune.pipeline.key_terms.figures import key_terms_of, rare_words_of
from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.confidence import confidence_of
from moontune.pipeline.stages.next_steps import next_steps
from moontune.system.files import write_json
from moontune.system.progress import Ui
from moontune.training.stability import unsteady
from moontune.training.summary import TrainingSummary


def verdict_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    metrics = write_metrics(run, config)
    return {"accepted": metrics["accepted"]}


def write_metrics(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """Judge the run from its files and write metrics.json; returns what it holds."""
    evidence = gather_evidence(run, config)
    metrics = _metrics_of(run, config, evidence, judge(evidence, config.report.smoke))
    write_json(run / "metrics.json", metrics)
    return metrics


def gather_evidence(run: RunDir, config: RunConfig) -> Evidence:
    """All that the run is judged by, from its files. Raises UserError."""
    stages, artifact = run.stages(), run.read("artifact_test.json")
    base, tuned = run.read("eval_base.json"), run.read("eval_tuned.json")
    split, training = run.read("split.json"), TrainingSummary.from_json(run.read("train.json"))
    before, after = (weighed_predictions(run, which) for which in ("base", "tuned"))
    log = run.rows(TRAIN_LOG) if (run / TRAIN_LOG).is_file() else []
    return Evidence(
        base=ModelFigures(base["loss"], evaluated_rate(base)),
        tuned=ModelFigures(tuned["loss"], evaluated_rate(tuned)),
        comparison=compare(before, after, config.output.seed, text_use_of([run])),
        general=general_comparison(run, config.output.seed),
        meaning=meaning_of(split["split_by"], split.get("voices", 3)),
        shared_recordings=split["leakage"]["counts"]["audio"],
        artifact=ArtifactEvidence(
            bool(artifact["identical_tokens"]),
            artifact["clips_identical"],
            artifact["clips_compared"],
        ),
        skipped_updates=training.skipped,
        aborted=training.stopped if training.aborted else None,
        discarded=training.degenerated,
        unsteady=unsteady(log),
        mps_fallbacks=mps_fallbacks(stages),
        as_written=stages["labels"]["used"] == "as-written",
        missing_artifacts=[n for n, path in run.artifacts().items() if not path.is_file()],
    )


def mps_fallbacks(stages: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Operators that MPS handed to the CPU in any stage, and how often."""
    fallbacks: Counter[str] = Counter()
    for facts in stages.values():
        fallbacks.update(facts.get("mps_fallbacks", {}))
    return dict(fallbacks)


def general_comparison(run: RunDir, seed: int) -> Comparison | None:
    """The check for forgetting; None where there was no general speech to check it on."""
    if not has_general(run):
        return None
    before, after = (run.predictions(which, "general_") for which in ("base", "tuned"))
    return compare(before, after, seed)


def has_general(run: RunDir) -> bool:
    """Whether there was general speech for that check, which its stages then measured on."""
    stages = run.stages()
    sampled = stages["sample"].get("general") is not None
    return sampled and not stages["clean"].get("general_remark")


def general_row(stages: dict[str, dict[str, Any]], general: Comparison | None) -> dict[str, Any]:
    """General speech of a run, as its figures are written."""
    sampled, cleaned = stages["sample"], stages["clean"]
    return {
        "origin": sampled.get("general") if general else None,
        "remark": cleaned.get("general_remark") or sampled.get("general_remark"),
        "replay": sampled.get("replay"),
        "comparison": general.to_json() if general else None,
    }


def _metrics_of(
    run: RunDir, config: RunConfig, evidence: Evidence, verdict: Verdict
) -> dict[str, Any]:
    """metrics.json: everything the run measured, and what it was measured on."""
    record = run.record()
    stages = record["stages"]
    training, artifact = run.read("train.json"), run.read("artifact_test.json")
    sampled, cleaned = stages["sample"], stages["clean"]
    general_facts = general_row(stages, evidence.general)
    confidence = confidence_of([run], config.output.seed)
    terms, rare = (of([run], config.output.seed) for of in (key_terms_of, rare_words_of))
    return {
        "run": record["name"],
        "accepted": verdict.accepted,
        "verdict": verdict.row(),
        "next_steps": [
            asdict(step) for step in next_steps(run, config, evidence.comparison, verdict)
        ],
        "baseline": run.read("eval_base.json"),
        "tuned": run.read("eval_tuned.json"),
        "difference": evidence.difference.to_json(evidence.comparison.rate),
        "comparison": evidence.comparison.to_json(),
        "confidence": confidence and confidence.to_json(),
        "key_terms": terms and terms.to_json(),
        "rare_words": rare and rare.to_json(),
        "new_clips": new_clips_of(run, config.output.seed),
        "general": general_facts,
        "training": training,
        "stability": {
            "skipped_updates": training["skipped"],
            "stopped": training["stopped"],
            "unsteady": list(evidence.unsteady),
            "mps_fallbacks": evidence.mps_fallbacks,
        },
        "artifact": {
            key: artifact[key]
            for key in (
                *("identical_tokens", "clips_compared", "clips_identical"),
                evidence.comparison.rate,
            )
        },
        "device": stages["train"]["device"],
        "base_model": stages["train"]["base"],
        "data": cleaned | {"origin": sampled["origin"]},
        "split": run.read("split.json")["shares"],
        "leakage": stages["split"]["leakage"],
        "kept_together": run.read("split.json").get("kept_together"),
        "labels": {k: stages["labels"][k] for k in ("asked", "references", "used")}
        | {"suspects": len(run.suspects()), "set_aside": stages["labels"].get("set_aside", 0)},
        "remarks": [
            *remarks(config),
            *cleaned["remarks"],
            *stages["split"].get("remarks", []),
            *stages["labels"].get("remarks", []),
            *([general_facts["remark"]] if general_facts["remark"] else []),
        ],
        "timings_s": {name: facts["seconds"] for name, facts in stages.items()},
        "config": to_dict(run.used_config()),
        "environment": record["environment"],
    }
