"""A run's folder: its files, the record of finished stages, and what made it."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from moontune.config.loading import read_settings, retired, to_toml, with_settings, without_retired
from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.data.word_lists.domain_text import read_domain_text
from moontune.errors import UserError
from moontune.evaluation.domain_text.results import WeighedText
from moontune.evaluation.key_terms.results import WrittenTerms
from moontune.evaluation.predictions import run_predictions
from moontune.evaluation.screening.suspects import Suspect
from moontune.pipeline.environment import environment, versions_here
from moontune.pipeline.run_lock import exclusive_file
from moontune.pipeline.run_log import RunLog
from moontune.report.results import ArtifactTest, FinalMetrics, LossHistory, RunMetrics, RunResults
from moontune.system.files import (
    damage_as_user_error,
    new_folder,
    read_json,
    read_jsonl,
    real_path,
    user_path,
    write_bytes,
    write_json,
    write_text,
)

Found = TypeVar("Found")
KINDS = {
    "run": "a single run",
    "crossval": "a cross-validation",
    "sweep": "a sweep",
    "final": "an adapter trained on all clips, none held out",
}
FINAL = "final"  # folder of that adapter, in the cross-validation's
# Settings that are paths, relative to the folder that a run began in.
PATHS = (
    *("model_id", "manifest", "after", "key_terms", "domain_text"),
    *("general_manifest", "replay_manifest"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEFAULTS_BEFORE = {  # what runs did that are older than a setting
    "dtype": "float32",
    "language": "en",
    "tokens_per_second": 6.5,
    "token_margin": 2,
    "token_dropout": 0.0,
    "wise_ft": 1.0,
    "backwards_share": 0.0,
}
_OLD_REPORT = "docs/training_report.md"  # once the default of report_file
SUSPECTS = "suspects.jsonl"
_MADE_BY = {  # what a stage leaves
    "manifests/audio_sha256.json": "clean",
    "split.json": "split",
    "base_transcripts.json": "labels",
    "eval_base.json": "baseline",
    "train.json": "train",
    "eval_tuned.json": "evaluate",
    "artifact_test.json": "artifact",
    "metrics.json": "verdict",
}
_BEFORE_TRAINING = (
    "split.json",
    "base_transcripts.json",
    SUSPECTS,
    *(f"{what}eval_base.json" for what in ("", "general_")),
    *(f"{what}predictions_base.jsonl" for what in ("", "general_")),
)


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. Every file is written whole; `run.json` records the finished stages."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def manifest(self, name: str) -> Path:
        return self.path / "manifests" / f"{name}.jsonl"

    @property
    def adapter(self) -> Path:
        return self.path / "lora_adapter"

    @property
    def processor(self) -> Path:
        return self.path / "processor"

    @property
    def confidence(self) -> Path:
        """How the adapter's confidences of words are calibrated, where its run asked for them."""
        return self.path / "confidence.json"

    @property
    def confidence_remedy(self) -> str:
        """What to do where that file is damaged."""
        return f"delete it, for uncalibrated confidences, or make it {self.again('evaluate')}"

    @property
    def measured_again(self) -> str:
        """What to do where what an evaluation made is damaged, or of another file."""
        return self.again("evaluate")

    def again(self, stage: str) -> str:
        """What to do where something that a stage made is missing or damaged."""
        if self.kind == "final":
            return f"again: {final_command(self.path.parent)} --overwrite"
        if self.kind != "run":
            return f"again: {resume_command(self)}"
        if stage in ("clean", "split") and self.whole != self:  # what no part decides by itself
            return f"do {self.whole.path} again from the beginning, with --overwrite"
        return f"again: moontune {stage} {shlex.quote(str(self.path))} --overwrite"

    @property
    def key_terms(self) -> Path:
        """The run's own copy of its list of key terms, where it has one."""
        return self.path / "key_terms.txt"

    @property
    def domain_text(self) -> Path:
        """The run's own copy of the text of its domain, a sentence a line, where it has one."""
        return self.path / "domain_text.txt"

    def sentences(self) -> tuple[str, ...]:
        """Those of its text. Raises UserError."""
        return read_domain_text(self.domain_text, "the run's text")

    def write_sentences(self, sentences: Sequence[str]) -> None:
        """Keep them as its text."""
        write_text(self.domain_text, "".join(f"{sentence}\n" for sentence in sentences))

    def keep_words(self, config: RunConfig) -> RunConfig:
        """Copy the key terms and the text that the configuration names, in place of those that are
        there; returns the configuration that names the copies."""
        terms = config.terms
        if _is_another(terms.key_terms, self.key_terms):
            write_bytes(self.key_terms, terms.key_terms.read_bytes())
        if _is_another(terms.domain_text, self.domain_text):
            self.write_sentences(read_domain_text(terms.domain_text))
        own = replace(
            terms,
            key_terms=terms.key_terms and self.key_terms.absolute(),
            domain_text=terms.domain_text and self.domain_text.absolute(),
        )
        return replace(config, terms=own)

    def written_terms_file(self, which: str) -> Path:
        """What a model makes of the list; `which` is base or tuned."""
        return self / f"key_terms_{which}.json"

    def written_terms(self, which: str) -> WrittenTerms | None:
        """The same; None where the run has no list, or was not evaluated yet with one.

        Raises UserError for a damaged file.
        """
        there = self.key_terms.is_file()
        return self._evaluated(self.written_terms_file(which), WrittenTerms.from_json, there)

    def weighed_text_file(self, which: str) -> Path:
        """What a model makes of the text; `which` is base or tuned."""
        return self / f"domain_text_{which}.json"

    def weighed_text(self, which: str) -> WeighedText | None:
        """The same; None where the run has no text, or was not evaluated yet with one.

        Raises UserError for a damaged file.
        """
        there = self.domain_text.is_file()
        return self._evaluated(self.weighed_text_file(which), WeighedText.from_json, there)

    def _evaluated(
        self, file: Path, made: Callable[[dict[str, Any]], Found], there: bool
    ) -> Found | None:
        """What an evaluation made of a file of the user's that is `there`. Raises UserError."""
        if not (there and file.is_file()):
            return None
        row = read_json(file, self.measured_again)
        with damage_as_user_error(file, self.measured_again):
            return made(row)

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training stands."""
        return self.path / "checkpoint.safetensors"

    def suspects(self) -> list[Suspect]:
        """Transcripts that look wrong, the least fitting first; none of a run older than that."""
        file = self / SUSPECTS
        return [Suspect.from_json(row) for row in read_jsonl(file)] if file.is_file() else []

    def fitting(self, split: str) -> list[Utterance]:
        """A split's utterances but for those that were set aside."""
        aside = {s.id for s in self.suspects() if s.set_aside}
        return [u for u in read_run_manifest(self.manifest(split)) if u.id not in aside]

    def artifacts(self) -> dict[str, Path]:
        """Files that a complete run leaves, by name."""
        files = {
            "adapter config": self.adapter / "adapter_config.json",
            "adapter weights": self.adapter / "adapter_model.safetensors",
            "processor": self.processor / "tokenizer.json",
            "resolved config": self / "config.toml",
            "training log": self / "train_log.jsonl",
            "base predictions": self / "predictions_base.jsonl",
            "tuned predictions": self / "predictions_tuned.jsonl",
            "artifact test": self / "artifact_test.json",
        }
        return files | {f"{n} manifest": self.manifest(n) for n in ("train", "val", "test")}

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of the run's files. Raises UserError, which names the stage that makes
        it again where one does."""
        stage = _MADE_BY.get(name)
        if stage is None:
            return read_json(self.path / name)
        return read_json(self.path / name, self.again(stage))

    def metrics(self) -> RunMetrics:
        """Everything the run measured. Raises UserError for one judged by an older version."""
        row = self.read("metrics.json")
        if "comparison" not in row:
            raise UserError(
                f"{self.path}: was judged by an older moontune; again: moontune verdict {self.path}"
            )
        with damage_as_user_error(self / "metrics.json", f"again: moontune verdict {self.path}"):
            metrics = RunMetrics.from_json(row)
        made_with = [
            f"made with {name} = {value}, which is no more"
            for name, value in self.retired_settings().items()
        ]
        return replace(metrics, remarks=[*metrics.remarks, *made_with])

    def final_metrics(self) -> FinalMetrics:
        """What is known of an adapter trained on all clips. Raises UserError for one not done."""
        again = final_command(self.path.parent)
        if not self.record()["complete"]:
            raise UserError(f"{self.path}: is not done; go on with: {again}")
        with damage_as_user_error(self / "final.json", f"again: {again} --overwrite"):
            return FinalMetrics.from_json(self.read("final.json"))

    def results(self) -> RunResults:
        """The judged run as its reports show it. Raises UserError."""
        with damage_as_user_error(self.path, "do the stages again that make its files"):
            return RunResults(
                metrics=self.metrics(),
                config=self.used_config(),
                losses=LossHistory.from_rows(read_jsonl(self / "train_log.jsonl")),
                before=run_predictions(self / "predictions_base.jsonl"),
                after=run_predictions(self / "predictions_tuned.jsonl"),
                artifact=ArtifactTest.from_json(self.read("artifact_test.json")),
                audio=self.audio_of(self.suspects()) | self.test_audio(),
                suspects=self.suspects(),
                with_terms=written.texts if (written := self.written_terms("tuned")) else {},
            )

    def test_audio(self) -> dict[str, Path | AudioPart]:
        """The test split's clips by id."""
        return {u.id: u.audio for u in read_run_manifest(self.manifest("test"))}

    def audio_of(self, suspects: Sequence[Suspect]) -> dict[str, Path | AudioPart]:
        """The suspects' clips by id."""
        wanted = {s.id for s in suspects}
        parts = {s.split for s in suspects}
        rows = [u for part in sorted(parts) for u in read_run_manifest(self.manifest(part))]
        return {u.id: u.audio for u in rows if u.id in wanted}

    def config(self) -> RunConfig:
        """The saved configuration; relative paths in it hold in the folder the run began in."""
        file = self.path / "config.toml"
        saved = read_settings(file)
        if not saved:
            raise UserError(f"{file}: is empty; start over with --overwrite")
        settings = _DEFAULTS_BEFORE | without_retired(saved)
        surroundings = self.record()["environment"]
        began = Path(surroundings.get("folder", "."))
        settings["report_file"] = _report_file(
            settings.get("report_file"), began, surroundings["commands"]
        )
        for name in PATHS:
            value = settings.get(name)
            if isinstance(value, list):
                settings[name] = [_found(file, began) for file in value]
            elif value:
                settings[name] = _found(value, began)
        for name, own in (("key_terms", self.key_terms), ("domain_text", self.domain_text)):
            if settings.get(name):
                settings[name] = str(own.absolute())
        return with_settings(RunConfig(), settings, str(file))

    def retired_settings(self) -> dict[str, Any]:
        """Settings of an older moontune that the run has and that cannot be heeded any more."""
        file = self / "config.toml"
        settings = read_settings(file) if file.is_file() else {}
        return {name: settings[name] for name in retired(settings)}

    def refuse_retired(self) -> None:
        """Raises UserError if training would not be as the run's settings have it any more."""
        for sentence in retired(self.retired_settings()).values():
            raise UserError(f"{self / 'config.toml'}: {sentence}, or begin another run")

    def used_config(self) -> RunConfig:
        """The configuration with what training picked for the data, once it has."""
        config, made = self.config(), self / "train.json"
        if "train" not in self.stages():
            return config
        return with_settings(config, self.read("train.json").get("picked", {}), str(made))

    def save_config(self, config: RunConfig) -> None:
        """Write config.toml. What is asked for in another folder than the run began in stays where
        it was asked for."""
        file = config.report.report_file
        if file is not None and (self / "run.json").is_file():
            began = Path(self.record()["environment"].get("folder", "."))
            if began.resolve() != Path.cwd():
                report = replace(config.report, report_file=file.absolute())
                config = replace(config, report=report)
        write_text(self / "config.toml", to_toml(config, self.retired_settings()))

    def add_command(self, command: list[str]) -> None:
        with self._changed() as record:
            record["environment"]["commands"].append(command)
        self._log_command(command)

    def _log_command(self, command: list[str]) -> None:
        """Where the following lines of the log are from."""
        versions = ", ".join(f"{k} {v}" for k, v in versions_here().items())
        RunLog(self.path)(f"$ moontune {shlex.join(command)}\n{versions}")

    def commands(self) -> list[list[str]]:
        return self.record()["environment"]["commands"]

    @property
    def kind(self) -> str:
        """One of KINDS, which is also the verb that goes on with it."""
        record = self.record()
        if "kind" in record:
            return record["kind"]
        # older runs do not say it
        return "crossval" if "asked_folds" in record else "sweep" if "sweep" in record else "run"

    def record(self) -> dict[str, Any]:
        return read_json(self / "run.json", "start over, with --overwrite")

    def note(self, **facts: Any) -> None:
        """Add to the run's record."""
        with self._changed() as record:
            record |= facts

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        """The record, to be changed; it is written at the end. Processes that work on the same run
        wait for each other."""
        with exclusive_file(self / "run.json"):
            record = self.record()
            yield record
            write_json(self / "run.json", record)

    @property
    def threads(self) -> int | None:
        """How many the run, or the whole that it is part of, began to compute with."""
        count = self.whole.record().get("threads")
        return None if count is None else int(count)

    @property
    def whole(self) -> RunDir:
        """The cross-validation or search that it is part of; itself where it is none."""
        parent = self.path.parent
        return RunDir(parent) if (parent / "run.json").is_file() else self

    def stages(self) -> dict[str, dict[str, Any]]:
        return self.record()["stages"]

    def finish_stage(self, name: str, facts: dict[str, Any], *, completes: bool = False) -> None:
        """Note a stage as done; in the same writing, if it is the last, that the run is complete:
        of a run killed between two no stage would be left to complete it."""
        with self._changed() as record:
            record["stages"][name] = facts
            record["complete"] = completes or record["complete"]

    def forget_stages(self, names: list[str]) -> None:
        with self._changed() as record:
            for name in names:
                record["stages"].pop(name, None)
            record["complete"] = False

    def mark_complete(self) -> None:
        """The last thing a run writes."""
        self.note(complete=True)


