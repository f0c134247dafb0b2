"""Where a base lies: the hub, a local folder, or rebuilt from PyPI packages."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from moontune.config.schema import ModelConfig
from moontune.errors import UserError
from moontune.languages.table import ENGLISH, Language, is_language
from moontune.models.provenance import PROVENANCE, WEIGHTS, base_of_adapter, weight_files
from moontune.system.files import user_path
from moontune.system.hub_client import NoAnswer, patient_hub, say

_FLAVOURS = ("ar", "ja", "ko", "uk", "vi", "zh")  # that the vendor has a tiny model of
OFFLINE_CHOICES = "give --model-id a local folder, or --model-id bundled for the offline model"
HUB_ALIASES = {  # the vendor renamed its organisation
    "UsefulSensors": "moonshine-ai",
    "moonshine-ai": "UsefulSensors",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MOONSHINE = re.compile(
    r"(?:UsefulSensors|moonshine-ai)/moonshine-"
    r"(?:tiny|base|streaming-(?:tiny|small|medium))(?:-([a-z]{2}))?"
)
# A copy of Moonshine tiny is told from a tuned model of its shape by the hash of three tensors.
_FINGERPRINTED = (
    "model.encoder.conv1.weight",
    "model.encoder.layers.3.self_attn.v_proj.weight",
    "model.decoder.layers.5.mlp.fc2.weight",
)
_FINGERPRINTS = {
    "9dd0eea1289d281c": "UsefulSensors/moonshine-tiny",
    "ca6e066bace597dd": "UsefulSensors/moonshine-tiny",  # as `bundled` rebuilds it
}
_ADAPTER = "adapter_config.json"
MODEL_TYPES = ("moonshine", "moonshine_streaming")  # of config.json, that moontune adapts
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]  # the card: its licence
_NOT_THE_HUB = (
    "{name}: what answers is not the hub; log in to this network (a browser shows its page), check "
    f"HF_ENDPOINT, or {OFFLINE_CHOICES}"
)


class Located(NamedTuple):
    """A base's folder on this machine, and what it is on the hub."""

    folder: Path
    hub_id: str  # the folder's path for a model that is not the hub's
    revision: str | None  # of the hub, or of the package behind `bundled`; None for a folder


def locate(model_id: str, revision: str | None = None) -> Located:
    """A base on this machine, downloaded if need be, never another one. Raises UserError."""
    if revision is not None and (model_id == "bundled" or _is_folder(model_id)):
        raise UserError(f"--revision names a commit of the hub, and {model_id} is local; drop it")
    if model_id == "bundled":
        from moontune.models.bundled import bundled_model_dir

        hub_id, version = "UsefulSensors/moonshine-tiny", "bundled moonshine-voice 0.0.4"
        return Located(bundled_model_dir(), hub_id, version)
    if _is_folder(model_id):
        folder = user_path(model_id)
        _refuse_no_model(folder, str(folder))
        return Located(folder, _hub_name(folder), None)
    if not (is_hub_id(model_id) if revision else may_be_on_hub(model_id)):
        raise UserError(f"--model-id {model_id}: no such folder", remedy=OFFLINE_CHOICES)
    return _download(model_id, revision)


def _refuse_other_type(folder: Path, what: str) -> None:
    """Raises UserError for a model of a type that moontune does not adapt."""
    config = _config(folder)
    # Where nothing is named, or config.json is broken, loading says what is wrong.
    kind = str(config.get("model_type", "moonshine") if isinstance(config, dict) else "moonshine")
    if kind not in MODEL_TYPES:
        known = " and ".join(MODEL_TYPES)
        raise UserError(f"{what}: is a model of type {kind}; moontune adapts types {known}")


def _refuse_no_model(folder: Path, what: str) -> None:
    """Raises UserError for a folder that is no whole model; an adapter may be made one."""
    if (folder / "config.json").is_file():
        return _refuse_other_type(folder, what)
    if not (folder / _ADAPTER).is_file():
        raise UserError(f"{what}: holds no config.json; give a folder from save_pretrained")
    base, revision = base_of_adapter(folder) or ("BASE", None)
    commit = json.dumps(revision) if revision else None
    code = (
        "from pathlib import Path; from moontune.models import adapter, base_model; "
        f'b = base_model.load_base({json.dumps(base)}, {commit}, "cpu"); '
        f"adapter.merged(b, Path({json.dumps(str(folder))})); "
        'adapter.save_merged(b, Path("merged-model"))'
    )
    raise UserError(
        f"{what}: is a peft adapter, not a whole model; `moontune transcribe --model {folder}` "
        f"takes it; to train on top of it, merge it: python -c {shlex.quote(code)}"
    )


def is_hub_id(model_id: str) -> bool:
    """Whether it can name a model on the hub, OWNER/NAME."""
    return _HUB_ID.fullmatch(model_id) is not None


