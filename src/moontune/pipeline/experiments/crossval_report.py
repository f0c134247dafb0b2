"""The folds of a cross-validation together: figures, cautions, report."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, write_manifest
from moontune.data.recordings import KeptTogether
from moontune.data.sources.base import DataOrigin
from moontune.data.splitting import meaning_of
from moontune.errors import UserError
from moontune.evaluation.acceptance import cautions, forgetting, typography_taught
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import evaluated_rate
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly, show
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import RATES, current
from moontune.pipeline.consensus.figures import text_use_of, weighed_predictions
from moontune.pipeline.experiments.crossval import check_alike
from moontune.pipeline.experiments.final import doubts
from moontune.pipeline.key_terms.figures import key_terms_of, rare_words_of
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.screening import write_suspects
from moontune.pipeline.stages.confidence import confidence_of
from moontune.pipeline.stages.next_steps import decoding_advised
from moontune.pipeline.stages.report import Rendered, write_report
from moontune.pipeline.stages.verdict import general_row, has_general
from moontune.report.confidence import confidence_section
from moontune.report.domain_text import text_section
from moontune.report.html.contents import crossval_page
from moontune.report.key_terms import (
    key_terms_section,
    public_key_terms,
    rare_words_section,
    terms_in_clips,
)
from moontune.report.markdown import cell
from moontune.report.markdown_tables import (
    bootstrap_note,
    changed,
    clip_counts,
    edits,
    groups,
    measures,
    suspect_counts,
    suspicious,
    words,
)
from moontune.report.provenance import (
    Section,
    command_facts,
    kept_text,
    origin_text,
    setting_facts,
)
from moontune.report.public import (
    Place,
    public_cautions,
    public_commands,
    public_comparison,
    public_general,
    public_origin,
    public_settings,
)
from moontune.report.results.crossval import CrossvalResults, FoldFigures, FoldTraining
from moontune.report.results.metrics import GeneralSpeech, NextStep
from moontune.report.results.run import LossHistory
from moontune.report.run_markdown import next_steps_text, section_text
from moontune.system.files import write_json, write_jsonl
from moontune.system.formatting import counted
from moontune.training.stability import unsteady
from moontune.training.summary import TrainingFigures, TrainingSummary


@dataclass(frozen=True)
class FoldResults:
    """A fold's run, trained and measured."""

    run: RunDir
    training: TrainingSummary
    before: dict[str, Any]  # eval_base.json
    after: dict[str, Any]
    general: tuple[float, float] | None  # errors on general speech, base and tuned


