"""Stage evaluate: the tuned model measured as the base was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.evaluation.comparison import differing_conditions
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.consensus.domain_text import weigh_text
from moontune.pipeline.consensus.search import search_validation
from moontune.pipeline.earlier_run import earlier_run
from moontune.pipeline.key_terms.writing import write_key_terms
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.screening import screen_again, write_suspects
from moontune.pipeline.stages.confidence import calibrate
from moontune.pipeline.stages.measure import measure
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.models.base_model import Base


def evaluate_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: ProcessGroup = SINGLE,
    also: Callable[[Base], None] | None = None,
) -> dict[str, Any]:
    """Measure what is on disk, and do what else is to be done with the tuned model, `also`.

    Raises UserError where the base was measured under other conditions.
    """
    from moontune.models.adapter import load_adapter

    base, base_facts = load_base_for(run, config, group)
    if run.kind != "final":
        write_key_terms(run, config, ui, base, "base", group)
        _by_consensus(run, config, ui, base, "base", group)
    load_adapter(base, run.adapter)  # what is on disk, not what was in memory
    measure(run, config, ui, base, "tuned", group)
    if run.kind != "final":  # which has no validation clips
        write_key_terms(run, config, ui, base, "tuned", group)
        _by_consensus(run, config, ui, base, "tuned", group)
    if also is not None:
        also(base)
    for prefix in ("", "general_"):
        if group.is_main and (run / f"{prefix}eval_tuned.json").is_file():
            _require_same_conditions(run, prefix)
    _measure_earlier(run, config, ui, group)
    suspects = screen_again(run, config, base, ui, group)
    if group.is_main:
        write_suspects(run, suspects)
    return base_facts


def _by_consensus(
    run: RunDir, config: RunConfig, ui: Ui, base: Base, which: str, group: ProcessGroup
) -> None:
    """Choose and calibrate on the beams of the validation clips: the say of the run's text, and the
    tuned model's confidences, which without consensus are taken away."""
    has_text = config.terms.has_text
    calibrates = which == "tuned" and config.eval.decoding != "greedy"
    validation = []
    if has_text or calibrates:
        validation = search_validation(run, config, ui, base, which, group)
    if has_text:
        group.on_main(lambda: weigh_text(run, ui, which, validation))
    elif group.is_main:
        run.words.domain_text.unlink(missing_ok=True)
    if calibrates:
        group.on_main(lambda: calibrate(run, ui, validation, config.eval.decoding))
    elif group.is_main and which == "tuned":
        run.confidence.unlink(missing_ok=True)


def _measure_earlier(run: RunDir, config: RunConfig, ui: Ui, group: ProcessGroup) -> None:
    """Measure the adapter of the run that this one came after, on this one's test clips."""
    from moontune.models.adapter import load_adapter

    earlier = earlier_run(config)
    if earlier is not None:
        base, _ = load_base_for(run, config, group)
        load_adapter(base, earlier.adapter)
        measure(run, config, ui, base, "earlier", group)


def _require_same_conditions(run: RunDir, prefix: str) -> None:
    before, after = (run.read(f"{prefix}eval_{which}.json") for which in ("base", "tuned"))
    if differing := differing_conditions(before, after):
        key = differing[0]
        raise UserError(
            f"the baseline was measured with another {key} ({before[key]}, now {after[key]}); "
            f"measure again from: moontune baseline {run.path} --overwrite"
        )
