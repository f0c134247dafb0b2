"""Parquet files in LibriSpeech's shape as a stream: in a folder, or on the hub."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from moontune.errors import UserError

COLUMNS = ("audio", "text", "speaker_id", "id")
WITHOUT_HUB = (
    "without the hub: --source manifest --manifest FILE, --source synthetic,"
    " or --dataset FOLDER with LibriSpeech's parquet files"
)
_NOT_THERE = "neither a folder here nor a data set that the hub shows to you"
_LOG_IN = (
    "check --dataset, and if it is private or gated log in with `hf auth login` (a wrong HF_TOKEN "
    "hides all data sets)"
)


def _canonical(config: str, split: str) -> str:
    """The name in config `all`: split `train.100` of config `clean` is `train.clean.100`."""
    if config not in ("clean", "other"):
        return split
    head, _, tail = split.partition(".")
    return ".".join(part for part in (head, config, tail) if part)


def _no_split(dataset: str, split: str, there: list[str]) -> UserError:
    names = ", ".join(sorted(there)) or "no parquet file at all"
    return UserError(f"{dataset}: no split {split!r}", remedy=f"found {names}; choose one of them")


def folder_files(folder: Path, split: str) -> list[Path]:
    """The split's files: `SPLIT/*.parquet`, `SPLIT-*.parquet` or `SPLIT.parquet`, or in `all/`.

    A copy of the hub's tree holds the rows of `all/` again, under shorter names, in `clean/` and
    `other/`; so the files of a split are taken from one root only, `all/` before the others.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        root, *below = (".", *file.relative_to(folder).parts[:-1])
        if below and below[0] in ("all", "clean", "other", "data"):
            root, *below = below
        name = _canonical(root, "/".join(below) or file.stem.split("-")[0])
        found.setdefault(name, {}).setdefault(root, []).append(file.resolve())
    if split not in found:
        raise _no_split(str(folder), split, list(found))
    return found[split][min(found[split], key=lambda root: (root != "all", root))]


def folder_stream(dataset: str, files: list[Path]) -> Any:
    import datasets

    data_files = {"train": [glob.escape(str(file)) for file in files]}
    try:
        splits = datasets.load_dataset("parquet", data_files=data_files, streaming=True)
    except reading_errors() as error:
        raise UserError(f"{dataset}: not readable as parquet ({line_of(error)})") from error
    return _undecoded(splits["train"], dataset)


def hub_stream(dataset: str, split: str, commit: str) -> Any:
    """The split from whichever of the hub's configs holds it, `all` first."""
    import datasets

    there: dict[str, None] = {}
    try:
        configs = datasets.get_dataset_config_names(dataset, revision=commit)
        known = [c for c in ("all", "clean", "other", "default") if c in configs]
        for config in known or configs[:1]:
            splits = datasets.load_dataset(dataset, config, streaming=True, revision=commit)
            names = {_canonical(config, str(name)): name for name in splits}
            if split in names:
                return _undecoded(splits[names[split]], dataset)
            there |= dict.fromkeys(names)
    except (*reading_errors(), ValueError, RuntimeError) as error:
        raise UserError(
            f"{dataset}: cannot be streamed ({line_of(error)})", remedy=WITHOUT_HUB
        ) from error
    raise _no_split(dataset, split, list(there))


def _undecoded(stream: Any, dataset: str) -> Any:
    """The stream with its audio left as bytes; UserError where a column is missing."""
    from datasets import Audio

    columns = list(stream.features or {})
    if missing := ", ".join(name for name in COLUMNS if name not in columns):
        there = ", ".join(columns) or "none"
        raise UserError(f"{dataset}: no column {missing}", remedy=f"found {there}")
    return stream.cast_column("audio", Audio(decode=False))


def hub_commit(dataset: str, revision: str | None) -> str:
    """The commit that `revision` (None: the newest) stands for. Raises NoAnswer too."""
    from huggingface_hub import HfApi, errors

    try:
        info = HfApi().dataset_info(dataset, revision=revision)
    except errors.GatedRepoError:
        remedy = "accept its terms on the hub, then run `hf auth login`"
        raise UserError(f"{dataset}: is gated", remedy=remedy) from None
    except errors.RevisionNotFoundError:
        problem = f"{dataset}: no revision {revision!r} on the hub"
        raise UserError(problem, remedy="check it") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status not in (401, 404):
            raise UserError(f"{dataset}: {line_of(error)}", remedy=WITHOUT_HUB) from None
        raise UserError(f"{dataset}: {_NOT_THERE}", remedy=_LOG_IN) from None
    except errors.HFValidationError:
        raise UserError(f"{dataset}: {_NOT_THERE}", remedy=_LOG_IN) from None
    except (ValueError, KeyError, TypeError):  # a login page of a hotel, say
        raise UserError(
            f"{dataset}: what answers is not the hub",
            remedy=f"log in to this network, check HF_ENDPOINT, or {WITHOUT_HUB}",
        ) from None
    return info.sha or revision or "main"


def reading_errors() -> tuple[type[Exception], ...]:
    """What the network, the hub, `datasets` and parquet raise for reasons that are not ours."""
    from huggingface_hub.errors import HfHubHTTPError
    from pyarrow import ArrowException

    # Its first base is the HTTPError of httpx or httpx2, whichever huggingface_hub was built on.
    http_error: Any = HfHubHTTPError.__bases__[0]
    return (OSError, http_error, ArrowException)


def line_of(error: BaseException) -> str:
    """The first line of an error's text, or its kind; never an address, which may be signed."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return f"the hub answered {error.response.status_code}"
    text = str(error).strip()
    return text.splitlines()[0][:200].rstrip(".") if text else type(error).__name__