def pool(run: RunDir, config: RunConfig) -> CrossvalResults:
    """Write the folds together: files as a run has them, crossval.json and the report."""
    folds = [_read(RunDir(run / f"fold-{n}")) for n in range(1, run.record()["folds"] + 1)]
    check_alike([fold.run for fold in folds])
    before, after = (_pool_predictions(run, folds, which) for which in ("base", "tuned"))
    write_json(run / "eval_base.json", _together([fold.before for fold in folds]))
    write_json(run / "eval_tuned.json", _together([fold.after for fold in folds]))
    write_manifest(run.manifest("test"), [u for fold in folds for u in _tested(fold)])
    # each clip as the adapter that never heard it judges it, or with few test clips the base
    suspects = [
        replace(s, split=fold.run.path.name)
        for fold in folds
        for s in fold.run.suspects()
        if s.split == "test"
    ]
    write_suspects(run, suspects)
    training = _mean_training([fold.training.figures for fold in folds])
    write_json(run / "train.json", asdict(training))
    runs = [fold.run for fold in folds]
    comparison = compare(before, after, config.output.seed, text_use_of(runs))
    general = general_of_folds(runs, config.output.seed)
    forgotten = forgetting(general.comparison) if general else []
    evaluated = folds[-1].run.stages()["evaluate"]
    run.finish_stage("evaluate", evaluated)
    split = folds[0].run.read("split.json")
    results = CrossvalResults(
        name=run.record()["name"],
        folds=[_figures(fold) for fold in folds],
        comparison=comparison,
        cautions=[*_cautions(comparison, folds), *forgotten],
        before=before,
        after=after,
        audio=run.test_audio(),
        suspects=run.suspects(),
        trainings=[_training(fold) for fold in folds],
        by_speaker=split["split_by"] == "speaker",
        general=general,
        confidence=confidence_of(runs, config.output.seed),
        key_terms=key_terms_of(runs, config.output.seed),
        with_terms=_with_terms(folds),
        rare_words=rare_words_of(runs, config.output.seed),
    )
    results = replace(results, next_steps=[next_step(run, results)])
    origin = run.stages()["sample"]["origin"]
    row = {
        "run": results.name,
        "comparison": comparison.to_json(),
        "cautions": results.cautions,
        "general_cautions": forgotten,  # an adapter on all clips has its own
        "general": general_row(
            folds[0].run.stages(), None if general is None else general.comparison
        ),
        "confidence": results.confidence and results.confidence.to_json(),
        "key_terms": results.key_terms and results.key_terms.to_json(),
        "rare_words": results.rare_words and results.rare_words.to_json(),
        "folds": [fold.to_json() for fold in results.folds],
        "split_by": split["split_by"],
        "kept_together": split.get("kept_together"),
        "data": run.stages()["clean"] | {"origin": origin},
        "base_model": evaluated["base"],
        "device": evaluated["device"],
        "environment": run.record()["environment"],
    }
    write_json(run / "crossval.json", row)
    place, source = Place(row["environment"].get("folder", "")), DataOrigin.from_json(origin)
    picked = _recommended(results.folds)
    sections = [
        _fold_facts(results.folds, split, source),
        command_facts(run.commands()),
        setting_facts(config, picked),
    ]
    public = [
        _fold_facts(results.folds, split, public_origin(source, place)),
        public_commands(run.commands(), place),
        public_settings(config, picked, place),
    ]
    page = crossval_page(results, sections, config.report.report_clips)
    own = _markdown(results, sections)
    shown = None if general is None else public_general(general, place)
    write_report(run, config, Rendered(own, _public(results, shown, public), page))
    run.mark_complete()
    return results


def _with_terms(folds: Sequence[FoldResults]) -> dict[str, str]:
    """What the folds' tuned models write with the list, of the clips where that is other."""
    found = [fold.run.words.written_terms("tuned") for fold in folds]
    return {clip: text for one in found if one for clip, text in one.texts.items()}


def general_of_folds(folds: Sequence[RunDir], seed: int) -> GeneralSpeech | None:
    """Base and the folds' adapters on the same general speech; None where it was not measured."""
    measured = [fold for fold in folds if has_general(fold)]
    if not measured:
        return None
    before, after = (
        [fold.predictions(which, "general_") for fold in measured] for which in ("base", "tuned")
    )
    row = general_row(folds[0].stages(), compare_over_folds(before, after, seed))
    return GeneralSpeech.from_json(row)


def compare_over_folds(
    before: Sequence[Sequence[PredictionRow]], after: Sequence[Sequence[PredictionRow]], seed: int
) -> Comparison:
    """Predictions of the folds on the same clips as one comparison. A clip is resampled with what
    all folds made of it: three adapters on 12 clips are no 36 clips."""
    written = compare(_apart(before), _apart(after), seed)
    found = compare(_summed(before), _summed(after), seed)
    return replace(
        found,
        words=found.words // len(before),
        truncated=written.truncated,
        words_fixed=written.words_fixed,
        words_broken=written.words_broken,
        style=written.style,
        collapsed=written.collapsed,
        looped=written.looped,
    )


def _apart(folds: Sequence[Sequence[PredictionRow]]) -> list[PredictionRow]:
    """The rows of all folds, each under an id of its own."""
    rows: list[PredictionRow] = []
    for n, fold in enumerate(folds):
        for row in fold:
            one: PredictionRow = {**row, "id": f"{n} {row['id']}"}
            rows.append(one)
    return rows


