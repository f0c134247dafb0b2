"""The report of a sweep: its winner against the run's own settings and against the base."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from moontune.config.loading import setting_text
from moontune.config.schema import RunConfig
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.acceptance import State
from moontune.evaluation.comparison import compare
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison
from moontune.languages.table import RateName
from moontune.pipeline.consensus.figures import text_of
from moontune.pipeline.experiments.compare_runs import (
    compared_run,
    compared_terms,
    with_texts,
)
from moontune.pipeline.experiments.search_space import configured, value_of
from moontune.pipeline.experiments.trial import Trial, best_of, described, trial_folder
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import settings_of, use_base, use_it
from moontune.pipeline.stages.report import Rendered, write_report
from moontune.report.domain_text import text_section, text_sentences
from moontune.report.html.contents import comparison_page, run_page
from moontune.report.html.page import Heading
from moontune.report.key_terms import key_terms_section
from moontune.report.markdown import cell
from moontune.report.markdown_tables import (
    bootstrap_note,
    changed,
    clip_counts,
    edits,
    measures,
    result,
)
from moontune.report.provenance import Section, command_facts, origin_text, setting_facts
from moontune.report.public import (
    Place,
    public_commands,
    public_comparison,
    public_metrics,
    public_origin,
    public_settings,
)
from moontune.report.results.compared import RunComparison
from moontune.report.results.crossval import Advice, SweepTrials, TrialFigures
from moontune.report.results.metrics import NextStep, RunMetrics
from moontune.report.run_markdown import next_steps_text, section_text
from moontune.system.files import write_json

OWN = "own settings"  # what trial 0 is called


@dataclass(frozen=True)
class TestedTrial:
    """A trial's adapter on the test split, against the base."""

    sentence: str
    rate: RateName
    errors: tuple[float | None, float | None]  # base, tuned; None: no words to count
    loss: tuple[float, float]  # nats per target token
    accepted: bool

    @classmethod
    def of(cls, metrics: RunMetrics) -> TestedTrial:
        before, after = metrics.baseline, metrics.tuned
        return cls(
            metrics.comparison.says,
            metrics.comparison.rate,
            (before.rate, after.rate),
            (before.loss, after.loss),
            metrics.verdict.accepted,
        )

    def to_json(self) -> dict[str, Any]:
        """The errors under the name of their rate."""
        named = {"sentence": self.sentence, self.rate: self.errors}
        return {**named, "loss": self.loss, "accepted": self.accepted}


@dataclass(frozen=True)
class SweepResult:
    """A sweep whose winner was tested, as sweep.json has it."""

    run: str
    trials: list[Trial]
    winner: int
    own: dict[str, str]  # the run's own settings among those that were searched
    tested: dict[str, TestedTrial]  # by trial's name
    tested_before: list[int]  # winners when the sweep had fewer trials
    comparison: Comparison | None  # own settings -> winner; None if they are the winner
    key_terms: KeyTermResults | None = None  # base -> winner, where there is a list
    text: list[str] = field(default_factory=list)  # what the run's text changes, in sentences
    next_steps: list[NextStep] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The winner's name."""
        return f"trial-{self.winner}"

    @property
    def sentence(self) -> str:
        number, count = self.winner, len(self.trials)
        if not number:
            return (
                f"Of {count} trials none validated better than the run's own settings; no other "
                "was tested."
            )
        sentence = (
            f"Of {count} trials, trial {number} validated best "
            f"({described(best_of(self.trials).values)}). Chosen by validation alone, it and the "
            "run's own settings were then tested once."
        )
        if not self.tested_before:
            return sentence
        earlier = ", ".join(f"trial {n}" for n in self.tested_before)
        return (
            f"{sentence} Before the sweep went on, {earlier} had been the best and was tested "
            "too: the more looks at a test split, the likelier a lucky one."
        )

    @property
    def advice(self) -> Advice:
        """Which settings to use, in a badge and a sentence."""
        number = self.winner
        if not number or self.comparison is None:
            return Advice("undecided", "Keep your settings", "No other validated better.")
        rate, settings = self.comparison.error_rate, described(best_of(self.trials).values)
        if rate.outcome == "better":
            text = f"They are better on the test clips too: {settings}."
            return Advice("better", f"Use those of trial {number}", text)
        if rate.outcome == "worse":
            text = f"Those of trial {number} validated better and are worse on the test clips."
            return Advice("worse", "Keep your settings", text)
        text = f"Trial {number} ({settings}) validated better; on the test clips it may be chance."
        return Advice("undecided", f"Keep yours or use those of trial {number}", text)

    def to_json(self) -> dict[str, Any]:
        row = {
            "run": self.run,
            "trials": [trial.to_json() for trial in self.trials],
            "winner": self.winner,
            "own": self.own,
            "tested": {name: tested.to_json() for name, tested in self.tested.items()},
            "tested_before": self.tested_before,
            "sentence": self.sentence,
            "advice": asdict(self.advice),
        }
        more = {"comparison": self.comparison, "key_terms": self.key_terms}
        row |= {"domain_text": self.text} if self.text else {}
        return row | {name: found.to_json() for name, found in more.items() if found}


