"""What is reviewed: a manifest, or a run's data with what the run knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moontune.errors import UserError
from moontune.pipeline.run_folder.opening import open_run, pinned_revision
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.review.clips import Row, read_rows
from moontune.review.files import REVIEWED, ReviewFiles
from moontune.system.files import real_path, user_path
from moontune.web.model_sources import ModelSource, model_sources


@dataclass(frozen=True)
class DataSet:
    """A manifest, where its review goes, who listens, and what a run knows of its clips."""

    title: str
    files: ReviewFiles
    sources: list[ModelSource]
    transcripts: Mapping[str, str] = field(default_factory=dict)  # of the first of them, by id
    suspects: frozenset[str] = frozenset()  # ids

    def rows(self) -> list[Row]:
        """The rows of the manifest, once its files are such that a review may be written. Raises
        UserError."""
        self.files.check()
        return read_rows(self.files.manifest)


def open_data(
    data: Path, output: Path | None, model: str | None, model_id: str | None, *, greedy: bool
) -> DataSet:
    """DATA as it is given: a manifest, a folder that has one, or a run.

    `greedy`: whether models will listen as runs do. Raises UserError.
    """
    data = user_path(data)
    if (data / "run.json").is_file():
        return _of_run(open_run(data), output, model, model_id, greedy=greedy)
    manifest = data
    if data.is_dir():
        manifest = data / "manifest.jsonl"
        if not manifest.is_file():
            raise UserError(
                f"{data}: holds no manifest.jsonl; name a manifest, a folder that has one, or a "
                f"run. Anything else is one after: moontune import {data}"
            )
    elif not data.exists():
        raise UserError(f"{data}: no such file or folder; name a manifest, its folder, or a run")
    title = real_path(data).name if data.is_dir() else f"{real_path(data.parent).name}/{data.name}"
    reviewed = manifest.parent / REVIEWED if output is None else user_path(output)
    return DataSet(title, ReviewFiles(manifest, reviewed), model_sources(model, model_id))


def _of_run(
    run: RunDir, output: Path | None, model: str | None, model_id: str | None, *, greedy: bool
) -> DataSet:
    """All that a run cleaned; its review lies in a folder beside it."""
    has = next((r for r in (run, run.whole) if r.manifest("clean").is_file()), None)
    if has is None and "clean" in run.stages():
        run.file("manifests/clean.jsonl")
    if has is None:
        raise UserError(f"{run.path}: has no clips yet; do its stages sample and clean first")
    path, whole = real_path(run.path), real_path(run.whole.path)
    name = path.name if path == whole else f"{whole.name}-{path.name}"
    beside = whole.with_name(f"{name}-reviewed") / REVIEWED
    files = ReviewFiles(has.manifest("clean"), beside if output is None else user_path(output))
    written = run / "base_transcripts.json"
    is_its_own = model is None and model_id is None and greedy and written.is_file()
    return DataSet(
        path.name,
        files,
        model_sources(model, model_id) if model or model_id else _sources(run),
        {str(k): str(v) for k, v in run.read(written.name).items()} if is_its_own else {},
        frozenset(s.id for s in run.suspects()),
    )


def _sources(run: RunDir) -> list[ModelSource]:
    """The run's own models: its base, and what it tuned once it has."""
    if (run.adapter / "adapter_config.json").is_file():
        return model_sources(str(run.path), None)
    config = run.config()
    return [ModelSource("base", config.model.model_id, pinned_revision(run, config))]
