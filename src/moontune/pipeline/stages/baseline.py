"""Stage baseline: the base measured on the test split."""

from __future__ import annotations

from typing import Any

from moontune.config.schema import RunConfig
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.measure import measure
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Ui


def baseline_stage(
    run: RunDir, config: RunConfig, ui: Ui, group: ProcessGroup = SINGLE
) -> dict[str, Any]:
    base, base_facts = load_base_for(run, config, group)
    measure(run, config, ui, base, "base", group)
    return base_facts
