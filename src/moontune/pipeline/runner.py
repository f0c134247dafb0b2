"""One stage of a run done: checked, watched, recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.splitting import SPLITS
from moontune.errors import UserError
from moontune.languages.table import speaking
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages import STAGE_NAMES, Stage, stale_after
from moontune.system.device import choose_device
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import damage_as_user_error
from moontune.system.progress import Ui
from moontune.system.threads.processors import THREADS_ASKED, free_threads, usable_processors
from moontune.system.threads.waiting import computing_with


def run_stage(
    run: RunDir,
    config: RunConfig,
    stage: Stage,
    ui: Ui,
    group: ProcessGroup = SINGLE,
    **options: Any,
) -> None:
    """Run one stage and record it; what later stages had made counts as not done any more.

    Every process of `group` comes here; a stage that does not compute is done by the main process
    alone. `options` go to the stage's function.
    """
    with speaking(config.language):
        _run_stage(run, config, stage, ui, group, options)


def _run_stage(
    run: RunDir,
    config: RunConfig,
    stage: Stage,
    ui: Ui,
    group: ProcessGroup,
    options: dict[str, Any],
) -> None:
    group.on_main(lambda: _begin(run, stage))
    begun = time.perf_counter()
    if stage.computes:
        with _threads(run, config, stage, ui, group):
            facts = _watched(run, config, stage, ui, group, options)
    elif stage.of_files:
        with damage_as_user_error(run.path, "do the stages again that make its files"):
            facts = group.on_main(lambda: stage.function()(run, config, ui, **options))
    else:
        facts = group.on_main(lambda: stage.function()(run, config, ui, **options))
    facts["seconds"] = round(time.perf_counter() - begun, 2)
    group.on_main(lambda: _finish(run, config, stage, facts))


def _begin(run: RunDir, stage: Stage) -> None:
    refuse_lacking(run, stage)
    if stage.name == "train":
        run.refuse_retired()
    run.forget_stages([stage.name, *stale_after(stage)])


def refuse_lacking(run: RunDir, stage: Stage) -> None:
    """Raises UserError where a stage is not done that has to be done before."""
    done = run.stages()
    lacking = [n for n in STAGE_NAMES[: STAGE_NAMES.index(stage.name)] if n not in done]
    if lacking:
        raise UserError(f"{run.path}: stage {stage.name} needs `moontune {lacking[0]}` first")


def refuse_lost_audio(run: RunDir, stage: Stage) -> None:
    """Raises UserError where recordings that a stage hears are gone: what is done would be given up
    for nothing."""
    if not stage.computes:
        return
    used = {u.audio_filepath for name in SPLITS for u in run.utterances(name)}
    lost = sorted(path for path in used if not path.is_file())
    if lost:
        more = f", and so are {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise UserError(
            f"{lost[0]}: is gone{more}; bring back where it was what was moved; nothing was changed"
        )


def _finish(run: RunDir, config: RunConfig, stage: Stage, facts: dict[str, Any]) -> None:
    run.save_config(config)
    run.finish_stage(stage.name, facts, completes=stage.name == STAGE_NAMES[-1])
    if "train" in run.stages():  # after every later stage too, should this one be killed here
        run.checkpoint.unlink(missing_ok=True)


@contextmanager
def _threads(
    run: RunDir, config: RunConfig, stage: Stage, ui: Ui, group: ProcessGroup
) -> Iterator[None]:
    """Within it PyTorch computes with the run's own number of threads, which is as many as
    processors were free when it first computed; what the user or a launcher says comes first. On a
    GPU they do little, so nothing is said of them."""
    if group.size > 1 or any(name in os.environ for name in THREADS_ASKED):
        yield
        return
    on_cpu = choose_device(config.device.device).name == "cpu"
    count, processors = run.threads, usable_processors()
    if count is None:
        found = free_threads()
        if found.why and on_cpu:
            ui.note(found.why)
        run.whole.note(threads=(count := found.count))
    elif on_cpu and count < processors and stage.name == "train":  # the longest, gone on with
        ui.note(f"{count} of {processors} processors compute, as when it began (OMP_NUM_THREADS)")
    with computing_with(min(count, processors)):
        yield


def _watched(
    run: RunDir,
    config: RunConfig,
    stage: Stage,
    ui: Ui,
    group: ProcessGroup,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Run a stage that computes, recording the operators that MPS handed to the CPU."""
    from moontune.system.device import missing_operator, watch_fallbacks
    from moontune.system.memory import out_of_memory

    with watch_fallbacks() as watch:
        try:
            facts = stage.function()(run, config, ui, group, **options)
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
        ui.warn(f"ran on the CPU instead of MPS: {', '.join(watch.operators)}")
    return facts | {"mps_fallbacks": dict(watch.operators)}