def _is_another(wanted: Path | None, own: Path) -> TypeGuard[Path]:
    """Whether a file is named, and is not the run's own copy of it."""
    return wanted is not None and real_path(wanted) != real_path(own)


def _found(value: str, began: Path) -> str:
    """A path as it is, or in the folder the run began in if it is only there."""
    return str(began / value) if not Path(value).exists() and (began / value).exists() else value


def _report_file(value: Any, began: Path, commands: Sequence[Sequence[str]]) -> Any:
    """The collected report that was asked for, in the folder the run began in; None where that
    folder is gone, and for what an older version saved without being asked."""
    if not isinstance(value, str) or Path(value).is_absolute():
        return value
    flags = {word.partition("=")[0].replace("_", "-") for words in commands for word in words}
    if value == _OLD_REPORT and flags.isdisjoint(("--report-file", "--config")):
        return None
    if not began.is_dir():
        return None
    return value if began.resolve() == Path.cwd() else str(began / value)


def default_name(config: RunConfig) -> str:
    return f"{config.data.source}-{time.strftime('%Y%m%d-%H%M%S')}"


def new_run_path(config: RunConfig, *, overwrite: bool) -> Path:
    """Where the run will be. Raises UserError if that cannot be, changing nothing."""
    name = config.output.run_name or default_name(config)
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--run-name {name!r} cannot name a folder; use letters, digits, '.', '_' and '-'"
        )
    path = config.output.output_dir / name
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give another --run-name")
    if path.is_dir() and any(path.iterdir()):
        _refuse_what_is_there(path, overwrite=overwrite)
    return path


