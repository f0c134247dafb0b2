"""A run, or two runs compared, as one HTML page that needs nothing else.

Layout and words are in `templates/report.html.j2`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from moontune.data.audio import AudioPart
from moontune.evaluation.acceptance import Check, shown
from moontune.evaluation.confidence.reliability import WordConfidence
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.key_terms.phrasing import (
    key_term_sentences,
    rare_sentences,
    term_sentence,
)
from moontune.evaluation.key_terms.rare_words import RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.confidence import (
    ReliabilityRow,
    reliability_rows,
    reliability_sentence,
)
from moontune.report.domain_text import MODELS, text_sentences
from moontune.report.final_adapter import expectation
from moontune.report.html.changed_clips import (
    ChangedClip,
    ClipAudio,
    changed_clips,
    clip_audio,
    named_clips,
)
from moontune.report.html.figures import (
    group_axis,
    group_table,
    loss_parts,
    measure_cards,
    trial_table,
)
from moontune.report.html.loss_curve import curves
from moontune.report.html.reliability_picture import reliability_picture
from moontune.report.html.svg import Caption
from moontune.report.html.templating import templates
from moontune.report.key_terms import NAMES as RARE_NAMES
from moontune.report.key_terms import (
    TermTable,
    compared_model_table,
    compared_term_table,
    missed_by_clip,
    model_table,
    term_table,
)
from moontune.report.markdown_tables import endings
from moontune.report.provenance import Section
from moontune.report.results.crossval import FoldTraining, SweepTrials
from moontune.report.results.final import FinalResults
from moontune.report.results.metrics import GeneralSpeech, NextStep
from moontune.report.results.run import LossHistory, StepLoss, ValidationLoss
from moontune.report.suspicion import row_of, suspicion, used_for

OWN_NAMES = ("base", "tuned")  # of a run's own models
_SHORT = 14  # characters of a name that fits into a plot
_CURVE_POINTS = 50
_SUSPECTS = 12  # shown at least, if only as text
_NO_AUDIO = ClipAudio(None, "audio left out (--report-clips)")


@dataclass(frozen=True)
class ShownSuspect:
    """A clip whose transcript looks wrong, as a page shows it."""

    suspect: Suspect
    audio: ClipAudio
    use: str  # what became of it
    row: str  # where it stands in the manifest


@dataclass(frozen=True)
class ShownSuspects:
    """Clips whose transcripts look wrong: those shown, and what is said of all."""

    says: str
    count: int
    shown: list[ShownSuspect]


def shown_suspects(
    suspects: Sequence[Suspect], audio: Mapping[str, Path | AudioPart], clips: int
) -> ShownSuspects:
    """The least fitting, the audio of at most `clips` of them inside."""
    shown = [
        ShownSuspect(
            s, clip_audio(audio.get(s.id)) if i < clips else _NO_AUDIO, used_for(s), row_of(s)
        )
        for i, s in enumerate(suspects[: max(clips, _SUSPECTS)])
    ]
    return ShownSuspects(suspicion(suspects), len(suspects), shown)


@dataclass(frozen=True)
class Heading:
    """What was asked, and above it what kind of page it is, and of what."""

    kind: str
    name: str
    question: str


@dataclass(frozen=True)
class Badge:
    """The answer at a glance."""

    outcome: str  # better | undecided | worse | mixed: its colour
    text: str


@dataclass(frozen=True)
class Page:
    """Everything that stands on a page."""

    heading: Heading
    sentence: str
    comparison: Comparison
    predictions: tuple[list[PredictionRow], list[PredictionRow]]  # of the same clips
    audio: Mapping[str, Path | AudioPart]  # the clips' files by id
    names: tuple[str, str] = OWN_NAMES
    badge: Badge | None = None  # None: there is nothing to judge
    rule: str = ""  # whether the plan's rule is met
    next_steps: Sequence[NextStep] = ()
    cautions: Sequence[str] = ()
    general: GeneralSpeech | None = None  # None: forgetting is not the question
    checks: Sequence[Check] = ()
    losses: LossHistory | None = None
    best_step: float | None = None
    facts: Sequence[Section] = ()
    trainings: Sequence[FoldTraining] = ()  # of a cross-validation's folds
    trials: SweepTrials | None = None
    suspects: Sequence[Suspect] = ()  # transcripts that look wrong, the least fitting first
    confidence: WordConfidence | None = None  # None: transcripts are greedy alone
    new_clips: Sequence[str] = ()  # what they bought, of a run that came after another
    key_terms: KeyTermResults | TermFigures | None = None  # of a run, or of two compared
    with_terms: Mapping[str, str] = field(default_factory=dict)  # transcripts that it changes
    rare_words: RareWords | None = None


def render_page(page: Page, clips: int) -> str:
    """The page as HTML, with the audio of at most `clips` changed clips, and as many whose
    transcripts look wrong, inside."""
    labels = short_names(page.names)
    comparison = page.comparison
    forgetting = page.general.comparison if page.general else None
    by_speaker = comparison.by_speaker if comparison.speakers else []
    scale = group_axis([*by_speaker, *comparison.by_duration])
    values = {
        "page": page,
        "labels": labels,
        "comparison": comparison,
        "cards": measure_cards(comparison, labels),
        "parts_of_loss": loss_parts(comparison),
        "errors": word_errors(comparison),
        "text": text_sentences(comparison, MODELS if page.names == OWN_NAMES else labels),
        "terms": shown_terms(page, labels, clips),
        "rare": rare_sentences(page.rare_words, RARE_NAMES) if page.rare_words else [],
        "sure": shown_confidence(page.confidence) if page.confidence else None,
        "speakers": group_table(by_speaker, scale, by_change=True),
        "durations": group_table(comparison.by_duration, scale, by_change=False),
        "clips": changed_clips(*page.predictions, page.audio, clips),
        "suspects": shown_suspects(page.suspects, page.audio, clips),
        "general_cards": measure_cards(forgetting, labels) if forgetting else [],
        "curves": training_curves(page.losses, page.best_step) if page.losses else None,
        "fold_curves": [
            (training.fold, drawn)
            for training in page.trainings
            if (drawn := training_curves(training.losses, training.best_step)) is not None
        ],
        "trials": trial_table(page.trials) if page.trials else None,
    }
    return templates(__package__).get_template("report.html.j2").render(values)


def render_final_page(
    results: FinalResults, badge: Badge | None, facts: Sequence[Section], clips: int
) -> str:
    """The page of an adapter trained on all clips, as HTML, with the audio of at most `clips` whose
    transcripts look wrong inside."""
    metrics, of_folds, labels = results.metrics, ("base", "folds"), ("base", "tuned")
    comparison, forgetting = metrics.expected.comparison, metrics.general.comparison
    values = {
        "title": results.name,
        "badge": badge,
        "expectation": expectation(metrics.expected),
        "next_steps": results.next_steps,
        "metrics": metrics,
        "checks": shown(metrics.checks, metrics.device.name),
        "cautions": results.cautions,
        "of_folds": of_folds,
        "labels": labels,
        "comparison": comparison,
        "cards": measure_cards(comparison, of_folds),
        "forgetting": forgetting,
        "general_cards": measure_cards(forgetting, labels) if forgetting else [],
        "text": text_sentences(comparison),
        "terms": expected_terms(metrics.expected.key_terms),
        "suspects": shown_suspects(results.suspects, results.audio, clips),
        "facts": facts,
    }
    return templates(__package__).get_template("final.html.j2").render(values)


@dataclass(frozen=True)
class ShownConfidence:
    """Confidences of words, as a page shows them."""

    says: str
    picture: Markup
    rows: list[ReliabilityRow]


def shown_confidence(found: WordConfidence) -> ShownConfidence:
    return ShownConfidence(
        reliability_sentence(found), reliability_picture(found), reliability_rows(found)
    )


@dataclass(frozen=True)
class MissedClip:
    """A clip in which the second model misses terms."""

    clip: ChangedClip
    terms: str
    more: list[tuple[str, str]]  # what the tuned model writes with the list, of a run


@dataclass(frozen=True)
class ShownTerms:
    """Key terms, as a page shows them."""

    sentences: list[str]
    models: TermTable
    terms: TermTable
    clips: list[MissedClip]
    all_clips: int


def shown_terms(page: Page, labels: tuple[str, str], clips: int) -> ShownTerms | None:
    """With at most `clips` clips in which terms are missed; None where there is no list."""
    found = page.key_terms
    if found is None:
        return None
    before, after = page.predictions
    written: dict[str, str] = {}
    if isinstance(found, KeyTermResults):
        figures, sentences = found.tuning, key_term_sentences(found)
        models, terms = model_table(found), term_table(found)
        if found.is_written:
            written = {row["id"]: row["hypothesis"] for row in after} | dict(page.with_terms)
    else:
        figures, sentences = found, [term_sentence(found, page.names)]
        models, terms = compared_model_table(found, labels), compared_term_table(found, labels)
    missed = missed_by_clip(figures)
    shown = named_clips(before, after, page.audio, [*missed][:clips])
    return ShownTerms(
        sentences,
        models,
        terms,
        [
            MissedClip(
                clip,
                ", ".join(missed[clip.id]),
                [("with list", written[clip.id])] if written else [],
            )
            for clip in shown
        ],
        len(missed),
    )


def expected_terms(found: KeyTermResults | None) -> ShownTerms | None:
    """Those of a cross-validation, without its clips; None where there is no list."""
    if found is None:
        return None
    return ShownTerms(key_term_sentences(found), model_table(found), term_table(found), [], 0)


def word_errors(comparison: Comparison) -> list[tuple[str, int, int]]:
    """Kinds of errors with their numbers before and after."""
    before, after = comparison.edits.before, comparison.edits.after
    kinds = ("substitutions", "deletions", "insertions")
    rows = [(kind, getattr(before, kind), getattr(after, kind)) for kind in kinds]
    return [*rows, *endings(comparison)]


def short_names(names: tuple[str, str]) -> tuple[str, str]:
    """Names that fit into plots and columns: A and B where one of them does not."""
    return names if max(map(len, names)) <= _SHORT else ("A", "B")


def training_curves(losses: LossHistory, best_step: float | None) -> Markup | None:
    """Training and validation loss over steps; None if nothing was validated."""
    training, validation = _points(losses.steps), _points(losses.validations)
    if not validation:
        return None
    text = f"Validation loss goes from {validation[0][1]:.3f} to {validation[-1][1]:.3f}."
    best_loss = dict(validation).get(best_step) if best_step is not None else None
    if best_loss is not None:
        text += f" The adapter of update {best_step} is kept, at {best_loss:.3f}."
    caption = Caption("Loss during training", text)
    return curves(_thinned(training), validation, best_step, caption)


def _points(losses: Sequence[StepLoss] | Sequence[ValidationLoss]) -> list[tuple[float, float]]:
    return [(x.step, x.loss) for x in losses if x.loss is not None and math.isfinite(x.loss)]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours, so that a long run draws as fast as a short one."""
    size = max(1, math.ceil(len(points) / _CURVE_POINTS))
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]
