"""`moontune crossval`: a run for every fold, each trained and measured."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moontune.config.schema import Folds, RunConfig
from moontune.data.manifest import write_manifest
from moontune.data.sources.manifests import sample_manifests
from moontune.data.splitting import SPLITS, check_count, grouping_of, resolved_split, split_folds
from moontune.errors import UserError
from moontune.pipeline.base_transcripts import BaseCache
from moontune.pipeline.new_run import RunKind
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.run_folder.lock import claimed
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import stage_named
from moontune.pipeline.stages.split import split_by_of
from moontune.pipeline.stages.verdict import has_general
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import new_folder, remove_folder, write_json
from moontune.system.formatting import counted
from moontune.system.progress import Pace, Ui

BEFORE = ("sample", "clean")  # done once, for all folds
OF_A_FOLD = ("labels", "baseline", "train", "evaluate")
POLL_S = 1.0  # between looks at what other processes do


@dataclass(frozen=True)
class Crossval(RunKind):
    """A cross-validation of so many folds; None: as the one gone on with has."""

    folds: Folds | None
    name = "crossval"

    def check(self, config: RunConfig) -> None:
        """Raises UserError for folds that the data cannot have."""
        assert self.folds is not None
        if self.folds == "speaker":
            return
        if self.folds < 3:
            raise UserError(
                f"--folds {self.folds}: what a fold leaves must be enough to train and to "
                "validate; give 3 or more, or use moontune run"
            )
        if config.data.manifest is not None:
            asked = config.split.split_by
            utterances = sample_manifests(
                config.data.manifest,
                config.data.utterances,
                config.output.seed,
                find_speakers=asked != "utterance",
            ).utterances
            by = resolved_split(utterances, asked)
            check_count(grouping_of(utterances, by), self.folds)

    def facts(self) -> dict[str, Any]:
        return {"asked_folds": self.folds}

    def resume(self, run: RunDir) -> None:
        """As long as no folds were made, their number may still be changed. Raises UserError."""
        record = run.record()
        if self.folds in (None, record["asked_folds"]):
            return
        if "folds" in record:
            raise UserError(
                f"--folds {self.folds} differs from the {record['asked_folds']} it has; a resumed "
                "cross-validation keeps its folds: leave it out, or start another"
            )
        self.check(run.config())
        run.note(**self.facts())


def make_folds(run: RunDir, config: RunConfig, ui: Ui) -> None:
    """Give a run of cleaned utterances its folds: runs of their own, split and ready to go on."""
    run.refuse_retired()
    hashes: dict[str, str] = run.read("manifests/audio_sha256.json")
    folds = run.record()["asked_folds"]
    splits = split_folds(
        run.utterances("clean"),
        folds=folds,
        val_share=config.split.val_share,
        seed=config.output.seed,
        split_by="speaker" if folds == "speaker" else split_by_of(run, config),
        audio_key=lambda u: hashes.get(u.id, ""),
    )
    done, command = run.stages(), run.commands()[-1]
    for left_over in run.path.glob("fold-*"):  # cut short, and perhaps of another number of folds
        remove_folder(left_over)
    for number, split in enumerate(splits, 1):
        path = run / f"fold-{number}"
        with new_folder(path) as empty:
            fold = create_run(_of_fold(config, run, number), empty, path.name, command)
            shutil.copytree(run / "manifests", empty / "manifests")
            for name in SPLITS:
                write_manifest(fold.manifest(name), split.parts[name], keep_where=True)
            summary = split.summary()
            write_json(fold / "split.json", summary)
            for name in BEFORE:
                fold.finish_stage(name, done[name])
            leaks = {"leakage": summary["leakage"]["counts"], "seconds": 0.0}
            fold.finish_stage("split", leaks)
        size = ", ".join(f"{name} {counted(len(split.parts[name]), 'clip')}" for name in SPLITS)
        tested = split.shares["test"].speakers
        ui.note(
            f"fold {number}: {size}" + (f", {counted(tested, 'speaker')} in test" if tested else "")
        )
    if (kept := splits[0].kept) is not None and kept.sentence:
        ui.note(kept.sentence)
    run.note(folds=len(splits))


def _of_fold(config: RunConfig, run: RunDir, number: int) -> RunConfig:
    """So that the fold can be gone on with as a run: `moontune run --resume`, the artifact too."""
    place = replace(config.output, run_name=f"fold-{number}", output_dir=run.path)
    return replace(config, output=place)


def do_folds(run: RunDir, ui: Ui, group: ProcessGroup = SINGLE) -> None:
    """Train and measure every fold, those left over from an interrupted cross-validation first.

    Each is claimed by one process of those that work on the run; one whose process ended is taken
    over. Returns when all are done.
    """
    group.on_main(lambda: check_unchanged(run))
    count = group.on_main(lambda: run.record()["folds"])
    cache = BaseCache(folder=run.path)  # the same in every fold
    pace, waits = Pace(), False
    left = list(range(1, count + 1))
    while left:
        before = len(left)
        for number in list(left):
            fold = RunDir(run / f"fold-{number}")
            with ExitStack() as held:
                if group.on_main(lambda: held.enter_context(claimed(fold.path))):  # noqa: B023
                    _do_fold(fold, number, count, cache, pace, ui, group)
                    left.remove(number)
        if len(left) < before:  # while it worked another's may have become free
            waits = False
            continue
        if not waits:
            ui.note(f"waiting for {counted(len(left), 'fold')} that other processes do")
        waits = True
        time.sleep(POLL_S)
    group.on_main(cache.discard)


def _do_fold(  # noqa: PLR0917
    fold: RunDir,
    number: int,
    count: int,
    cache: BaseCache,
    pace: Pace,
    ui: Ui,
    group: ProcessGroup,
) -> None:
    """The stages that a fold lacks."""
    done = group.on_main(fold.stages)
    left = [name for name in OF_A_FOLD if name not in done]
    if left and (rest := pace.left(count - number + 1)):
        ui.note(f"fold {number} of {count}, {rest}")
    with pace.part(whole=len(left) == len(OF_A_FOLD)):
        for name in left:
            stage = stage_named(name)
            options = {"cache": cache} if name == "labels" else {}
            ui.stage(f"fold {number}: {name}", stage.summary, number, count)
            run_stage(fold, group.on_main(fold.config), stage, ui, group, **options)


def check_unchanged(run: RunDir) -> None:
    """Raises UserError where a fold is gone, or was done again with settings of its own."""
    config = run.config()
    for number in range(1, run.record()["folds"] + 1):
        path = run / f"fold-{number}"
        if not (path / "run.json").is_file():
            raise UserError(f"{path}: is missing; start the cross-validation over with --overwrite")
        own, wanted = RunDir(path).config(), _of_fold(config, run, number)
        for section in ("clean", "split", "model", "labels", "lora", "train", "eval", "general"):
            if getattr(own, section) != getattr(wanted, section):
                raise UserError(
                    f"{path}: has other {section} settings than the cross-validation; redo it with "
                    "those, or start over with --overwrite"
                )
        if own.terms.own_text != wanted.terms.own_text:
            raise UserError(
                f"{path}: has another --own-text than the cross-validation; redo it with that, or "
                "start over with --overwrite"
            )
        for setting, called in (("key_terms", "list of key terms"), ("domain_text", "text")):
            theirs, mine = (getattr(one.words, setting) for one in (RunDir(path), run))
            if getattr(config.terms, setting) and _content(theirs) != _content(mine):
                raise UserError(
                    f"{path}: has another {called} than the cross-validation; redo it with "
                    f"--{setting.replace('_', '-')} {mine}, or start over with --overwrite"
                )


def check_alike(folds: Sequence[RunDir]) -> None:
    """Raises UserError where folds that are measured have different bases, or general speech that
    others have not, or where what they measured on that is missing or damaged."""
    first, again = folds[0], "start the cross-validation over with --overwrite"
    bases = [fold.stages()["evaluate"]["base"]["sha256"] for fold in folds]
    measured = [_general_audio(fold) for fold in folds]
    for fold, base, audio in zip(folds, bases, measured, strict=True):
        if base != bases[0]:
            weights = f"weights {base[:12]}, there {bases[0][:12]}"
            raise UserError(
                f"{fold.path}: is on another base than {first.path.name} ({weights}); {again}"
            )
        if audio != measured[0]:
            raise UserError(
                f"{fold.path}: was measured on other general speech than {first.path.name}; {again}"
            )


def _general_audio(fold: RunDir) -> str | None:
    """A hash of the general speech that a fold was measured on; None where it has none."""
    if not has_general(fold):
        return None
    for which in ("base", "tuned"):
        fold.predictions(which, "general_")
    return fold.read("general_eval_base.json").get("audio")


def _content(file: Path) -> bytes:
    """Of a file that a run keeps; none where it has none."""
    return file.read_bytes() if file.is_file() else b""
