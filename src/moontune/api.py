"""moontune from Python: what `import moontune` offers, beyond what other modules hold already.

`docs/python.md` shows it. Everything raises UserError, in one line, for what a user can mend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.loading import with_settings
from moontune.config.schema import Decoding, EvalConfig, OutputConfig, RunConfig, TokenCap
from moontune.config.validation import check_choice, check_values, resolve
from moontune.errors import UserError
from moontune.evaluation import comparison
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import PredictionRow, read_predictions, told_by_either
from moontune.importing.on_the_way import with_imported
from moontune.languages.table import ENGLISH, language_named, speaking
from moontune.languages.words import joined_words
from moontune.models.locate import language_of_base
from moontune.pipeline.new_run import RunKind, Start, begin_run, layered_settings, resume_run
from moontune.pipeline.run_folder.creating import new_run_path
from moontune.pipeline.run_folder.log import RunLog
from moontune.pipeline.run_folder.opening import judged_run, single_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import STAGE_NAMES, stage_named
from moontune.system.fast_imports import quiet_libraries
from moontune.system.threads.waiting import wait_well

if TYPE_CHECKING:
    import numpy as np

    from moontune.data.manifest import Utterance
    from moontune.evaluation.evaluate import Evaluation
    from moontune.models.base_model import Base
    from moontune.report.results.final import FinalResults
    from moontune.report.results.run import RunResults
    from moontune.transcribe.recognizer import Recognizer


@dataclass(frozen=True)
class ProgressEvent:
    """News of a run: a stage that begins, a note, or `done` of `wanted` units."""

    stage: str
    text: str
    done: int = 0
    wanted: int = 0  # 0: a note
    warning: bool = False  # a note to look at, though the run goes on


OnProgress = Callable[[ProgressEvent], None]


def configure(
    file: Path | str | None = None, *, preset: str | None = None, **settings: Any
) -> RunConfig:
    """A run's configuration: the defaults, then the preset, the file and the named settings.

    The names are those of the flags with underscores: `manifest` (one, or a list of several),
    `model_id`, `run_name`, `lr`.
    """
    config = layered_settings(preset, None if file is None else Path(file))
    given = {name: _plain(value) for name, value in settings.items()}
    return resolve(with_settings(config, given, "configure"))


def run(
    config: RunConfig,
    *,
    on_progress: OnProgress | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RunResults:
    """All stages of a run: sample, split, baseline, train, evaluate, verdict, report.

    `resume` goes on with the run of that name where it was, with the same settings; `overwrite`
    replaces it. Ctrl-C finishes the update, saves, and raises KeyboardInterrupt.
    """
    quiet_libraries()
    wait_well()
    if resume and overwrite:
        raise UserError("resume and overwrite exclude each other; give one of them")
    ui = _CallbackUi(on_progress)
    with ExitStack() as held:
        folder, config = _begun(config, ui, held, resume=resume, overwrite=overwrite)
        done = folder.stages()
        with RunLog(folder.path).failures():
            for name in STAGE_NAMES:
                if name not in done:
                    ui.run_stage(folder, config, name)
    return folder.results()


def final(
    crossval: Path | str,
    *,
    on_progress: OnProgress | None = None,
    anyway: bool = False,
    overwrite: bool = False,
) -> FinalResults:
    """One adapter on all clips of a finished cross-validation, from its folder.

    One that was cut short is gone on with, and of one that is done the results are given. The
    adapter is in the folder's `final`. `overwrite` trains it again; `anyway` although the
    cross-validation does not show that adapting helps. Ctrl-C finishes the update, saves, and
    raises KeyboardInterrupt.
    """
    from moontune.pipeline.experiments import final as of_final
    from moontune.pipeline.experiments.final_report import final_results, write_final_report

    quiet_libraries()
    wait_well()
    ui, found = _CallbackUi(on_progress), of_final.open_crossval(Path(crossval))
    if not anyway and (reasons := of_final.reasons_against(found, overwrite)):
        raise UserError(of_final.refusal(found, reasons, "anyway=True"))
    with ExitStack() as held:
        command = ["final", str(crossval)]
        run = of_final.begin_final(found, command, held, ui.warn, overwrite=overwrite)
        if run.record()["complete"]:
            return final_results(run.path)
        with RunLog(run.path).failures():
            ui.log_to(run)
            return write_final_report(run, found, of_final.do_final(run, found, ui))


def open_results(path: Path | str) -> RunResults:
    """The results of a finished run, from its folder."""
    return judged_run(single_run(Path(path))).results()


def evaluate(
    base: Base,
    utterances: Sequence[Utterance],
    *,
    cap: TokenCap | None = None,
    decoding: Decoding = "greedy",
    language: str | None = None,
) -> Evaluation:
    """Loss per target token, error rates and predictions of a base, with the adapter that is on it.

    With `consensus` every prediction also has what beams agree on; the rates stay those of greedy
    transcripts. `language` is a code; default: the base's own. Raises UserError where there are no
    utterances, or one's audio cannot be read.
    """
    from moontune.evaluation.evaluate import evaluate as evaluate_clips
    from moontune.models.transcriber import load_audio

    check_choice(decoding=decoding)
    if not utterances:
        raise UserError("there are no utterances to evaluate; give at least one")
    with speaking(language_named(language or language_of_base(base.origin.hub_id, ask_hub=False))):
        cap = cap or EvalConfig().token_cap
        return evaluate_clips(base, utterances, load_audio, cap=cap, decoding=decoding)


def compare(
    before: Evaluation | Path | str,
    after: Evaluation | Path | str,
    *,
    seed: int = OutputConfig.seed,
    language: str = ENGLISH.code,
) -> Comparison:
    """Two evaluations, or files of predictions, on the same clips, with intervals; `language` is
    the code of the one that is spoken. Raises UserError where the clips are not the same."""
    check_values(seed=seed)
    with speaking(language_named(language)):
        rows = _rows(after)
        return comparison.compare(told_by_either(_rows(before), rows), rows, seed)


def transcribe_recording(recognizer: Recognizer, recording: Path | str | np.ndarray) -> str:
    """The text of a recording of any length: a file, or float32 mono 16 kHz samples, (samples,)."""
    import numpy as np

    from moontune.data.audio import AudioError, audio_blocks, checked_samples
    from moontune.transcribe.long_form import transcribe_long

    if not isinstance(recording, Path | str):
        samples = checked_samples(recording)
    else:
        try:
            samples = np.concatenate(list(audio_blocks(Path(recording))))
        except AudioError as error:
            raise UserError(f"{recording}: {error}") from None
    with speaking(recognizer.language):
        rows = transcribe_long(samples, recognizer.transcribe, recognizer.cap)
        return joined_words(row.text for row in rows if row.text)


def _plain(value: Any) -> Any:
    """A setting as a file would have it: paths as text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _begun(
    config: RunConfig, ui: _CallbackUi, held: ExitStack, *, resume: bool, overwrite: bool
) -> tuple[RunDir, RunConfig]:
    output = resolve(config).output
    command = ["run", *(["--resume"] if resume else []), "--output-dir", str(output.output_dir)]
    if output.run_name is not None:
        command += ["--run-name", output.run_name]
    start = Start(
        RunKind(),
        command,
        sample=lambda run, config: ui.run_stage(run, config, "sample"),
        remark=ui.warn,
        held=held,
    )
    if not resume:
        new_run_path(config, overwrite=overwrite)  # raises before hours are imported
        return begin_run(with_imported(config, ui.note), start, overwrite=overwrite)
    if output.run_name is None:
        raise UserError("resume needs the run to go on with; give run_name")
    return resume_run(
        output.output_dir / output.run_name,
        lambda saved: with_imported(config, ui.note, saved),
        start,
    )