def write_sweep_report(run: RunDir, config: RunConfig, trials: list[Trial]) -> SweepResult:
    """Write sweep.json and the report of a sweep whose winner was tested."""
    winner = best_of(trials).number
    tested = [RunDir(trial_folder(run, number)) for number in sorted({0, winner})]
    results = [trial.results() for trial in tested]
    pair = None
    if winner:
        names = (OWN, f"trial-{winner}")
        before, after = (compared_run(t, name) for t, name in zip(tested, names, strict=True))
        texts = [text_of(trial, "tuned") for trial in tested]
        before, after, use = with_texts((before, after), texts)
        comparison = compare(before.predictions, after.predictions, config.output.seed, use)
        terms = compared_terms(config.terms.key_terms, before, after, config.output.seed)
        pair = RunComparison(before, after, comparison, [], key_terms=terms)
    record = run.record()
    found = SweepResult(
        record["name"],
        trials,
        winner,
        _own(run, results[0].config),
        {t.path.name: TestedTrial.of(r.metrics) for t, r in zip(tested, results, strict=True)},
        tested_before(run, trials, winner),
        pair.comparison if pair else None,
        results[-1].metrics.key_terms,
        text_sentences(results[-1].metrics.comparison),
    )
    states: dict[str, State] = {
        t.path.name: r.metrics.verdict.state for t, r in zip(tested, results, strict=True)
    }
    found = replace(found, next_steps=next_steps(run, config, found, states))
    data = tested[0].read("metrics.json")["data"]
    row = found.to_json() | {"data": data, "environment": record["environment"]}
    write_json(run / "sweep.json", row)
    place, commands = Place(record["environment"].get("folder", "")), run.commands()
    origin = DataOrigin.from_json(data["origin"])
    facts = [_trial_facts(found, origin), command_facts(commands), setting_facts(config)]
    public = [
        _trial_facts(found, public_origin(origin, place)),
        public_commands(commands, place),
        public_settings(config, {}, place),
    ]
    heading = Heading(f"sweep, {len(trials)} trials", found.run, "Which settings are best?")
    clips = config.report.report_clips
    about = SweepTrials(
        list(found.own), _rows(found), found.advice, found.sentence, found.next_steps
    )
    if pair is None:
        page = run_page(results[0], clips, heading=heading, trials=about)
    else:
        pair = replace(pair, remarks=results[1].metrics.verdict.cautions)
        page = comparison_page(pair, clips, heading=heading, trials=about)
    best = results[-1].metrics
    own = _markdown(found, best, pair, facts)
    write_report(run, config, Rendered(own, _public(found, best, pair, public), page))
    run.mark_complete()
    return found


def next_steps(
    run: RunDir, config: RunConfig, found: SweepResult, states: Mapping[str, State]
) -> list[NextStep]:
    """The advised adapter to be used, both where the advice leaves it open, and a training with
    the winner's settings; `states` of the trials that were tested."""
    numbers = {"better": [found.winner], "worse": [0]}.get(found.advice.outcome, [found.winner, 0])
    steps = [
        use_it(
            str(trial_folder(run, n)),
            f"Use the adapter of trial {n}" if n else "Use that of your own settings, trial 0",
        )
        for n in dict.fromkeys(numbers)
    ]
    if all(states[f"trial-{n}"] in ("worse", "not accepted") for n in numbers):
        steps = [use_base(config)]
    words = ["crossval", *settings_of(run, config), "--run-name", f"{found.run}-cv"]
    whose = "your settings"
    if numbers[0]:
        whose = f"the settings of trial {found.winner}"
        words += _flags(config, configured(config, best_of(found.trials).values), found.own)
    says = f"Test {whose} on every clip, then train one adapter on all of them"
    return [*steps, NextStep(says, shlex.join(["moontune", *words]))]


