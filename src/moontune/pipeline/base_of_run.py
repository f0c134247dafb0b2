"""The base of a run: loaded on the configured device, its weights those of every stage before."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir, pinned_revision
from moontune.system.device import choose_device
from moontune.system.distributed import SINGLE, ProcessGroup

if TYPE_CHECKING:
    from moontune.models.base_model import Base


def load_base_for(
    run: RunDir, config: RunConfig, group: ProcessGroup = SINGLE
) -> tuple[Base, dict[str, Any]]:
    """The configured base on the configured device, and both as `run.json` records them.

    The first stage that loads the base decides which one it is: a hub's newest commit is pinned,
    and other weights under the same name are refused. Raises UserError.
    """
    from moontune.models.base_model import load_base

    device = choose_device(config.device.device)
    earlier = group.on_main(lambda: {n: f["base"] for n, f in run.stages().items() if "base" in f})
    revision = group.on_main(lambda: pinned_revision(run, config))
    base = load_base(config.model.model_id, revision, device.name)
    again = f"moontune labels {run.path} --overwrite"
    if group.on_main(lambda: run.kind) == "final":  # its figures are of the cross-validation's base
        again = f"moontune crossval --overwrite --run-name {run.path.resolve().parent.name}"
    remedy = f"bring those back, or begin again with: {again}"
    for stage, origin in earlier.items():
        require_same_weights(base.origin.sha256, origin["sha256"], stage, remedy)
    if group.on_main(lambda: base.origin.sha256) != base.origin.sha256:
        raise UserError(
            f"{base.origin.path}: not the weights that the first process loaded; bring the same "
            "ones to every machine, or give --revision"
        )
    return base, {"device": asdict(device), "base": asdict(base.origin)}


def require_same_weights(sha256: str, recorded: str, stage: str, remedy: str) -> None:
    """Raises UserError where the base's weights are other ones than those `stage` used."""
    if sha256 != recorded:
        raise UserError(
            f"the base's weights are not those of stage {stage} any more ({sha256[:12]}, then "
            f"{recorded[:12]}); {remedy}"
        )