def vendor_language(hub_id: str) -> str | None:
    """Code of the language that one of the vendor's models writes, by its name; None of others."""
    named = _MOONSHINE.fullmatch(hub_id)
    return named and (named[1] or "en")


def vendor_base(language: str) -> str | None:
    """The vendor's smallest model of a language that is not English, if it has one."""
    return f"UsefulSensors/moonshine-tiny-{language}" if language in _FLAVOURS else None


def run_flags(model_id: str | None, language: str) -> list[str]:
    """Flags of `moontune run` for a base and the language that is spoken; no base: the vendor's of
    that language."""
    base = model_id or vendor_base(language) or ModelConfig.model_id
    flags = [] if base == ModelConfig.model_id else ["--model-id", base]
    said = _named_language(base) or ENGLISH.code
    return flags if said == language else [*flags, "--language", language]


def other_language(model_id: str, language: str) -> str | None:
    """A line for a base whose name says another language than the one asked for."""
    named, better = _named_language(model_id), vendor_base(language)
    if named in (None, language):
        return None
    hint = f": --model-id {better} does" if better else ""
    return f"{model_id} does not write {Language(language).name}, by its name{hint}"


def language_of_base(model_id: str, revision: str | None = None, *, ask_hub: bool = True) -> str:
    """Code of the language that a base writes, English where nothing says one."""
    return stated_language(model_id, revision, ask_hub=ask_hub) or ENGLISH.code


def stated_language(
    model_id: str, revision: str | None = None, *, ask_hub: bool = True
) -> str | None:
    """Code of the language that a base writes: of the vendor's and of what is named after them by
    the name, of others by their own card or config; None where nothing says one.

    Raises UserError where there is no such base. With `ask_hub` one may be downloaded for it, else
    what was downloaded before is looked at.
    """
    known = ENGLISH.code if model_id == "bundled" else _named_language(model_id)
    if known is not None:
        return known
    if ask_hub or _is_folder(model_id):
        place = locate(model_id, revision)
        return vendor_language(place.hub_id) or told_language(place.folder)
    folder = _downloaded(model_id, revision)
    return None if folder is None else told_language(folder)


def told_language(folder: Path) -> str | None:
    """The one language that the card or the config of a model names; of one in an export also the
    export's card."""
    export = [folder.parent] if (folder.parent / "export.json").is_file() else []
    for facts in chain.from_iterable(map(facts_of, [folder, *export])):
        told = facts.get("language")
        one = told[0] if isinstance(told, list) and len(told) == 1 else told
        code = str(one).partition("-")[0].lower()  # of zh-CN
        if is_language(code):
            return code
    return None


def language_of_adapter(folder: Path) -> str | None:
    """The language that an adapter was trained in, as moontune noted it or its card says."""
    try:
        noted = json.loads(_text(folder / PROVENANCE))["language"]
    except (ValueError, KeyError, TypeError, RecursionError):
        noted = None
    return noted if is_language(noted) else told_language(folder)


def _named_language(model_id: str) -> str | None:
    """By the name, of the vendor or as of the vendor: `moonshine-tiny-ja`."""
    if vendor_language(model_id):
        return vendor_language(model_id)
    named = re.search(r"moonshine-(?:tiny|base)-([a-z]{2})(?![a-z])", model_id.rpartition("/")[2])
    return named[1] if named and is_language(named[1]) else None


def facts_of(folder: Path) -> Iterator[dict[str, Any]]:
    """What a model's folder says of it: the metadata on top of its card, then its config."""
    yield from (facts for facts in (_card(folder), _config(folder)) if isinstance(facts, dict))


def _card(folder: Path) -> Any:
    import yaml

    head = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", _text(folder / "README.md"), re.DOTALL)
    try:
        return yaml.safe_load(head[1]) if head else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _config(folder: Path) -> Any:
    try:
        return json.loads(_text(folder / "config.json") or "{}")
    except (ValueError, RecursionError):
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def may_be_on_hub(model_id: str) -> bool:
    """Whether it is to be sought there: not what is missing in a folder of this machine, as the
    run of a mistyped outputs/NAME is."""
    owner = model_id.partition("/")[0]
    return is_hub_id(model_id) and (owner in HUB_ALIASES or not _is_folder(owner))


def _is_folder(model_id: str) -> bool:
    return user_path(model_id).is_dir()


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
        with safe_open(folder / WEIGHTS, "numpy") as weights:
            for name in _FINGERPRINTED:
                digest.update(weights.get_tensor(name).astype("<f4").tobytes())
    except (OSError, SafetensorError, TypeError):  # none, broken, bfloat16: not the hub's
        return str(folder.resolve())
    return _FINGERPRINTS.get(digest.hexdigest()[:16], str(folder.resolve()))