def _flags(config: RunConfig, wanted: RunConfig, tuned: Iterable[str]) -> list[str]:
    """The settings of a trial that are not the run's own, as flags."""
    words = []
    for name in dict.fromkeys([*tuned, "lora_alpha"]):
        own, value = value_of(config, name), value_of(wanted, name)
        if value != own:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"--{name.replace('_', '-')}", *(map(str, values) if values else ["none"])]
    return words


def _own(run: RunDir, config: RunConfig) -> dict[str, str]:
    """The values of the run's own settings among those that were searched."""
    names = [word.partition("=")[0] for word in run.record()["sweep"]["tune"]]
    return {name: setting_text(value_of(config, name)) for name in names}


def tested_before(run: RunDir, trials: list[Trial], winner: int) -> list[int]:
    """Winners of the sweep when it had fewer trials."""
    others = (t.number for t in trials if t.number not in (0, winner))
    return [n for n in others if "evaluate" in RunDir(trial_folder(run, n)).stages()]


def _rows(found: SweepResult) -> list[TrialFigures]:
    """The trials, the least validation loss first."""
    rows, states = [], {"finished": "", "pruned": "given up early", "aborted": "aborted"}
    for trial in sorted(found.trials, key=lambda t: t.best_val_loss):
        values = [(trial.values if trial.number else found.own)[name] for name in found.own]
        texts = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in values]
        state = "best" if trial.number == found.winner else states[trial.state]
        rows.append(TrialFigures(trial.number, texts, trial.best_val_loss, trial.best_step, state))
    return rows


def _trial_facts(found: SweepResult, origin: DataOrigin) -> Section:
    rows: list[list[Any]] = [
        [row.number, *row.values, f"{row.loss:.4f}", f"{row.step}", row.state]
        for row in _rows(found)
    ]
    head = ["trial", *found.own, "validation loss", "at update", ""]
    note = f"Trial 0 has the run's own settings. Origin: {origin_text(origin)}."
    return Section("Trials", head, rows, note)


def _markdown(
    found: SweepResult, best: RunMetrics, pair: RunComparison | None, facts: list[Section]
) -> str:
    """The sweep's own report."""
    parts = _figures(found, best, None if pair is None else pair.comparison, facts[0])
    if pair is not None:
        parts.append(changed(pair.before.predictions, pair.after.predictions, pair.names))
    parts += next_steps_text(found.next_steps)
    return "\n\n".join([*parts, *map(section_text, facts[1:])]) + "\n"


def _public(
    found: SweepResult, best: RunMetrics, pair: RunComparison | None, facts: list[Section]
) -> str:
    """Its section of the collected report: figures alone, of nobody in particular."""
    comparison = None if pair is None else public_comparison(pair.comparison)
    parts = _figures(found, public_metrics(best), comparison, facts[0])
    if comparison is not None:
        parts.append(clip_counts(comparison))
    return "\n\n".join([*parts, *map(section_text, facts[1:])]) + "\n"


def _figures(
    found: SweepResult, best: RunMetrics, comparison: Comparison | None, trials: Section
) -> list[str]:
    """The parts that begin both: the winner against the run's own settings, where it is another,
    and against the base."""
    names = (OWN, found.name)
    advice = f"{found.advice.badge}. {found.advice.says}"
    parts = [f"## {cell(found.run)}, sweep", f"**{cell(advice)}**", cell(found.sentence)]
    if comparison is not None:
        parts += [
            *map(cell, comparison.sentences.values()),
            measures(comparison, names),
            edits(comparison, names),
            bootstrap_note(comparison),
        ]
    return [
        *parts,
        f"### {found.name} against the base",
        cell(best.verdict.sentence),
        *map(cell, best.verdict.cautions),
        result(best),
        *text_section(best.comparison),
        *key_terms_section(best.key_terms),
        section_text(trials),
    ]
