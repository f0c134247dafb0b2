"""Where a base lies: the hub, a local folder, or rebuilt from PyPI packages. No torch here."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from moontune.errors import UserError

OFFLINE_CHOICES = "give --model-id a local folder, or --model-id bundled for the offline model"
HUB_ALIASES = {  # the vendor renamed its organisation
    "UsefulSensors": "moonshine-ai",
    "moonshine-ai": "UsefulSensors",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# A copy of Moonshine tiny is told from a tuned model of its shape by the bytes of three tensors.
_TELLING = (
    "model.encoder.conv1.weight",
    "model.encoder.layers.3.self_attn.v_proj.weight",
    "model.decoder.layers.5.mlp.fc2.weight",
)
_KNOWN = {
    "9dd0eea1289d281c": "UsefulSensors/moonshine-tiny",
    "ca6e066bace597dd": "UsefulSensors/moonshine-tiny",  # as `bundled` rebuilds it
}
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


def locate(model_id: str, revision: str | None = None) -> tuple[Path, str, str | None]:
    """Folder, hub id and revision of a base. Raises UserError; never picks another model."""
    if revision is not None and (model_id == "bundled" or _is_folder(model_id)):
        raise UserError(f"--revision names a commit of the hub, and {model_id} is local; drop it")
    if model_id == "bundled":
        from moontune.bundled import bundled_model_dir

        return bundled_model_dir(), "UsefulSensors/moonshine-tiny", "bundled moonshine-voice 0.0.4"
    if _is_folder(model_id):
        folder = Path(model_id).expanduser()
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: holds no config.json; give a folder from save_pretrained")
        return folder, _hub_name(folder), None
    if not is_hub_id(model_id):
        raise UserError(f"--model-id {model_id}: no such folder; {OFFLINE_CHOICES}")
    return _download(model_id, revision)


def is_hub_id(model_id: str) -> bool:
    """Whether it can name a model on the hub, OWNER/NAME."""
    return _HUB_ID.fullmatch(model_id) is not None


def _is_folder(model_id: str) -> bool:
    try:
        return Path(model_id).expanduser().is_dir()
    except RuntimeError:  # ~nobody
        return False


def _hub_name(folder: Path) -> str:
    """The hub id of a local copy, told by its weights; the path itself for any other model."""
    from safetensors import SafetensorError, safe_open

    config = folder / "config.json"
    try:
        if not isinstance(json.loads(config.read_text(encoding="utf-8")), dict):
            raise ValueError("expected an object")
    except ValueError as error:
        raise UserError(f"{config}: is not JSON ({error}); mend it") from None
    digest = hashlib.sha256()
    try:
        with safe_open(folder / "model.safetensors", "numpy") as weights:
            for name in _TELLING:
                digest.update(weights.get_tensor(name).astype("<f4").tobytes())
    except (OSError, SafetensorError):  # load_base says what is wrong with them
        return str(folder.resolve())
    return _KNOWN.get(digest.hexdigest()[:16], str(folder.resolve()))


def _download(model_id: str, revision: str | None) -> tuple[Path, str, str | None]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    owner, name = model_id.split("/")
    names = [model_id] + ([f"{HUB_ALIASES[owner]}/{name}"] if owner in HUB_ALIASES else [])
    unreachable = ""
    for candidate in names:
        try:
            path = Path(snapshot_download(candidate, revision=revision, allow_patterns=_FILES))
        except GatedRepoError:
            raise UserError(
                f"{candidate} is gated; accept its terms and run `hf auth login`"
            ) from None
        except RepositoryNotFoundError:
            continue
        except RevisionNotFoundError:
            raise UserError(f"{candidate} has no revision {revision}; check --revision") from None
        except LocalEntryNotFoundError as error:  # not cached, and no answer; the alias may be
            unreachable = unreachable or type(error.__cause__ or error).__name__
            continue
        except (OSError, HfHubHTTPError) as error:
            unreachable = unreachable or type(error).__name__
            continue
        return path, candidate, path.name if path.parent.name == "snapshots" else revision
    if unreachable:
        raise UserError(
            f"cannot reach the model hub for {model_id} ({unreachable}), and there is no folder "
            f"of that name here; {OFFLINE_CHOICES}"
        )
    raise UserError(f"the hub has no model {' or '.join(names)}; check --model-id")
