"""`moontune final`: one adapter trained on all clips of a cross-validation, to be used.

Nothing is held out, so nothing here can measure it: what to expect of it is what the folds
measured. Which update is kept comes from them too, and a check on clips that it trained on looks
only for a model that stopped writing speech.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.flag_marks import Positional
from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
from moontune.data.manifest import (
    Utterance,
    manifest_hash,
    write_manifest,
)
from moontune.errors import UserError
from moontune.evaluation.error_rates import evaluated_rate, leading_rate
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison
from moontune.languages.table import speaking
from moontune.pipeline.base_of_run import telling_where_base_was
from moontune.pipeline.base_transcripts import BaseCache
from moontune.pipeline.consensus.domain_text import take_over_weight, weighed_text
from moontune.pipeline.experiments.crossval.cautions import doubts
from moontune.pipeline.experiments.crossval.folds import (
    BEFORE,
    OF_A_FOLD,
    check_alike,
    check_unchanged,
)
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.key_terms.writing import take_over_bonus, written_terms
from moontune.pipeline.preflight import check_model, check_room
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.run_folder.lock import exclusive_run
from moontune.pipeline.run_folder.opening import FINAL, open_run
from moontune.pipeline.run_folder.record import KINDS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import stage_named
from moontune.pipeline.stages.confidence import calibrate_on_folds
from moontune.pipeline.stages.report import check_report_file, collected_report
from moontune.pipeline.stages.train import TrainOptions, UnvalidatedTraining
from moontune.pipeline.stages.verdict import has_general
from moontune.report.results.final import KeptUpdate
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import damage_as_user_error, new_folder, read_json, write_jsonl
from moontune.system.progress import Ui
from moontune.training.sampling import evenly_spaced
from moontune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from moontune.models.base_model import Base

CHECK_CLIPS = 64  # that it trained on, at most, transcribed to see whether it still writes speech
CHECK_FILE = "check_transcripts.jsonl"
_STAGES = ("labels", "baseline", "train", "evaluate", "artifact")
_GENERAL_BASE = ("general_eval_base.json", "general_predictions_base.jsonl")


@dataclass(frozen=True)
class FinalArgs:
    """Train one adapter on all clips of a finished cross-validation, with its settings, to be used.
    Nothing is held out: what to expect of it is what the cross-validation measured."""

    crossval: Positional[Path]
    """The cross-validation's folder, outputs/NAME; the adapter goes into its folder `final`. The
    same command goes on with a training that was cut short."""
    anyway: bool = False
    """Train although the cross-validation does not show that adapting helps."""
    overwrite: bool = False
    """Train again, in place of the adapter that is there."""


@dataclass(frozen=True)
class FinishedCrossval:
    """A cross-validation whose folds are all measured, and as its report has them."""

    run: RunDir
    config: RunConfig
    folds: list[RunDir]
    comparison: Comparison  # of base and the folds' adapters, every clip tested once
    cautions: list[str]
    kept: list[tuple[int, int]]  # a fold: update kept, 0 for the base, and updates planned
    key_terms: KeyTermResults | None  # of all folds, where there is a list

    @property
    def name(self) -> str:
        return self.run.record()["name"]

    @property
    def kept_share(self) -> float:
        """Share of the planned updates after which the folds that kept an update kept theirs: the
        median; 1 where none did."""
        shares = [step / planned for step, planned in self.kept if step]
        return statistics.median(shares) if shares else 1.0

    def kept_update(self, planned: int) -> KeptUpdate:
        """The update to keep of so many that are planned."""
        step = self.without_validation.kept_step(planned)
        return KeptUpdate(step, planned, self.kept_share, self.kept)

    @property
    def without_validation(self) -> UnvalidatedTraining:
        known = [_training(fold).word_errors for fold in self.folds]
        kept = [second.kept for second in known if second is not None]
        worth_it = 2 * sum(kept) > len(kept)
        return UnvalidatedTraining(self.comparison.error_rate.before, self.kept_share, worth_it)

    @property
    def digest(self) -> str:
        """A hash of all that the final adapter takes over."""
        parts = [json.dumps(self.comparison.to_json()), repr(self.kept)]
        parts.append(manifest_hash(self.run.utterances("clean")))
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def open_crossval(path: Path) -> FinishedCrossval:
    """A finished cross-validation. Raises UserError for what is none, or is not done, or no longer
    what its report says."""
    run = open_run(path)
    if run.kind == "final":
        raise UserError(
            f"{path}: is the adapter itself; give its cross-validation: "
            f"{final_command(run.path.parent)}"
        )
    if run.kind != "crossval":
        raise UserError(
            f"{path}: is {KINDS[run.kind]}, and what to expect is told by a cross-validation; "
            "begin one with: moontune crossval --manifest my.jsonl --run-name NAME"
        )
    place = run.path.resolve()
    resume = f"moontune crossval --resume --run-name {place.name} --output-dir {place.parent}"
    if not run.record().get("complete") or not (run / "crossval.json").is_file():
        raise UserError(f"{path}: is not done; go on with: {resume}")
    check_unchanged(run)
    found = read_json(run / "crossval.json", f"make it again: {resume}")
    with damage_as_user_error(run / "crossval.json", f"make it again: {resume}"):
        names = [fold["fold"] for fold in found["folds"]]
        comparison = Comparison.from_json(found["comparison"])
        terms = KeyTermResults.from_json(found.get("key_terms"))
        figures = [
            (leading_rate(fold)[1], fold["loss"][1], fold["best_step"]) for fold in found["folds"]
        ]
    folds = [RunDir(run / name) for name in names]
    for fold, known in zip(folds, figures, strict=True):
        if any(name not in fold.stages() for name in OF_A_FOLD) or _figures(fold) != known:
            raise UserError(
                f"{fold.path}: was done again, and the cross-validation does not have it yet; "
                f"go on with: {resume}"
            )
    kept = [(int(_training(f).figures.best_step), f.used_config().train.updates) for f in folds]
    of_general = found.get("general_cautions", [])  # the adapter on all clips has its own
    said = [text for text in found["cautions"] if text not in of_general]
    return FinishedCrossval(run, run.config(), folds, comparison, said, kept, terms)


def _training(fold: RunDir) -> TrainingSummary:
    return TrainingSummary.from_json(fold.read("train.json"))


def _figures(fold: RunDir) -> tuple[float | None, float, float]:
    """Error rate and loss of a fold's adapter, and the update that was kept."""
    tuned = fold.read("eval_tuned.json")
    return evaluated_rate(tuned), tuned["loss"], _training(fold).figures.best_step