def _summed(folds: Sequence[Sequence[PredictionRow]]) -> list[PredictionRow]:
    """A row a clip, whose counts and losses are the sums over the folds."""
    clips: dict[str, Any] = {}
    for row in (row for fold in folds for row in fold):
        known = clips.get(row["id"])
        if known is None:
            clips[row["id"]] = {k: v for k, v in row.items() if k != "consensus"}
            continue
        for name in ("edits", "characters"):
            known[name] = {k: n + row[name][k] for k, n in known[name].items()}
        for name in ("loss", "loss_words", "target_tokens"):
            if name in known:
                known[name] += row[name]
    return list(clips.values())


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


def _training(fold: FoldResults) -> FoldTraining:
    losses = LossHistory.from_rows(fold.run.rows(TRAIN_LOG))
    return FoldTraining(fold.run.path.name, losses, fold.training.figures.best_step)


def _pool_predictions(run: RunDir, folds: list[FoldResults], which: str) -> list[PredictionRow]:
    name = f"predictions_{which}.jsonl"
    write_jsonl(run / name, [row for fold in folds for row in fold.run.predictions(which)])
    return [row for fold in folds for row in weighed_predictions(fold.run, which)]


def _read(fold: RunDir) -> FoldResults:
    files = [fold / f"general_eval_{which}.json" for which in ("base", "tuned")]
    measured = [evaluated_rate(fold.read(file.name)) for file in files if file.is_file()]
    rates = [rate for rate in measured if rate is not None]
    return FoldResults(
        fold,
        TrainingSummary.from_json(fold.read("train.json")),
        fold.read("eval_base.json"),
        fold.read("eval_tuned.json"),
        (rates[0], rates[1]) if len(rates) == 2 else None,
    )


def _tested(fold: FoldResults) -> list[Utterance]:
    return fold.run.utterances("test")


def _together(evaluations: list[dict[str, Any]]) -> dict[str, Any]:
    """The conditions of all folds, which two cross-validations must share to be compared."""

    def digest(key: str) -> str:
        return hashlib.sha256("".join(e[key] for e in evaluations).encode()).hexdigest()[:16]

    same = {key: evaluations[0][key] for key in ("normalizer", "decoding")}
    for key, value in same.items():
        if any(e[key] != value for e in evaluations):
            raise UserError(
                f"the folds were measured with another {key}, some by an older moontune; begin "
                "again with --overwrite"
            )
    return same | {"manifest": digest("manifest"), "audio": digest("audio")}


def _mean_training(folds: list[TrainingFigures]) -> TrainingFigures:
    """The mean of all figures but the time, of which it is the sum."""

    def mean(figures: Iterable[float]) -> float:
        return sum(figures) / len(folds)

    return TrainingFigures(
        steps=mean(f.steps for f in folds),
        best_step=mean(f.best_step for f in folds),
        first_val_loss=mean(f.first_val_loss or 0.0 for f in folds),
        best_val_loss=mean(f.best_val_loss or 0.0 for f in folds),
        seconds=sum(f.seconds for f in folds),
    )


def _figures(fold: FoldResults) -> FoldFigures:
    training = fold.training
    return FoldFigures(
        fold=fold.run.path.name,
        utterances=fold.before["utterances"],
        speakers=len({u.speaker for u in _tested(fold)} - {None}),
        train_utterances=len(fold.run.utterances("train"))
        - sum(s.set_aside and s.split == "train" for s in fold.run.suspects()),
        rate=current().rate,
        errors=(evaluated_rate(fold.before), evaluated_rate(fold.after)),
        loss=(fold.before["loss"], fold.after["loss"]),
        general_errors=fold.general,
        steps=training.figures.steps,
        best_step=training.figures.best_step,
        skipped=training.skipped,
        stopped=training.stopped,
        seconds=training.figures.seconds,
        picked=training.recommended,
    )


def _recommended(folds: list[FoldFigures]) -> dict[str, str]:
    """Settings recommended in the folds, each for its own data."""
    names = dict.fromkeys(name for fold in folds for name in fold.picked)
    values = {n: [str(setting_text(fold.picked.get(n))) for fold in folds] for n in names}
    return {name: ", ".join(dict.fromkeys(texts)) for name, texts in values.items()}


