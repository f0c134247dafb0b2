"""`--manifest SOURCE` for a source that is no manifest: imported, with links, beside the runs."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from moontune.config.schema import ModelConfig, RunConfig
from moontune.errors import UserError
from moontune.importing.audio_files import files_below
from moontune.importing.data_set import MANIFEST, RECORD, Imported, Request, make_data_set
from moontune.importing.formats.manifest import is_manifest
from moontune.importing.recognise import ORIGIN, recognise
from moontune.importing.unpacking import is_archive
from moontune.importing.values import DamagedSourceError
from moontune.models.locate import stated_language
from moontune.system.cache import build_once
from moontune.system.files import write_json

FOLDER = "imported"  # below the runs' folder
_LOOKED_AT = 50_000  # files that tell whether a source has changed
_LONGEST_NAME = 60


def with_imported(
    config: RunConfig, tell: Callable[[str], object], saved: RunConfig | None = None
) -> RunConfig:
    """The configuration with a manifest for each source that is none.

    `saved` is of a run that is gone on with: a source that it was begun with is not looked at
    again. Raises UserError.
    """
    named = config.data.manifest
    if not named:
        return config
    known = _origins(saved)
    runs = config.output.output_dir
    spoken = _spoken(config.model)
    manifests = tuple(
        known.get(_key(path)) or _manifest_of(path, runs, spoken, tell) for path in named
    )
    if manifests == named:
        return config
    return replace(config, data=replace(config.data, manifest=manifests))


def _spoken(model: ModelConfig) -> str | None:
    """The code of the language that was asked for, else of a base that was, as far as that is known
    by now."""
    if model.language is not None or model.model_id == ModelConfig.model_id:
        return model.language
    with suppress(UserError):  # told once the base is loaded
        return stated_language(model.model_id, model.revision, ask_hub=False)
    return None


def _origins(saved: RunConfig | None) -> dict[str, Path]:
    """Manifests of a run by what they were imported from."""
    found: dict[str, Path] = {}
    for manifest in (saved.data.manifest or ()) if saved else ():
        origin = manifest.parent / ORIGIN
        if origin.is_file():
            found[json.loads(origin.read_text(encoding="utf-8"))["source"]] = manifest
    return found


def _key(path: Path) -> str:
    return str(path.expanduser().resolve())


def _manifest_of(path: Path, runs: Path, spoken: str | None, tell: Callable[[str], object]) -> Path:
    """A source's manifest: itself where it is one, or where it is of no known kind."""
    if path.is_dir():
        if (path / RECORD).is_file() and (path / MANIFEST).is_file():
            return path / MANIFEST
    elif not path.is_file() or is_manifest(path):
        return path
    elif not is_archive(path):
        try:
            recognise(path, Request.longest_s, language=spoken)
        except DamagedSourceError:
            raise
        except UserError:
            return path  # what is wrong with it as a manifest is told by who reads it
    return _imported(path, runs, spoken, tell)


def _imported(path: Path, runs: Path, spoken: str | None, tell: Callable[[str], object]) -> Path:
    name = f"{path.resolve().stem[:_LONGEST_NAME]}-{_fingerprint(path, runs)}"
    folder = runs / FOLDER / (name if spoken is None else f"{name}-{spoken}")

    def build(empty: Path) -> None:
        tell(f"importing {path}, which is no manifest ...")
        make_data_set(Request((path,), link=True, language=spoken), empty)
        write_json(empty / ORIGIN, {"source": _key(path)})

    build_once(folder, build)
    source = Imported.read(folder).sources[0]
    columns = f" ({', '.join(source.taken_for)})" if source.taken_for else ""
    tell(f"imported {source.sentence}{columns}: {folder}")
    return folder / MANIFEST


def _fingerprint(path: Path, runs: Path) -> str:
    """What changes when a source does: names, sizes and times of its files, and of those beside a
    single file that may name them."""
    digest = hashlib.sha256(os.fsencode(_key(path)))
    for file in itertools.islice(_files_of(path.resolve(), runs.resolve()), _LOOKED_AT):
        try:
            about = file.stat()
        except OSError:  # a link that leads nowhere, or gone meanwhile
            continue
        digest.update(os.fsencode(f"{file}\0{about.st_size}\0{about.st_mtime_ns}\n"))
    return digest.hexdigest()[:10]


def _files_of(source: Path, runs: Path) -> Iterator[Path]:
    if is_archive(source):  # which has all that is of it
        return iter((source,))
    return files_below(source if source.is_dir() else source.parent, runs)
