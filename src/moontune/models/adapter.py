"""The LoRA adapter: attached to a base, saved as a standard peft folder, loaded back."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from moontune.config.schema import LoraConfig
from moontune.errors import UserError
from moontune.languages.table import ENGLISH, current
from moontune.models.architectures.registry import refuse_adapters_elsewhere
from moontune.models.base_model import Base, not_finite, pickle_hint, reason_of, with_processor
from moontune.models.provenance import PROVENANCE, other_weights
from moontune.system.files import UMASK, new_folder, write_json
from moontune.system.formatting import why

if TYPE_CHECKING:
    from peft import PeftModel


def _target_pattern(config: LoraConfig) -> str:
    """peft takes a regular expression that must match a module's whole name."""
    names = "|".join(config.lora_targets)
    half = {"both": "(encoder|decoder)", "encoder": "encoder", "decoder": "decoder"}
    return rf".*\b{half[config.lora_part]}\.layers\..*\.({names})"


def _require_linears(base: Base, config: LoraConfig) -> None:
    """Raise UserError for a target that no adapter is put on in this architecture."""
    known = base.architecture.linears
    if other := [name for name in config.lora_targets if name not in known]:
        raise UserError(
            f"--lora-targets {other[0]}: type {base.origin.model_type} has the linear layers "
            f"{', '.join(known)}"
        )


def attach_lora(base: Base, config: LoraConfig, seed: int) -> PeftModel:
    """Put an untrained adapter on the base; only its weights require gradients.

    `task_type` stays None: peft's task wrappers inject `input_ids`, which Moonshine lacks.
    """
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    _require_linears(base, config)
    torch.manual_seed(seed)
    peft_config = PeftLoraConfig(
        task_type=None,
        r=config.lora_r,
        lora_alpha=config.alpha,  # type: ignore[arg-type]
        lora_dropout=config.lora_dropout,
        use_rslora=config.lora_variant == "rslora",
        target_modules=_target_pattern(config),
        base_model_name_or_path=base.origin.hub_id,
    )
    base.net.name_or_path = base.origin.hub_id  # peft would write the local path instead
    model = get_peft_model(base.net, peft_config)
    return model  # type: ignore[return-value]


def trainable_parameters(model: PeftModel) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def adapter_state(model: PeftModel) -> dict[str, torch.Tensor]:
    """A copy of the adapter's weights on the CPU."""
    return {
        name: p.detach().cpu().clone() for name, p in model.named_parameters() if p.requires_grad
    }


def set_adapter_state(model: PeftModel, state: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(state[name])


def save_adapter(model: PeftModel, base: Base, folder: Path) -> None:
    """Write the peft folder beside itself and rename it into place."""
    with new_folder(folder) as temporary:
        # peft would ask the hub for the base's config.json, only to warn of resized embeddings
        model.save_pretrained(str(temporary), save_embedding_layers=False)
        config_file = temporary / "adapter_config.json"
        config = json.loads(config_file.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = base.origin.hub_id
        config["revision"] = base.origin.revision if base.origin.from_hub else None
        write_json(config_file, config)
        write_json(temporary / PROVENANCE, _provenance(base))
        (temporary / "README.md").unlink(missing_ok=True)  # peft's empty card template


def save_processor(base: Base, folder: Path) -> None:
    """Write the processor's snapshot beside itself and rename it into place."""
    with new_folder(folder) as temporary:
        base.processor.save_pretrained(str(temporary))


def _provenance(base: Base) -> dict[str, Any]:
    language = {} if current() == ENGLISH else {"language": current().code}
    return {"base": _public_origin(base)} | language


def _public_origin(base: Base) -> dict[str, Any]:
    origin = asdict(base.origin)
    del origin["path"]
    return origin


def load_adapter(base: Base, folder: Path | str) -> PeftModel:
    """Put a saved adapter on the base, ready to transcribe. Raises UserError if it does not fit."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    if not config.is_file():
        raise UserError(f"{folder}: holds no adapter_config.json; give a peft adapter folder")
    if not weights.is_file():
        instead = pickle_hint(folder, "adapter_model") or "; the adapter is incomplete"
        raise UserError(f"{folder}: holds no adapter_model.safetensors{instead}")
    _check_config(config)
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{weights}: is damaged ({why(error)}); copy or train it again") from None
    if name := not_finite(state):
        raise UserError(f"{weights}: holds NaN or infinite weights, first in {name}; train again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing keys, which are refused below
            model = PeftModel.from_pretrained(base.net, str(folder))
    except Exception as error:  # peft, safetensors and torch raise many kinds for a bad folder
        reason = reason_of(error)
        raise UserError(f"{folder}: does not fit {base.origin.asked} ({reason})") from error
    refuse_adapters_elsewhere(base.net, f"{folder}: the adapter")
    have = set(state)
    want = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    if have != want:
        odd = sorted(have ^ want)[0]
        raise UserError(
            f"{folder}: does not fit {base.origin.asked} ({len(have ^ want)} tensors are missing "
            f"or unknown, first {odd})"
        )
    return model.to(base.device).eval()


def load_adapted(
    base: Base, adapter: Path | None, processor: Path | None
) -> tuple[Base, str | None]:
    """The base with a saved adapter and processor, where they are given, ready to transcribe.

    And a warning where the adapter was trained on other weights. Raises UserError if one does not
    fit.
    """
    warning = None
    if adapter is not None:
        load_adapter(base, adapter)
        warning = other_weights(adapter, base.origin.sha256)
    return (base if processor is None else with_processor(base, processor)), warning


def _check_config(file: Path) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        text = file.read_text(encoding="utf-8")
        if not isinstance(json.loads(text, parse_constant=refuse), dict):
            raise ValueError("expected an object")
    except ValueError as error:
        raise UserError(f"{file}: is not JSON ({error}); copy or train the adapter again") from None


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
    if current() != ENGLISH:
        base.net.config.language = current().code
    base.net.save_pretrained(str(folder))
    base.processor.save_pretrained(str(folder))
    for file in folder.iterdir():  # safetensors makes its file private
        file.chmod(0o666 & ~UMASK)