def _refuse_what_is_there(path: Path, *, overwrite: bool) -> None:
    if not (path / "run.json").is_file():
        raise UserError(
            f"{path}: is not a run of moontune, so it is not overwritten; give another --run-name"
        )
    if not overwrite:
        raise UserError(
            f"{path}: exists already; add --overwrite to replace it, give another --run-name, or "
            f"go on with it: {resume_command(RunDir(path))}"
        )


def create_run(
    config: RunConfig, folder: Path, name: str, command: list[str], kind: str = "run"
) -> RunDir:
    """Begin a run in an empty folder."""
    run = RunDir(folder)
    run.save_config(config)
    run.keep_words(config)
    record = {
        "name": name,
        "kind": kind,
        "environment": environment(command),
        "stages": {},
        "complete": False,
    }
    write_json(run / "run.json", record)
    run._log_command(command)
    return run


def fork_run(run: RunDir, path: Path, config: RunConfig, stages: list[str]) -> RunDir:
    """A run of its own in `path` that has done `stages`, all before training, as `run` has.

    Its configuration is `config` but for the place.
    """
    run.refuse_retired()
    place = replace(config.output, run_name=path.name, output_dir=path.parent)
    done = run.stages()
    with new_folder(path) as empty:
        config = replace(config, output=place)
        fork = create_run(config, empty, path.name, run.commands()[-1])
        shutil.copytree(run / "manifests", empty / "manifests")
        for file in run.path.iterdir():
            if file.name in _BEFORE_TRAINING:
                shutil.copyfile(file, empty / file.name)
        for name in stages:
            fork.finish_stage(name, done[name])
    return RunDir(path)


