"""The adapter added into the base's weights: a plain model again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from moontune.errors import UserError
from moontune.models.adapter import load_adapter
from moontune.models.base_model import Base
from moontune.system.files import UMASK


def merged(base: Base, adapter: Path) -> dict[str, torch.Tensor]:
    """Merge a saved adapter into `base.net`, in place; returns its weights by the base's names.

    Raises UserError if the adapter does not fit, or leaves other tensors than the base has.
    """
    wanted = {name: tuple(value.shape) for name, value in base.net.state_dict().items()}
    model: Any = load_adapter(base, adapter)
    try:
        net = model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # of weights that are not finite
        raise UserError(f"{adapter}: cannot be merged ({error}); train again") from None
    state = net.state_dict()
    refuse_other_tensors({name: tuple(v.shape) for name, v in state.items()}, wanted, adapter)
    bad = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if bad:
        raise UserError(f"{adapter}: merged, {bad[0]} is not finite; train again")
    return state


def refuse_other_tensors(
    found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], adapter: Path
) -> None:
    """Raise UserError unless both have the same names with the same shapes."""
    odd = sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )
    if odd:
        name = odd[0]
        raise UserError(
            f"{adapter}: merged, {len(odd)} tensors are not the base's, first {name} "
            f"({wanted.get(name, 'missing')} in the base, {found.get(name, 'missing')} merged); "
            "use a LoRA adapter that was trained on this base"
        )


def save_merged(base: Base, folder: Path) -> None:
    """Write net and processor as `save_pretrained` does, into an empty folder."""
    base.net.save_pretrained(str(folder))
    base.processor.save_pretrained(str(folder))
    for file in folder.iterdir():  # safetensors makes its file private
        file.chmod(0o666 & ~UMASK)