def doubts_of(crossval: FinishedCrossval) -> list[str]:
    """The same of a finished cross-validation."""
    return doubts(crossval.comparison, [step for step, _ in crossval.kept])


def reasons_against(crossval: FinishedCrossval, overwrite: bool) -> list[str]:
    """The doubts where a training would begin; whoever goes on with one was asked before."""
    begins = overwrite or final_run(crossval) is None
    return doubts_of(crossval) if begins else []


def refusal(crossval: FinishedCrossval, reasons: list[str], remedy: str | None = None) -> str:
    """What is said where there are doubts: not trained, why, and what to do (`remedy`)."""
    remedy = remedy or f"{final_command(crossval.run.path)} --anyway"
    return (
        f"Not trained: {'; '.join(reasons)}. Use the base as it is, or train all the same with: "
        f"{remedy}"
    )


def final_run(crossval: FinishedCrossval) -> RunDir | None:
    """The final adapter's run that is there, begun or done; None: there is none.

    Raises UserError for a folder of that name that is another.
    """
    path = crossval.run / FINAL
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    if not (path / "run.json").is_file():
        raise UserError(f"{path}: is not a run of moontune, so it is not written to; move it away")
    return open_run(path)


def begin_final(
    crossval: FinishedCrossval,
    command: list[str],
    held: ExitStack,
    remark: Callable[[str], object],
    *,
    overwrite: bool = False,
) -> RunDir:
    """A run on all clips, ready for its labels, or the one that is there to go on with.

    `held` gets the lock on the cross-validation. Raises UserError, before anything is spent, where
    audio, model, room or figures are missing, or what is there is of another state of the
    cross-validation.
    """
    held.enter_context(exclusive_run(crossval.run.path))
    held.enter_context(speaking(crossval.config.language))
    there = None if overwrite else final_run(crossval)
    if there is not None:
        again = f"{final_command(crossval.run.path)} --overwrite"
        if there.record().get("crossval_digest") != crossval.digest:
            raise UserError(
                f"{there.path}: is of another state of the cross-validation; train again: {again}"
            )
        if there.record()["complete"]:
            return there
    config = crossval.config
    for text in check_room(config, begun=there is not None):
        remark(text)
    check_report_file(collected_report(config, crossval.run.path))
    _check_audio(crossval.run)
    _check_measured(crossval)
    with telling_where_base_was(crossval.run, config.model.model_id):
        found = check_model(config)
    for text in found:
        remark(text)
    if there is not None:
        there.add_command(command)
        return there
    final_run(crossval)  # a folder that is another is not replaced
    return _create(crossval, command)


