"""A run: its configuration, what it measured, and its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from moontune.config.loading import read_settings, retired, to_toml, with_settings, without_retired
from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.files import TRAIN_LOG, RunFiles
from moontune.pipeline.run_folder.words import RunWords
from moontune.report.results.final import FinalMetrics
from moontune.report.results.metrics import RunMetrics
from moontune.report.results.run import ArtifactTest, LossHistory, RunResults
from moontune.system.files import damage_as_user_error, write_text

# Settings that are paths, relative to the folder that a run began in.
PATHS = (
    *("model_id", "manifest", "after", "key_terms", "domain_text"),
    *("general_manifest", "replay_manifest"),
)
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


class RunDir(RunFiles):
    """One run, in its folder."""

    @property
    def words(self) -> RunWords:
        """Its key terms and its domain text."""
        return RunWords(self)

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
        words = self.words
        for name, own in (("key_terms", words.key_terms), ("domain_text", words.domain_text)):
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
                losses=LossHistory.from_rows(self.rows(TRAIN_LOG)),
                before=self.predictions("base", any_version=True),
                after=self.predictions("tuned", any_version=True),
                artifact=ArtifactTest.from_json(self.read("artifact_test.json")),
                audio=self.audio_of(self.suspects()) | self.test_audio(),
                suspects=self.suspects(),
                with_terms=written.texts if (written := self.words.written_terms("tuned")) else {},
            )


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
