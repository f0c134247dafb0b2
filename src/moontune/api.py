"""moontune from Python: what `import moontune` offers, beyond what other modules hold already.

`docs/python.md` shows it. Everything raises UserError, in one line, for what a user can mend.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.loading import read_settings, remarks, resolve, to_dict, with_settings
from moontune.config.presets import PRESETS
from moontune.config.schema import EvalConfig, OutputConfig, RunConfig, TokenCap
from moontune.errors import UserError
from moontune.evaluation import comparison
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import read_predictions
from moontune.pipeline.preflight import check_room
from moontune.pipeline.run_dir import RunDir, create_run, new_run_path, open_run, single_run
from moontune.pipeline.run_lock import exclusive_run
from moontune.pipeline.runner import NAMES, check_data, check_model, run_stage, stage_named
from moontune.system.files import new_folder

if TYPE_CHECKING:
    import numpy as np

    from moontune.data.manifest import Utterance
    from moontune.evaluation.evaluate import Evaluation
    from moontune.models.base_model import Base
    from moontune.report.results import RunResults
    from moontune.transcribe.recognizer import Recognizer


@dataclass(frozen=True)
class ProgressEvent:
    """What a run is doing: a stage that begins, a note, or `done` of `wanted` units."""

    stage: str
    text: str
    done: int = 0
    wanted: int = 0  # 0: a note


OnProgress = Callable[[ProgressEvent], None]


def configure(
    file: Path | str | None = None, *, preset: str | None = None, **settings: Any
) -> RunConfig:
    """A run's configuration: the defaults, then the preset, the file and the named settings.

    The names are those of the flags with underscores: `manifest`, `model_id`, `run_name`, `lr`.
    """
    config = RunConfig()
    if preset is not None:
        if preset not in PRESETS:
            raise UserError(f"preset {preset}: unknown; known are {', '.join(PRESETS)}")
        config = with_settings(config, PRESETS[preset], f"preset {preset}")
    if file is not None:
        config = with_settings(config, read_settings(Path(file)), str(file))
    given = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
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
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    config, ui = resolve(config), _CallbackUi(on_progress)
    with ExitStack() as held:
        begin = _resumed if resume else _begun
        folder = begin(config, ui, overwrite, held)
        done = folder.stages()
        for stage in (stage_named(name) for name in NAMES if name not in done):
            ui.stage(stage.name, stage.summary, NAMES.index(stage.name) + 1, len(NAMES))
            run_stage(folder, config, stage, ui)
    return folder.results()


def open_results(path: Path | str) -> RunResults:
    """The results of a finished run, from its folder."""
    folder = single_run(Path(path))
    if "verdict" not in folder.stages():
        raise UserError(f"{folder.path}: is not finished; go on with run(config, resume=True)")
    return folder.results()


def evaluate(
    base: Base, utterances: Sequence[Utterance], *, cap: TokenCap | None = None
) -> Evaluation:
    """Loss per target token, WER and predictions of a base, with the adapter that is on it."""
    from moontune.evaluation.evaluate import evaluate as evaluate_clips
    from moontune.models.transcriber import load_audio

    return evaluate_clips(base, utterances, load_audio, cap=cap or EvalConfig().token_cap)


def compare(
    before: Evaluation | Path | str,
    after: Evaluation | Path | str,
    *,
    seed: int = OutputConfig.seed,
) -> Comparison:
    """Two evaluations, or files of predictions, on the same clips, with intervals."""
    return comparison.compare(_rows(before), _rows(after), seed)


def transcribe_recording(recognizer: Recognizer, recording: Path | str | np.ndarray) -> str:
    """The text of a recording of any length: a file, or float32 mono 16 kHz samples, (samples,)."""
    import numpy as np

    from moontune.data.audio import AudioError, audio_blocks
    from moontune.transcribe.long_form import transcribe_long

    if isinstance(recording, np.ndarray):
        samples = recording
    else:
        try:
            samples = np.concatenate(list(audio_blocks(Path(recording))))
        except AudioError as error:
            raise UserError(f"{recording}: {error}") from None
    rows = transcribe_long(samples, recognizer.transcribe, recognizer.cap)
    return " ".join(row.text for row in rows if row.text)


def _begun(config: RunConfig, ui: _CallbackUi, overwrite: bool, held: ExitStack) -> RunDir:
    """A new run with its utterances sampled; an older one is replaced only then."""
    path = new_run_path(config, overwrite=overwrite)
    for remark in remarks(config) + check_room(config):
        ui.note(f"remark: {remark}")
    check_data(config)
    check_model(config)
    held.enter_context(exclusive_run(path))
    named = dataclasses.replace(config.output, run_name=path.name)
    new_run_path(dataclasses.replace(config, output=named), overwrite=overwrite)
    stage = stage_named("sample")
    ui.stage(stage.name, stage.summary, 1, len(NAMES))
    with new_folder(path) as temporary:
        command = ["run", "--config", str(path / "config.toml")]
        run_stage(create_run(config, temporary, path.name, command), config, stage, ui)
    return open_run(path)


def _resumed(config: RunConfig, ui: _CallbackUi, overwrite: bool, held: ExitStack) -> RunDir:
    if overwrite:
        raise UserError("resume and overwrite exclude each other; give one of them")
    if config.output.run_name is None:
        raise UserError("resume needs the run to go on with; give run_name")
    folder = single_run(config.output.output_dir / config.output.run_name)
    held.enter_context(exclusive_run(folder.path))
    saved = to_dict(folder.config())
    for section, values in to_dict(config).items():
        for name in values.keys() | saved[section].keys() if section != "report" else ():
            if values.get(name) != saved[section].get(name):
                raise UserError(
                    f"{name} = {values.get(name)} differs from the run's "
                    f"{saved[section].get(name)}; a resumed run keeps its settings"
                )
    for remark in check_room(config, begun=True):
        ui.note(f"remark: {remark}")
    return folder


def _rows(predictions: Evaluation | Path | str) -> list[dict[str, Any]]:
    if isinstance(predictions, Path | str):
        return read_predictions(Path(predictions))[0]
    return [p.row() for p in predictions.predictions]


class _CallbackUi:
    """Tells a callback what a stage tells its user."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._emit = on_progress or (lambda event: None)
        self._stage = ""

    def stage(self, name: str, summary: str, index: int, count: int) -> None:
        self._stage = name
        self._emit(ProgressEvent(name, summary, index, count))

    def progress(self, done: int, wanted: int, what: str) -> None:
        self._emit(ProgressEvent(self._stage, what, done, wanted))

    def note(self, text: str) -> None:
        self._emit(ProgressEvent(self._stage, text))

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        name = "loss" if event["event"] == "update" else "val_loss"
        text = f"{event['event']} {event['step']}: {name} {event[name]}"
        self._emit(ProgressEvent(self._stage, text, event["step"], max_steps))