def open_run(path: Path) -> RunDir:
    """A run's folder that exists. Raises UserError."""
    path = Path(path)
    if not (path / "run.json").is_file() or not (path / "config.toml").is_file():
        raise UserError(f"{path}: is not a run of moontune; give a folder such as outputs/NAME")
    try:
        RunDir(path).record()["stages"].items()
    except (KeyError, AttributeError):
        raise UserError(f"{path / 'run.json'}: is damaged; start over with --overwrite") from None
    return RunDir(path)


def manifests_of_run(model: str | None) -> list[Path]:
    """The manifests that a run was trained on and that are still there; none of what is no run."""
    if model is None or not (user_path(model) / "run.json").is_file():
        return []
    config = open_run(user_path(model)).config()
    return [real_path(path) for path in config.data.manifest or () if path.is_file()]


def single_run(path: Path) -> RunDir:
    """A run's folder that does not hold several runs. Raises UserError, also for an adapter trained
    on all clips, which has no test split and no verdict."""
    run = open_run(path)
    if run.kind == "final":
        raise UserError(
            f"{run.path}: is {KINDS['final']}, so it has no test split, figures or verdict; what "
            f"to expect of it is in {run / 'report.md'}"
        )
    if run.kind != "run":
        one = run / {"crossval": "fold-1", "sweep": "trial-0"}[run.kind]
        raise UserError(f"{run.path}: is {KINDS[run.kind]}; name one of its runs, such as {one}")
    return run


