"""The stages of a run, in order, and how one of them is run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import each_utterance, read_manifest
from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.stages.artifact import artifact_stage
from moontune.pipeline.stages.baseline import baseline_stage
from moontune.pipeline.stages.clean import clean_stage
from moontune.pipeline.stages.evaluate import evaluate_stage
from moontune.pipeline.stages.labels import labels_stage
from moontune.pipeline.stages.report import check_report_file, report_stage
from moontune.pipeline.stages.sample import sample_stage
from moontune.pipeline.stages.split import split_stage
from moontune.pipeline.stages.train import train_stage
from moontune.pipeline.stages.verdict import verdict_stage
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Ui


@dataclass(frozen=True)
class Stage:
    """One step: what it reads must be there, what it writes makes later stages stale."""

    name: str
    summary: str
    sections: tuple[str, ...]  # of the configuration, that this stage obeys
    run: Callable[
        ..., dict[str, Any]
    ]  # of RunDir, RunConfig, Ui; where it computes, of ProcessGroup too
    computes: bool = False  # uses the model, and so a device, in every process
    spares: tuple[str, ...] = ()  # later stages that read nothing of it, and so stay done


STAGES: tuple[Stage, ...] = (
    Stage("sample", "take utterances from the source into a new run", (), sample_stage),
    Stage("clean", "drop what cannot be used, with reasons", ("clean",), clean_stage),
    Stage("split", "fix train, val and test, no speaker in two", ("split",), split_stage),
    Stage(
        "labels",
        "write training text in the base's style",
        ("labels", "model", "device"),
        labels_stage,
        True,
    ),
    Stage(
        "baseline",
        "measure the base on the test split",
        ("eval", "device"),
        baseline_stage,
        True,
        spares=("train",),
    ),
    Stage(
        "train", "train the adapter, keep the best", ("lora", "train", "device"), train_stage, True
    ),
    Stage("evaluate", "measure the tuned model likewise", ("device",), evaluate_stage, True),
    Stage("artifact", "reload it in a fresh process", (), artifact_stage),
    Stage("verdict", "accept or not, with the reasons", ("report",), verdict_stage),
    Stage("report", "write the report", ("report",), report_stage),
)
NAMES = [stage.name for stage in STAGES]


def stale_after(stage: Stage) -> list[str]:
    """Stages that have to be done again once this one is."""
    return [name for name in NAMES[NAMES.index(stage.name) + 1 :] if name not in stage.spares]


def check_data(config: RunConfig) -> None:
    """Find what is wrong with data and report before anything is spent. Raises UserError."""
    from moontune.data.splitting import check_groups

    check_report_file(config.report.report_file)
    for more in (config.general.general_manifest, config.general.replay_manifest):
        if more is not None:
            read_manifest(more)
    if config.data.manifest is not None:
        check_groups(each_utterance(config.data.manifest), config.split.split_by)


def check_model(config: RunConfig) -> None:
    """Find a missing model or device before anything is spent. Raises UserError."""
    from moontune.models.locate import locate
    from moontune.system.device import choose_device

    locate(config.model.model_id, config.model.revision)
    choose_device(config.device.device)


def run_stage(
    run: RunDir, config: RunConfig, stage: Stage, ui: Ui, group: ProcessGroup = SINGLE
) -> None:
    """Run one stage and record it; what later stages had made counts as not done any more.

    Every process of `group` comes here; one that does not compute is
    done by the main process alone.
    """
    group.on_main(lambda: _begin(run, stage))
    begun = time.perf_counter()
    if stage.computes:
        facts = _watched(run, config, stage, ui, group)
    else:
        facts = group.on_main(lambda: stage.run(run, config, ui))
    facts["seconds"] = round(time.perf_counter() - begun, 2)
    group.on_main(lambda: _finish(run, config, stage, facts))


def _begin(run: RunDir, stage: Stage) -> None:
    index = NAMES.index(stage.name)
    done = run.stages()
    lacking = [name for name in NAMES[:index] if name not in done]
    if lacking:
        raise UserError(f"{run.path}: stage {stage.name} needs `moontune {lacking[0]}` first")
    if stage.name == "train":
        run.refuse_retired()
    run.forget_stages([stage.name, *stale_after(stage)])


def _finish(run: RunDir, config: RunConfig, stage: Stage, facts: dict[str, Any]) -> None:
    run.save_config(config)
    run.finish_stage(stage.name, facts)
    if stage.name == "train":
        run.checkpoint.unlink(missing_ok=True)
    if stage.name == NAMES[-1]:
        run.mark_complete()


def _watched(
    run: RunDir, config: RunConfig, stage: Stage, ui: Ui, group: ProcessGroup
) -> dict[str, Any]:
    """Run a stage that computes, recording the operators that MPS handed to the CPU."""
    from moontune.system.device import missing_operator, watch_fallbacks
    from moontune.system.memory import out_of_memory

    with watch_fallbacks() as watch:
        try:
            facts = stage.run(run, config, ui, group)
        except NotImplementedError as error:
            operator = missing_operator(error)
            if operator is None:
                raise
            raise UserError(
                f"Apple's GPU lacks the operator {operator}; use --device cpu, or set "
                "PYTORCH_ENABLE_MPS_FALLBACK=1 (such a run is not accepted)"
            ) from error
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise UserError(
                f"stage {stage.name}: out of memory; close other programs, use --device cpu, or "
                "leave out long clips (moontune clean RUN --max-duration-s 15 --overwrite)"
            ) from error
    if watch.operators:
        ui.note(f"remark: ran on the CPU instead of MPS: {', '.join(watch.operators)}")
    return facts | {"mps_fallbacks": dict(watch.operators)}


def stage_named(name: str) -> Stage:
    return STAGES[NAMES.index(name)]
