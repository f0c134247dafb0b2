"""The folds of a cross-validation together: figures, files, report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.data.manifest import write_manifest
from moontune.data.sources.base import DataOrigin
from moontune.errors import UserError
from moontune.evaluation.acceptance import forgetting
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import evaluated_rate
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import current
from moontune.pipeline.consensus.figures import text_use_of, weighed_predictions
from moontune.pipeline.experiments.crossval.cautions import cautions_of, next_step
from moontune.pipeline.experiments.crossval.folds import check_alike
from moontune.pipeline.experiments.crossval.general_speech import general_of_folds
from moontune.pipeline.experiments.crossval.report import fold_facts, own_markdown, public_markdown
from moontune.pipeline.experiments.crossval.results import FoldResults, read_fold, tested
from moontune.pipeline.key_terms.figures import key_terms_of, rare_words_of
from moontune.pipeline.run_folder.files import TRAIN_LOG
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.screening import write_suspects
from moontune.pipeline.stages.confidence import confidence_of
from moontune.pipeline.stages.report import Rendered, write_report
from moontune.pipeline.stages.verdict import general_row
from moontune.report.html.contents import crossval_page
from moontune.report.provenance import (
    command_facts,
    setting_facts,
)
from moontune.report.public import (
    Place,
    public_commands,
    public_general,
    public_origin,
    public_settings,
)
from moontune.report.results.crossval import CrossvalResults, FoldFigures, FoldTraining
from moontune.report.results.run import LossHistory
from moontune.system.files import write_json, write_jsonl
from moontune.training.summary import TrainingFigures


def pool(run: RunDir, config: RunConfig) -> CrossvalResults:
    """Write the folds together: files as a run has them, crossval.json and the report."""
    folds = [read_fold(RunDir(run / f"fold-{n}")) for n in range(1, run.record()["folds"] + 1)]
    check_alike([fold.run for fold in folds])
    before, after = (_pool_predictions(run, folds, which) for which in ("base", "tuned"))
    write_json(run / "eval_base.json", _together([fold.before for fold in folds]))
    write_json(run / "eval_tuned.json", _together([fold.after for fold in folds]))
    write_manifest(run.manifest("test"), [u for fold in folds for u in tested(fold)])
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
        cautions=[*cautions_of(comparison, folds), *forgotten],
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
        fold_facts(results.folds, split, source),
        command_facts(run.commands()),
        setting_facts(config, picked),
    ]
    public = [
        fold_facts(results.folds, split, public_origin(source, place)),
        public_commands(run.commands(), place),
        public_settings(config, picked, place),
    ]
    page = crossval_page(results, sections, config.report.report_clips)
    own = own_markdown(results, sections)
    shown = None if general is None else public_general(general, place)
    write_report(run, config, Rendered(own, public_markdown(results, shown, public), page))
    run.mark_complete()
    return results


def _with_terms(folds: Sequence[FoldResults]) -> dict[str, str]:
    """What the folds' tuned models write with the list, of the clips where that is other."""
    found = [fold.run.words.written_terms("tuned") for fold in folds]
    return {clip: text for one in found if one for clip, text in one.texts.items()}


def _training(fold: FoldResults) -> FoldTraining:
    losses = LossHistory.from_rows(fold.run.rows(TRAIN_LOG))
    return FoldTraining(fold.run.path.name, losses, fold.training.figures.best_step)


def _pool_predictions(run: RunDir, folds: list[FoldResults], which: str) -> list[PredictionRow]:
    name = f"predictions_{which}.jsonl"
    write_jsonl(run / name, [row for fold in folds for row in fold.run.predictions(which)])
    return [row for fold in folds for row in weighed_predictions(fold.run, which)]


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
        speakers=len({u.speaker for u in tested(fold)} - {None}),
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