def adapter_run(path: Path) -> RunDir:
    """A run's folder with one adapter to use: a single run's, or one trained on all clips.

    Raises UserError.
    """
    run = open_run(path)
    if run.kind == "final":
        return run
    if run.kind == "crossval":
        final = run / FINAL
        there = (final / "run.json").is_file()
        remedy = f"use {final}" if there else f"train one on all clips: {final_command(run.path)}"
        raise UserError(
            f"{run.path}: is a cross-validation, which has an adapter a fold and none for all; "
            f"{remedy}"
        )
    return single_run(path)


def final_command(crossval: Path) -> str:
    """The command that trains, or goes on with, the adapter on all clips."""
    return f"moontune final {shlex.quote(str(crossval))}"


def resume_command(run: RunDir) -> str:
    """The command that goes on with a run, from any folder."""
    if run.kind == "final":
        return final_command(run.path.parent)
    folder = run.path.resolve()
    place = ["--run-name", folder.name, "--output-dir", str(folder.parent)]
    return f"moontune {shlex.join([run.kind, '--resume', *place])}"


def pinned_revision(run: RunDir, config: RunConfig) -> str | None:
    """The hub's commit that the run's stages used: the newest may be another by now. Else the one
    asked for."""
    used = (facts["base"] for facts in run.stages().values() if "base" in facts)
    return next((base["revision"] for base in used if base["from_hub"]), config.model.revision)


def _to_evaluate(run: RunDir) -> str:
    """The command that leads to a run's evaluation."""
    trained = "train" in run.stages()
    return shlex.join(["moontune", "evaluate", str(run.path)]) if trained else resume_command(run)


def evaluated_run(path: Path) -> RunDir:
    """A run, or a cross-validation, whose tuned model was measured. Raises UserError."""
    run = open_run(path)
    if run.kind == "final":
        raise UserError(
            f"{path}: is {KINDS['final']}, so it has no figures; give the cross-validation that "
            f"says what to expect: {run.path.parent}"
        )
    if "evaluate" in run.stages():
        return run
    go_on = {
        "run": f"was not evaluated; go on with it: {_to_evaluate(run)}",
        "crossval": f"is not done; go on: moontune crossval --resume --run-name {path.name}",
        "sweep": f"is a sweep; name one of its runs, such as {run / 'trial-0'}",
    }
    raise UserError(f"{path}: {go_on[run.kind]}")