def _rows(predictions: Evaluation | Path | str) -> list[PredictionRow]:
    if isinstance(predictions, Path | str):
        path = Path(predictions)
        if path.is_dir():
            file = path / "predictions_tuned.jsonl"
            raise UserError(f"{path}: is a folder; give a file of predictions, such as {file}")
        return read_predictions(path)[0]
    return [p.row() for p in predictions.predictions]


class _CallbackUi:
    """Tells a callback what a stage tells its user."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._emit = on_progress or (lambda event: None)
        self._stage = ""
        self._log: Callable[[str], None] = lambda text: None

    def stage(self, name: str, summary: str, index: int, count: int) -> None:
        self._stage = name
        self._log(f"{name}: {summary}")
        self._emit(ProgressEvent(name, summary, index, count))

    def log_to(self, run: RunDir) -> None:
        self._log = RunLog(run.path)

    def run_stage(self, run: RunDir, config: RunConfig, name: str) -> None:
        stage = stage_named(name)
        self.log_to(run)
        self.stage(name, stage.summary, STAGE_NAMES.index(name) + 1, len(STAGE_NAMES))
        run_stage(run, config, stage, self)

    def progress(self, done: int, wanted: int, what: str) -> None:
        self._emit(ProgressEvent(self._stage, what, done, wanted))

    def note(self, text: str) -> None:
        self._log(f"  {text}")
        self._emit(ProgressEvent(self._stage, text))

    def warn(self, text: str) -> None:
        self._log(f"  remark: {text}")
        self._emit(ProgressEvent(self._stage, text, warning=True))

    def alarm(self, text: str) -> None:
        self._log(f"  WARNING: {text}")
        self._emit(ProgressEvent(self._stage, text, warning=True))

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        [name] = {"loss", "val_loss", "expected_errors"} & event.keys()
        value = "not finite" if event[name] is None else f"{event[name]:.4f}"
        text = f"{event['event']} {event['step']}: {name} {value}"
        self._emit(ProgressEvent(self._stage, text, event["step"], max_steps))