def _check_measured(crossval: FinishedCrossval) -> None:
    """Raises UserError where files are missing or damaged that the adapter takes over, or is
    calibrated by and held against."""
    terms = crossval.config.terms
    for which in ("base", "tuned"):
        crossval.run.predictions(which)
        for fold in crossval.folds:
            if terms.key_terms:
                written_terms(fold, which)
            if terms.has_text:
                weighed_text(fold, which)
    check_alike(crossval.folds)


def _check_audio(run: RunDir) -> None:
    """Raises UserError where recordings are gone."""
    needed = run.utterances("clean")
    for use in ("general", "replay"):
        needed += general_speech(run, use)
    gone = [u for u in needed if not u.audio_filepath.is_file()]
    if gone:
        raise UserError(
            f"{gone[0].audio_filepath}: is gone, as {len(gone)} of {len(needed)} recordings of the "
            "cross-validation are; bring them back to where they were"
        )


def _create(crossval: FinishedCrossval, command: list[str]) -> RunDir:
    """A run whose training split is every clip, its labels still to be written."""
    run, path = crossval.run, crossval.run / FINAL
    run.refuse_retired()
    place = replace(crossval.config.output, run_name=FINAL, output_dir=run.path)
    config, done = replace(crossval.config, output=place), run.stages()
    everything = run.utterances("clean")
    with new_folder(path) as empty:
        final = create_run(config, empty, f"{crossval.name}-{FINAL}", command, "final")
        shutil.copytree(run / "manifests", empty / "manifests")
        parts: dict[str, list[Utterance]] = {"train": everything, "val": [], "test": []}
        parts["check"] = evenly_spaced(everything, CHECK_CLIPS)
        for name, utterances in parts.items():
            write_manifest(final.manifest(name), utterances, keep_where=True)
        for name in BEFORE:
            final.finish_stage(name, done[name])
        final.finish_stage("split", {"leakage": {}, "seconds": 0.0})
        final.note(crossval=crossval.name, crossval_digest=crossval.digest)
    return RunDir(path)