def _cautions(comparison: Comparison, folds: list[FoldResults]) -> list[str]:
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


def _fold_facts(folds: list[FoldFigures], split: dict[str, Any], origin: DataOrigin) -> Section:
    def arrow(pair: tuple[float | None, float | None] | None, name: str) -> str:
        before, after = pair or (None, None)
        if before is None or after is None:
            return "-"
        return f"{show(name, before)} -> {show(name, after)}"

    rows = [
        [
            fold.fold,
            fold.train_utterances,
            fold.utterances,
            fold.speakers or "-",
            arrow(fold.errors, fold.rate),
            arrow(fold.loss, "loss"),
            arrow(fold.general_errors, fold.rate),
            f"{fold.best_step} of {fold.steps}",
        ]
        for fold in folds
    ]
    label = RATES[folds[0].rate][0]
    head = ["fold", "trained on", "test clips", "speakers", label, "loss"]
    head.append(f"{label}, general speech")
    kept = KeptTogether.from_json(split.get("kept_together"))
    unmet = "its session" if kept is not None and kept.has_sessions else "it"
    unmet = "its speaker" if split["split_by"] == "speaker" else unmet
    note = (
        f"Each clip is tested once, by an adapter that never met {unmet}. Training took "
        f"{sum(fold.seconds for fold in folds):.0f} s in all. {kept_text(kept)}"
        f"Origin: {origin_text(origin)}."
    )
    return Section("Folds", [*head, "update kept"], rows, note)


def _markdown(results: CrossvalResults, sections: list[Section]) -> str:
    """The cross-validation's own report."""
    parts = [
        *_figures_of_all(results.name, results.comparison, results.cautions, sections[0]),
        *key_terms_section(results.key_terms),
        *rare_words_section(results.rare_words),
        words(results.comparison),
        *terms_in_clips(results.key_terms, results.before, results.after, results.with_terms),
        changed(results.before, results.after),
        *suspicious(results.suspects),
        *confidence_section(results.confidence),
        *_kept(results.general),
        *next_steps_text(results.next_steps),
        *map(section_text, sections[1:]),
    ]
    return "\n\n".join(parts) + "\n"


def _kept(general: GeneralSpeech | None) -> list[str]:
    """What the folds' adapters kept of general speech; nothing where that was not measured."""
    if general is None or general.comparison is None:
        return []
    found = general.comparison
    return [
        f"### What it kept\n\nEvery fold's adapter on the same {counted(found.utterances, 'clip')} "
        "of general speech, which none was trained on: all of them together.",
        measures(found),
        cell(found.says),
        bootstrap_note(found),
    ]


def _public(
    results: CrossvalResults, general: GeneralSpeech | None, sections: list[Section]
) -> str:
    """Its section of the collected report: figures alone, of nobody in particular."""
    comparison, said = public_comparison(results.comparison), public_cautions(results.cautions)
    parts = [
        *_figures_of_all(results.name, comparison, said, sections[0]),
        *key_terms_section(public_key_terms(results.key_terms)),
        *rare_words_section(results.rare_words),
        clip_counts(comparison),
        *suspect_counts(results.suspects),
        *confidence_section(results.confidence),
        *_kept(general),
        *map(section_text, sections[1:]),
    ]
    return "\n\n".join(parts) + "\n"


def _figures_of_all(
    name: str, comparison: Comparison, said: list[str], folds: Section
) -> list[str]:
    """The parts that begin both."""
    sentences = comparison.sentences
    return [
        f"## {cell(name)}, cross-validation",
        f"**{cell(plainly(comparison))}**",
        cell(comparison.says),
        *(cell(sentences[name]) for name in ("loss", "typography") if name in sentences),
        *map(cell, said),
        measures(comparison),
        edits(comparison),
        bootstrap_note(comparison),
        *text_section(comparison),
        section_text(folds),
        groups(comparison),
    ]
