"""A run begun, or gone on with: what is checked, in which order, before anything is spent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moontune.config.loading import read_settings, to_dict, with_settings
from moontune.config.presets import PRESETS
from moontune.config.schema import RunConfig
from moontune.config.validation import remarks, resolve
from moontune.data.word_lists.domain_text import read_domain_text
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.languages.table import assumed, speaking
from moontune.models.locate import other_language
from moontune.pipeline.base_of_run import (
    as_open,
    language_is_assumed,
    names_language,
    with_language,
)
from moontune.pipeline.earlier_run import with_earlier
from moontune.pipeline.preflight import (
    check_data,
    check_memory,
    check_model,
    check_room,
    check_words,
)
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.creating import create_run, new_run_path
from moontune.pipeline.run_folder.lock import exclusive_run, helped
from moontune.pipeline.run_folder.opening import open_run
from moontune.pipeline.run_folder.record import KINDS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages import STAGES
from moontune.system.files import new_folder


class RunKind:
    """A kind of run, and what its verb asks beyond the settings. This one asks nothing."""

    name = "run"  # one of KINDS, and its verb

    def check(self, config: RunConfig) -> None:
        """Raises UserError, before anything is spent, for what cannot be."""

    def facts(self) -> dict[str, Any]:
        """The request, for the run's record."""
        return {}

    def resume(self, run: RunDir) -> None:
        """Change what may be changed of a run gone on with. Raises UserError for the rest."""


@dataclass(frozen=True)
class Start:
    """Circumstances in which a run is begun or resumed."""

    kind: RunKind
    command: list[str]  # as it is recorded
    sample: Callable[[RunDir, RunConfig], object]  # does the first stage
    remark: Callable[[str], object]
    held: ExitStack  # gets the lock on the run's folder
    needs_model: bool = True  # not for the first stage alone


def layered_settings(preset: str | None, file: Path | None) -> RunConfig:
    """The defaults, then the preset, then the file. Raises UserError."""
    return with_file(with_preset(RunConfig(), preset), file)


def with_preset(config: RunConfig, preset: str | None) -> RunConfig:
    if preset is None:
        return config
    if preset not in PRESETS:
        raise UserError(f"preset {preset}: unknown; known are {', '.join(PRESETS)}")
    return with_settings(config, PRESETS[preset], f"preset {preset}")


def with_file(config: RunConfig, file: Path | None) -> RunConfig:
    return config if file is None else with_settings(config, read_settings(file), str(file))


def begin_run(
    config: RunConfig, start: Start, *, overwrite: bool = False
) -> tuple[RunDir, RunConfig]:
    """A new run with its utterances sampled, and its configuration. Raises UserError.

    A folder of that name, or an older run in it, is touched only once sampling has succeeded.
    """
    config = _resolved(config, start.kind)
    path = new_run_path(config, overwrite=overwrite)
    for text in remarks(config) + check_room(config):
        start.remark(text)
    if names_language(config):
        config = with_language(config)
    with speaking(config.language):
        check_words(config)
    check_data(config)
    start.kind.check(config)
    if start.needs_model:
        for text in check_model(config):
            start.remark(text)
    if language_is_assumed(config):
        start.remark(assumed(config.model.model_id))
    config = with_language(config)
    if wrong := other_language(config.model.model_id, config.language.code):
        start.remark(wrong)
    start.held.enter_context(speaking(config.language))
    check_words(config)
    start.held.enter_context(exclusive_run(path))
    if helped(path):
        raise UserError(f"{path}: `moontune work` is on it; end that before you replace the run")
    named = replace(config.output, run_name=path.name)
    new_run_path(replace(config, output=named), overwrite=overwrite)  # another may have made it
    with new_folder(path) as temporary:
        run = create_run(config, temporary, path.name, start.command, start.kind.name)
        if facts := start.kind.facts():
            run.note(**facts)
        start.sample(run, config)
    run = open_run(path)
    return run, run.words.keep(config)


def _resolved(config: RunConfig, kind: RunKind) -> RunConfig:
    """Raises UserError. A cross-validation and a sweep take the earlier run's clips along, and
    leave no split as it was."""
    config = resolve(with_earlier(resolve(config)))
    if kind.name == "run":
        return config
    return replace(config, data=replace(config.data, after=None))


def resume_run(
    place: Path, settings: Callable[[RunConfig], RunConfig], start: Start
) -> tuple[RunDir, RunConfig]:
    """The run to go on with, and its configuration. Raises UserError.

    `settings` makes what is asked for now of what the run was begun with. Only what its report is,
    and where, may differ.
    """
    run = open_run(place)
    start.held.enter_context(exclusive_run(run.path))
    if run.kind != start.kind.name:
        single = run.kind == "run"
        remedy = "give another --run-name" if single else f"use: moontune {run.kind} --resume"
        if run.kind == "final":
            remedy = f"use: {final_command(run.path.parent)}"
        raise UserError(f"{run.path}: is {KINDS[run.kind]}; {remedy}")
    saved = run.config()
    start.held.enter_context(speaking(saved.language))
    wanted = as_open(_resolved(settings(saved), start.kind), saved)
    wanted = _by_own_copies(run, wanted, saved)
    config = resolve(replace(saved, report=wanted.report))
    _refuse_other_settings(config, wanted)
    start.kind.resume(run)
    for text in check_room(config, begun=True) + _memory_of(run, config):
        start.remark(text)
    if run.kind == "run" and config.report != saved.report:
        run.forget_stages(["verdict", "report"])
    run.add_command(start.command)
    run.save_config(config)
    return run, config


def _by_own_copies(run: RunDir, wanted: RunConfig, saved: RunConfig) -> RunConfig:
    """What is wanted, with the run's own copies of key terms and text where those asked for have
    the same.

    Raises UserError for what cannot be read.
    """
    terms = wanted.terms
    asked, own = terms.key_terms, saved.terms.key_terms
    if asked and own and asked != own and read_key_terms(asked) == read_key_terms(own):
        terms = replace(terms, key_terms=own)
    asked, own = terms.domain_text, saved.terms.domain_text
    if asked and own and asked != own and read_domain_text(asked) == run.words.sentences():
        terms = replace(terms, domain_text=own)
    return replace(wanted, terms=terms)


def _memory_of(run: RunDir, config: RunConfig) -> list[str]:
    """Remarks on memory for the base of a run gone on with, if it was loaded before and will be."""
    done = run.stages()
    base = next((facts["base"]["path"] for facts in done.values() if "base" in facts), None)
    computes = any(stage.computes and stage.name not in done for stage in STAGES)
    return check_memory(Path(base), config) if base is not None and computes else []


def _refuse_other_settings(config: RunConfig, wanted: RunConfig) -> None:
    """Raises UserError for a setting that is wanted otherwise than the run has it."""
    place = config.output
    output = replace(wanted.output, run_name=place.run_name, output_dir=place.output_dir)
    asked = to_dict(resolve(replace(wanted, output=output)))
    for section, values in to_dict(config).items():
        for key in asked[section].keys() | values.keys():
            new, old = asked[section].get(key), values.get(key)
            if new != old:
                theirs = ", which left it open" if old is None else f" {old}"
                raise UserError(
                    f"{key} = {new} differs from the run's{theirs}; a resumed run keeps its "
                    "settings: leave it out, or start another run"
                )