def do_final(
    run: RunDir, crossval: FinishedCrossval, ui: Ui, group: ProcessGroup = SINGLE
) -> RunConfig:
    """Label, train and try the adapter; what is done already stays. Returns its configuration."""
    config = group.on_main(run.config)
    done = group.on_main(run.stages)

    def check(base: Base) -> None:
        _transcribe_check(run, config, base, ui, group)
        if group.is_main:
            calibrate_on_folds(run, crossval.run)
            take_over_bonus(run, crossval.folds)
            take_over_weight(run, crossval.folds)

    options: dict[str, Callable[[], dict[str, Any]]] = {
        "labels": lambda: {"cache": group.on_main(lambda: _cached(run, crossval))},
        "train": lambda: {"options": TrainOptions(unvalidated=crossval.without_validation)},
        "evaluate": lambda: {"also": check},
        "artifact": lambda: {"clips": "check", "expected": CHECK_FILE},
    }
    says = {
        "labels": "write training text in the base's style, find wrong transcripts, of all clips",
        "baseline": "the base on general speech",
        "train": "train the adapter on all clips",
        "evaluate": "the adapter on general speech, and whether it writes speech",
    }
    for number, name in enumerate(_STAGES, start=1):
        if name in done:
            continue
        if name == "baseline" and group.on_main(lambda: _takes_over_baseline(run, crossval)):
            says_taken = "the base on general speech, as a fold measured it"
            ui.stage(name, says_taken, number, len(_STAGES))
            continue
        stage = stage_named(name)
        ui.stage(name, says.get(name, stage.summary), number, len(_STAGES))
        run_stage(run, config, stage, ui, group, **options.get(name, dict)())
    return config


def _cached(run: RunDir, crossval: FinishedCrossval) -> BaseCache:
    """The base's transcripts that the folds have, backwards too, by audio; of an id that names two
    clips none."""
    audio: dict[str, list[Path | AudioPart]] = {}
    for use in ("clean", "general", "replay"):
        for u in run.utterances(use) if run.manifest(use).is_file() else []:
            audio.setdefault(u.id, []).append(u.audio)
    alone = {name: found[0] for name, found in audio.items() if len(found) == 1}
    cache, cap = BaseCache(), run.config().eval.token_cap
    for fold in crossval.folds:
        for name, text in fold.base_words().items():
            if name in alone:
                cache.transcripts[alone[name]] = text
        for name, backwards in fold.reversed_transcripts(cap).items():
            if name in alone:
                cache.backwards[alone[name]] = backwards
    return cache


def _takes_over_baseline(run: RunDir, crossval: FinishedCrossval) -> bool:
    """Take over the base's figures on general speech from a fold that labelled it alike."""
    wanted = manifest_hash(general_speech(run, "general"))
    alike = (f for f in crossval.folds if manifest_hash(general_speech(f, "general")) == wanted)
    if (fold := next(alike, None)) is None:
        return False
    for name in _GENERAL_BASE:
        if has_general(run):
            shutil.copyfile(fold.file(name), run / name)
    facts = fold.stages()["baseline"]
    run.finish_stage("baseline", {k: facts[k] for k in ("device", "base")} | {"seconds": 0.0})
    return True


def _transcribe_check(
    run: RunDir, config: RunConfig, base: Base, ui: Ui, group: ProcessGroup
) -> None:
    """Write what the adapter writes for some clips it trained on: transcripts, and no figures."""
    from moontune.evaluation.degeneration import looped_row
    from moontune.models.transcriber import Transcriber, transcripts_of

    def trained() -> list[Utterance]:
        aside = {s.id for s in run.suspects() if s.set_aside}
        clips = [u for u in run.utterances("check") if u.id not in aside]
        write_manifest(run.manifest("check"), clips, keep_where=True)
        return clips

    def step(done: int, total: int) -> None:
        ui.progress(done, total, "clips transcribed, to see whether it writes speech")

    clips = group.on_main(trained)
    found = transcripts_of(Transcriber(base), clips, config.eval.token_cap, group, step)
    rows = [
        {
            "id": u.id,
            "hypothesis": t.text,
            "tokens": t.tokens,
            "truncated": t.truncated,
            **({} if t.greedy is None else {"looped": looped_row(t)}),
        }
        for u, t in zip(clips, found, strict=True)
    ]
    if group.is_main:
        write_jsonl(run / CHECK_FILE, rows)
