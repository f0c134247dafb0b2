"""Checks of data, model, disk and memory, before an hour is spent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from moontune.config.schema import RunConfig
from moontune.data.manifest import (
    each_utterance,
    read_manifest,
    read_manifests,
    refuse_given_twice,
)
from moontune.data.splitting import check_groups
from moontune.data.word_lists.domain_text import read_domain_text
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.models.locate import locate
from moontune.models.provenance import count_weights
from moontune.system.cache import cache_dir
from moontune.system.device import choose_device
from moontune.system.formatting import counted

# A run's folder: adapter, optimizer state twice while it is replaced, page with audio, processor.
RUN_BYTES = 250_000_000
_REST_BYTES = 150_000_000  # the state, twice
_CACHE_BYTES = 300_000_000  # a base, and audio that is made or streamed
# Of a run's peak on a CPU: program, data and passes of 2,048 frames; the rest goes with the base's
# weights, their copies, and its width and depth (measured: docs/performance.md).
_PROGRAM_BYTES = 1_300_000_000
_BYTES_A_WEIGHT = 17
_BYTES_A_WEIGHT_BESIDE_A_GPU = 4
_HOPELESS = 0.45  # of it; under that nothing is loaded
_LOOKED_AT = 20_000  # rows, where no speaker is named; more may take minutes


def check_room(config: RunConfig, *, begun: bool = False) -> list[str]:
    """Remarks on what is scarce. Raises UserError where a folder cannot be written to, or the disk
    will not do; one that was begun needs little more of it."""
    _check_folder(config.output.output_dir, _REST_BYTES if begun else RUN_BYTES, "--output-dir")
    if config.report.report_file is not None:
        _check_folder(config.report.report_file.parent, 0, "--report-file")
    try:  # all that it wants from there may be in it already
        _check_folder(cache_dir(), 0 if begun else _CACHE_BYTES, "MOONTUNE_CACHE")
    except UserError as error:
        return [str(error)]
    return []


def check_data(config: RunConfig) -> None:
    """Find what is wrong with data and report before anything is spent. Raises UserError."""
    from moontune.pipeline.stages.report import (  # loads the pages
        check_report_file,
        collected_report,
    )

    check_report_file(collected_report(config, config.output.output_dir / "new"))
    for more in (config.general.general_manifest, config.general.replay_manifest):
        if more is not None:
            read_manifest(more)
    if config.data.manifest is not None:
        refuse_given_twice(config.data.manifest)
        _check_manifests(config.data.manifest, config)


def _check_manifests(paths: Sequence[Path], config: RunConfig) -> None:
    """Raises UserError for too few clips or speakers; rows that cannot be used may be why."""
    try:
        first = islice(each_utterance(*paths), _LOOKED_AT)
        check_groups(first, config.split.split_by)
    except UserError as error:
        bad = read_manifests(paths)[1]
        if not bad:
            raise
        unusable = f"of {counted(len(bad), 'more row')} no use can be made"
        raise UserError(f"{error}; {unusable}, e.g. {bad[0].where}: {bad[0].detail}") from None


def check_words(config: RunConfig) -> None:
    """Read key terms and text, where they are given, within their language. Raises UserError."""
    if config.terms.key_terms is not None:
        read_key_terms(config.terms.key_terms)
    if config.terms.domain_text is not None:
        read_domain_text(config.terms.domain_text)


def check_model(config: RunConfig) -> list[str]:
    """Find a missing model or device, or too little memory for the model, before anything is
    spent. Remarks on what is scarce; raises UserError."""
    base = locate(config.model.model_id, config.model.revision).folder
    return check_memory(base, config)


def check_memory(base: Path, config: RunConfig) -> list[str]:
    """Remarks on memory, if a run on a base in that folder may be short of it. Raises UserError
    where it is hopeless."""
    on_cpu = choose_device(config.device.device).name == "cpu"
    each = _BYTES_A_WEIGHT if on_cpu else _BYTES_A_WEIGHT_BESIDE_A_GPU
    return _memory(_PROGRAM_BYTES + each * count_weights(base))


def _check_folder(folder: Path, least_bytes: int, remedy: str) -> None:
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise UserError(f"{there}: is no folder, so {folder} cannot be made; give another {remedy}")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(
            f"{there}: cannot be written to ({error.strerror}); give another {remedy}"
        ) from None
    disk = shutil.disk_usage(there)
    if disk.total and disk.free < least_bytes:  # a file system may tell nothing
        raise UserError(
            f"{there}: {disk.free / 1e6:,.0f} MB are free on its disk and {least_bytes / 1e6:,.0f} "
            f"are needed; make room, or give another {remedy}"
        )


def _memory(needed: int) -> list[str]:
    import psutil

    free = psutil.virtual_memory().available
    about = f"about {needed / 1e6:,.0f}"
    if free + psutil.swap_memory().free < _HOPELESS * needed:
        raise UserError(
            f"{free / 1e6:,.0f} MB of memory are free and {about} are needed with this base; close "
            "other programs, or give a smaller --model-id"
        )
    if free < needed:
        return [
            f"{free / 1e6:,.0f} MB of memory are free, and a run on this base may take {about}: it "
            "can be slow"
        ]
    return []
