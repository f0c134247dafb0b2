"""What to be careful about in the folds together, and what to do next."""

from __future__ import annotations

import shlex

from moontune.data.splitting import meaning_of
from moontune.evaluation.acceptance import cautions, typography_taught
from moontune.evaluation.measures import Comparison, Measure
from moontune.evaluation.phrasing import show
from moontune.pipeline.experiments.crossval.results import FoldResults
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import decoding_advised
from moontune.report.results.crossval import CrossvalResults
from moontune.report.results.metrics import NextStep
from moontune.system.formatting import counted
from moontune.training.stability import unsteady


def cautions_of(comparison: Comparison, folds: list[FoldResults]) -> list[str]:
    """What to be careful about in the pooled figures, and in each fold."""
    split = folds[0].run.read("split.json")
    meaning = meaning_of(split["split_by"], split.get("voices", 3))
    texts = cautions(comparison, None, meaning)
    for fold in folds:
        remarks = fold.run.stages()["labels"].get("remarks", [])
        texts += [f"In {fold.run.path.name}: {text}." for text in remarks]
    if any(fold.run.stages()["labels"]["used"] == "as-written" for fold in folds):
        texts += typography_taught(comparison)
    if comparison.collapsed:
        texts.append(f"Caution: the tuned models collapsed: {comparison.collapsed}.")
    for fold in folds:
        for finding in unsteady(fold.run.rows(TRAIN_LOG)):
            texts.append(f"Caution: in {fold.run.path.name} {finding}.")
        skipped = fold.training.skipped
        if skipped:
            texts.append(f"Caution: {fold.run.path.name} left out {counted(skipped, 'update')}.")
        if fold.training.degenerated:
            texts.append(
                f"Caution: in {fold.run.path.name} the base was kept, not the update with the "
                f"least loss: {fold.training.degenerated}."
            )
        elif not fold.training.figures.best_step:
            texts.append(f"Caution: in {fold.run.path.name} no update was better than the base.")
    shared = [_leaks(fold, "audio") for fold in folds]
    if any(shared):
        texts.append(
            f"Caution: in {sum(map(bool, shared))} of the folds recordings stand in two splits "
            f"({max(shared)} at most), so the figures are not of unseen clips."
        )
    return texts


def _leaks(fold: FoldResults, kind: str) -> int:
    return fold.run.read("split.json")["leakage"]["counts"][kind]


def doubts(comparison: Comparison, kept: list[int]) -> list[str]:
    """Reasons not to train on everything, a phrase each: what the folds say against it.

    `kept`: the update that each fold kept, 0 for the base.
    """
    found = []
    of_base = sum(not step for step in kept)
    if 2 * of_base >= len(kept):
        found.append(f"{of_base} of the {len(kept)} folds kept the base, no update being better")
    name = comparison.rate if comparison.error_rate.measured else "loss"
    measure = comparison.measures.get(name, Measure())
    before, after = measure.before, measure.after
    if before is not None and after is not None and after >= before:
        label = "loss" if name == "loss" else comparison.rate_label
        change = f"{show(name, before)} -> {show(name, after)}"
        found.append(f"in the cross-validation the {label} did not fall ({change})")
    if comparison.collapsed:
        found.append(f"the folds' adapters stopped writing speech ({comparison.collapsed})")
    return found


def next_step(run: RunDir, results: CrossvalResults) -> NextStep:
    """What to do now: train on everything, or not."""
    against = doubts(results.comparison, [int(fold.best_step) for fold in results.folds])
    flags, why = decoding_advised(results.comparison, "before" if against else "after")
    transcribing = f"; transcribe with {shlex.join(flags)}{why}" if flags else ""
    if against:
        text = f"Use the base as it is; no adapter is advised: {'; '.join(against)}"
        return NextStep(f"{text}{transcribing}", "")
    text = "Train one adapter on all clips, to be used; what to expect of it was measured here"
    text += transcribing
    return NextStep(text, final_command(run.path))
