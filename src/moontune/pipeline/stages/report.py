"""Stage report: the run's pages, and its section in the collected report."""

from __future__ import annotations

from typing import Any

from moontune.config.schema import RunConfig
from moontune.pipeline.run_dir import RunDir
from moontune.system.progress import Ui


def report_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.report.run_markdown import update_report

    update_report(run, config)
    ui.note(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")
    return {}