def _download(model_id: str, revision: str | None) -> Located:
    from huggingface_hub import constants

    owner, name = model_id.split("/")
    names = [model_id] + ([f"{HUB_ALIASES[owner]}/{name}"] if owner in HUB_ALIASES else [])
    found = _cached(names, revision)
    fixed = re.fullmatch("[0-9a-f]{40}", revision or "") is not None
    if found is None or not (fixed or constants.HF_HUB_OFFLINE):
        try:
            with patient_hub(patient=found is None):
                found = _fetched(names, revision)
        except NoAnswer as error:
            if found is None:
                raise UserError(
                    f"{model_id}: not on this machine, and {error}; {error.remedy} (files that "
                    f"came whole are kept), or {OFFLINE_CHOICES}"
                ) from None
            _remark(f"remark: {error}; going on with {found[0]} as it was downloaded before")
    candidate, path = found
    _refuse_no_model(path, candidate)
    commit = path.name if path.parent.name == "snapshots" else revision
    return Located(path, candidate, commit)


@functools.cache
def _remark(line: str) -> None:
    """Once: a run asks for its base at several stages."""
    say(line)


def _cached(names: list[str], revision: str | None) -> tuple[str, Path] | None:
    """The first of them that was downloaded whole and is as it was then."""
    from huggingface_hub import snapshot_download

    for name in names:
        try:
            path = snapshot_download(
                name, revision=revision, allow_patterns=_FILES, local_files_only=True
            )
        except (OSError, ValueError):  # not there, or not all of it; or no name for the hub
            continue
        folder = Path(path)
        model = (folder / "config.json").is_file() and weight_files(folder)
        if (model or (folder / _ADAPTER).is_file()) and not _removed_broken(folder):
            return name, folder
    return None


def _downloaded(model_id: str, revision: str | None) -> Path | None:
    """The folder of a model of the hub that was downloaded before, as far as it was."""
    from huggingface_hub import try_to_load_from_cache

    if not is_hub_id(model_id):
        return None
    owner, name = model_id.split("/")
    for one in dict.fromkeys([owner, HUB_ALIASES.get(owner, owner)]):
        found = try_to_load_from_cache(f"{one}/{name}", "config.json", revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _fetched(names: list[str], revision: str | None) -> tuple[str, Path]:
    """The model that the hub has under the first of these names that it knows."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    for name in names:
        try:
            return name, _whole(name, revision)
        except GatedRepoError:
            raise UserError(f"{name} is gated; accept its terms and run `hf auth login`") from None
        except RevisionNotFoundError:
            raise UserError(f"{name} has no revision {revision}; check --revision") from None
        except (RepositoryNotFoundError, HFValidationError):
            continue
        except (HfHubHTTPError, LocalEntryNotFoundError) as error:
            refusal = error if isinstance(error, HfHubHTTPError) else error.__cause__
            if not isinstance(refusal, HfHubHTTPError):
                raise UserError(_NOT_THE_HUB.format(name=name)) from None
            status = refusal.response.status_code
            if status == 401:  # so the hub says "no such model" to those it does not know
                continue
            raise UserError(
                f"the hub refused {name} ({status}); log in with `hf auth login` as somebody who "
                f"may read it, or {OFFLINE_CHOICES}"
            ) from None
        except (ValueError, KeyError, TypeError, AssertionError):  # a login page of a hotel, say
            raise UserError(_NOT_THE_HUB.format(name=name)) from None
    raise UserError(
        f"the hub has no model {' or '.join(names)} that it shows to you; check --model-id, and "
        "if it is private or gated log in with `hf auth login` (a wrong HF_TOKEN hides all models)"
    )


def _whole(name: str, revision: str | None) -> Path:
    """Download what is not there yet, and once again what came broken."""
    from huggingface_hub import snapshot_download

    broken: list[str] = []
    for _ in range(2):
        try:
            for patterns in (["config.json"], _FILES):  # another type may be gigabytes
                folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
                _refuse_other_type(folder, name)
        except OSError as error:
            # Its own error for a file that is not as long as was promised has neither.
            if type(error) is not OSError or error.errno is not None:
                raise
            broken = ["a file"]
        else:
            broken = _removed_broken(folder)
            if not broken:
                return folder
    raise UserError(
        f"{name}: {' and '.join(broken)} came from the hub twice with other content than it "
        f"promised, and was not kept; try another network or later, or {OFFLINE_CHOICES}"
    )


def _removed_broken(folder: Path) -> list[str]:
    """Files of a snapshot that are not what the hub said they are; they are deleted.

    The cache links to a file named by the hub's ETag: for weights the SHA-256 of their content.
    """
    broken = []
    for file in sorted(f for f in folder.iterdir() if f.is_symlink()):
        content = folder / file.readlink()
        if not re.fullmatch("[0-9a-f]{64}", content.name):
            continue
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() == content.name:
                continue
        file.unlink()
        content.unlink()
        broken.append(file.name)
        say(f"{file.name} is broken, its hash is not the hub's; it was deleted")
    return broken
