"""Where a base lies: the hub, a local folder, or rebuilt from PyPI packages. No torch here."""

from __future__ import annotations

import json
from pathlib import Path

from moontune.errors import UserError

OFFLINE_CHOICES = "give --model-id a local folder, or --model-id bundled for the offline model"
HUB_ALIASES = {  # the vendor renamed its organisation
    "UsefulSensors": "moonshine-ai",
    "moonshine-ai": "UsefulSensors",
}
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


def locate(model_id: str, revision: str | None = None) -> tuple[Path, str, str | None]:
    """Folder, hub id and revision of a base. Raises UserError; never picks another model."""
    if model_id == "bundled":
        from moontune.bundled import bundled_model_dir

        return bundled_model_dir(), "UsefulSensors/moonshine-tiny", "bundled moonshine-voice 0.0.4"
    folder = Path(model_id).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: holds no config.json; give a folder from save_pretrained")
        return folder, _hub_name(folder), None
    if model_id.startswith((".", "/", "~")) or model_id.count("/") != 1:
        raise UserError(f"--model-id {model_id}: no such folder; {OFFLINE_CHOICES}")
    return _download(model_id, revision)


def _hub_name(folder: Path) -> str:
    """The hub id of a local copy, told by its shape; the path itself for anything else."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'config.json'}: is not JSON ({error}); mend it") from None
    shape = (config.get("hidden_size"), config.get("vocab_size"))
    known = {
        (288, 32768): "UsefulSensors/moonshine-tiny",
        (416, 32768): "UsefulSensors/moonshine-base",
    }
    return known.get(shape, str(folder.resolve()))


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
            f"cannot reach the model hub for {model_id} ({unreachable}); {OFFLINE_CHOICES}"
        )
    raise UserError(f"the hub has no model {' or '.join(names)}; check --model-id")
