"""The command line's display: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from moontune.evaluation.acceptance import shown
from moontune.evaluation.measures import Comparison, GroupRow
from moontune.evaluation.phrasing import measure_rows, plainly
from moontune.languages.table import current
from moontune.system.formatting import HangupProofStream, counted, percent, printable

if TYPE_CHECKING:
    from rich.text import Text

    from moontune.evaluation.acceptance import Check
    from moontune.evaluation.key_terms.figures import TermFigures
    from moontune.evaluation.key_terms.results import KeyTermResults
    from moontune.pipeline.experiments.score_predictions import Scorecard
    from moontune.pipeline.experiments.sweep_report import SweepResult
    from moontune.report.results.crossval import CrossvalResults
    from moontune.report.results.final import FinalMetrics, FinalResults
    from moontune.report.results.metrics import NextStep, RunMetrics

_PLAIN_EVERY_S = 15.0


_COLOURS = {
    "better": "green",
    "smoke": "green",
    "undecided": "yellow",
    "worse": "red",
    "not accepted": "red",
}


class ConsoleUi:
    """Progress of stages. On a terminal a bar that vanishes; in a file a line now and then."""

    def __init__(
        self, stream: TextIO | None = None, log: Callable[[str], None] = lambda text: None
    ) -> None:
        """`log` is told what stays on the screen."""
        from rich.console import Console

        self._log = log
        self.console = Console(
            file=HangupProofStream(stream or sys.stdout),  # type: ignore[arg-type]
            highlight=False,
            emoji=False,
            soft_wrap=True,
        )
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0
        self._begun = 0.0
        self._recent: list[tuple[float, int]] = []
        self._val_loss: float | None = None
        self._best = float("inf")

    def stage(self, name: str, summary: str, index: int, count: int) -> None:
        self.close()
        self._best, self._val_loss = float("inf"), None
        self._log(f"{name}: {summary}")
        self.console.print(f"[bold]\\[{index}/{count}] {name}[/bold]: {summary}")

    def note(self, text: str) -> None:
        self._log(f"  {printable(text)}")
        self.console.print("  " + printable(text), markup=False)

    def warn(self, text: str) -> None:
        """A warning: the run goes on, but the user should look."""
        self.note(f"remark: {text}")

    def alarm(self, text: str) -> None:
        """A warning that nobody shall miss: what goes on is likely not what was meant."""
        self._log(f"  WARNING: {printable(text)}")
        self.console.print()
        self.console.print(f"  WARNING: {printable(text)}", style="bold red", markup=False)
        self.console.print()

    def progress(self, done: int, wanted: int, what: str) -> None:
        self._draw(done, wanted, what, done == wanted)

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        if "expected_errors" in event:
            wrong = percent(event["expected_errors"])
            self.note(f"update {event['step']}: {wrong} of {current().unit}s expected to be wrong")
            return
        if event["event"] == "validation":
            value = event["val_loss"]
            if value is None:
                self.note(f"update {event['step']}: validation loss not finite")
                return
            self._val_loss = value
            best = " (best)" if value < self._best else ""
            self._best = min(self._best, value)
            self.note(f"update {event['step']}: validation loss {value:.4f}{best}")
            return
        loss = "not finite, skipped" if event["loss"] is None else f"{event['loss']:.3f}"
        val = "" if self._val_loss is None else f", validation {self._val_loss:.3f}"
        rate = event["clips"] / max(event["seconds"], 1e-9)
        what = f"loss {loss}{val}, {rate:.1f} clips/s"
        self._draw(event["step"], max_steps, what, event["step"] == max_steps)

    def _draw(self, done: int, wanted: int, what: str, last: bool) -> None:
        now, what = time.monotonic(), printable(what)
        if not self.console.is_terminal:
            if done == 1 or not self._begun:
                self._begun = self._last = now
            if now - self._last >= _PLAIN_EVERY_S and not last:
                self._last = now
                left = (now - self._begun) / max(done - 1, 1) * (wanted - done)
                self.note(f"{done}/{wanted} {what}, {_time_left(left)}")
            return
        if self._bar is None:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task(what, total=wanted)
        self._bar.update(self._task, completed=done, total=wanted, description=what)
        self._bar.start()
        if last:
            self.close()

    def hide(self) -> None:
        """Take the bar off the terminal; it comes back, with its time left, as work goes on."""
        if self._bar is not None:
            self._bar.stop()

    def close(self) -> None:
        self._begun = 0.0
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def verdict(self, metrics: RunMetrics) -> None:
        """The before/after table, the checks, the sentence, and what to do now."""
        verdict = metrics.verdict
        self.console.print()
        self.figures(metrics.comparison, ("base", "tuned"))
        self._checks(shown(verdict.checks, metrics.device.name))
        self._log(verdict.sentence)
        style = f"bold {_COLOURS[verdict.state]}"
        self.console.print(printable(verdict.sentence), style=style, markup=False)
        for line in [verdict.rule, *verdict.findings, *verdict.cautions]:
            if line:
                self.console.print(printable(line), markup=False)
        for line in [*text_lines(metrics.comparison), *term_lines_of(metrics)]:
            self.console.print(printable(line), markup=False)
        if metrics.new_clips is not None:
            self.console.print()
            for line in metrics.new_clips.sentences:
                self.console.print(printable(line), markup=False)
        self.next_steps(metrics.next_steps)

    def next_steps(self, steps: Sequence[NextStep]) -> None:
        """What to do now, a line each and its command below."""
        for number, step in enumerate(steps):
            self.console.print()
            text = f"{'Next' if not number else 'Or'}: {step.says[:1].lower()}{step.says[1:]}"
            self.console.print(printable(text), markup=False)
            if step.command:
                # never wrapped, so that it can be copied
                self.console.print(printable(f"  {step.command}"), markup=False, soft_wrap=True)

    def _checks(self, checks: Sequence[Check]) -> None:
        from rich.table import Table

        table = Table("check", "", "detail", box=None, pad_edge=False)
        for check in checks:
            mark = "[green]ok[/green]" if check.passed else "[red]FAILED[/red]"
            table.add_row(_cell(check.says), mark, _cell(check.detail))
        self.console.print()
        self.console.print(table)
        self.console.print()

    def final(self, results: FinalResults) -> None:
        """The checks of an adapter trained on all clips, and what to expect of it."""
        from moontune.report.final_adapter import expectation

        metrics = results.metrics
        self._checks(shown(metrics.checks, metrics.device.name))
        expected = expectation(metrics.expected)
        self._log(expected)
        outcome = metrics.expected.comparison.error_rate.outcome or "undecided"
        style = f"bold {_COLOURS[outcome if metrics.usable else 'not accepted']}"
        self.console.print(printable(expected), style=style, markup=False)
        kept = f"General speech, not trained on: {_general(metrics)}"
        terms = [
            *text_lines(metrics.expected.comparison),
            *key_term_lines(metrics.expected.key_terms),
        ]
        for line in [metrics.statement, *terms, kept, *results.cautions]:
            self.console.print(printable(line), markup=False)

    def figures(self, comparison: Comparison, names: tuple[str, str] | None) -> None:
        """The measures with their intervals; of one model where `names` is None."""
        from rich.table import Column, Table

        heads = ("", "") if names is None else ("", *names, "change")
        more = () if names is None else ("P(better)",)
        heads = [Column(_cell(head)) for head in heads]
        table = Table(*heads, "95 % interval", *more, box=None, pad_edge=False)
        for row in measure_rows(comparison):
            if names is None:
                table.add_row(row.label, row.after, row.after_interval)
                continue
            change, interval = (x.removesuffix(" points") for x in (row.change, row.interval))
            table.add_row(row.label, row.before, row.after, change, interval, row.better)
        self.console.print(table)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        from rich.table import Column, Table

        table = Table(*(Column(_cell(name)) for name in head), box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(_cell, row))
        self.console.print(table)

    def crossval(self, results: CrossvalResults) -> None:
        """Every fold, and all of them together."""
        from rich.table import Table

        label = results.comparison.rate_label
        table = Table(
            *("fold", "clips", "speakers", f"{label} base", f"{label} tuned"),
            box=None,
            pad_edge=False,
        )
        for fold in results.folds:
            size = (str(fold.utterances), str(fold.speakers or "-"))
            table.add_row(fold.fold, *size, *map(percent, fold.errors))
        self.console.print()
        self.console.print(table)
        self.console.print()
        self.figures(results.comparison, ("base", "tuned"))
        self.console.print()
        outcome = results.comparison.error_rate.outcome or "undecided"
        text = f"{outcome.capitalize()}. {plainly(results.comparison)}"
        self._log(text)
        self.console.print(printable(text), style=f"bold {_COLOURS[outcome]}", markup=False)
        general = results.general.comparison if results.general else None
        kept = [f"General speech, not trained on: {general.says}"] if general else []
        terms = [*text_lines(results.comparison), *term_lines_of(results)]
        for line in [*results.comparison.sentences.values(), *terms, *kept, *results.cautions]:
            self.console.print(printable(line), markup=False)

    def sweep(self, found: SweepResult, names: tuple[str, str]) -> None:
        """The winner of a sweep against the run's own settings, and against the base."""
        self.console.print()
        if found.comparison:
            self.figures(found.comparison, names)
            self.console.print()
        advice = found.advice
        style = f"bold {_COLOURS[advice.outcome]}"
        text = printable(f"{advice.badge}. {advice.says}")
        self.console.print(text, style=style, markup=False)
        self.note(found.sentence)
        if found.comparison:
            self.note(f"{names[1]} against {names[0]}: {found.comparison.says}")
        self.note(f"{found.name} against the base: {found.tested[found.name].sentence}")
        for line in [*found.text, *key_term_lines(found.key_terms)]:
            self.note(line)

    def scorecard(self, card: Scorecard) -> None:
        """The figures of `moontune score`."""
        comparison, names = card.comparison, card.names
        size = counted(comparison.utterances, "clip")
        size += f", {counted(comparison.words, comparison.unit)}"
        minutes = f", {comparison.seconds / 60:.1f} minutes" if comparison.seconds else ""
        self.note(f"{size}{minutes}")
        self.figures(comparison, names)
        if not comparison.error_rate.measured:
            self.note(f"no reference holds a {comparison.unit}, so there is no rate of errors")
        self.note("")
        sides = (
            (comparison.edits.before, comparison.truncated.before),
            (comparison.edits.after, comparison.truncated.after),
        )
        for (edits, cut), name in zip(sides, names or (None, ""), strict=True):
            if name is None:
                continue
            self.note(
                f"{name + ': ' if name else ''}{counted(edits.substitutions, 'substitution')}, "
                f"{counted(edits.deletions, 'deletion')}, "
                f"{counted(edits.insertions, 'insertion')}, "
                f"{counted(cut, 'clip')} cut by the token cap"
            )
        if comparison.speakers:
            self._groups("speaker", comparison, comparison.by_speaker, names)
        if comparison.by_duration:
            self._groups("length", comparison, comparison.by_duration, names)
        if names is not None:
            words = (("fixed", comparison.words_fixed), ("broken", comparison.words_broken))
            for kind, counts in words:
                listed = ", ".join(f"{word} {count}" for word, count in counts) or "none"
                self.note(f"{comparison.unit}s {kind}: {listed}")
            for text in [*comparison.sentences.values(), *text_lines(comparison, each=card.each)]:
                self.note(text)
        if card.key_terms is not None:
            self.key_terms(card.key_terms, names)
        b = comparison.bootstrap
        self.note(
            f"intervals: {b.resamples} resamples of {counted(b.units, b.unit)}, seed {b.seed}"
        )
        for remark in card.remarks:
            self.warn(remark)

    def key_terms(self, found: TermFigures, names: tuple[str, str] | None) -> None:
        """How many of the key terms that were said are written."""
        from rich.table import Column, Table

        from moontune.evaluation.key_terms.phrasing import term_lines, term_sentence

        self.note(term_sentence(found, names))
        heads = ["key terms", *(names or ("",)), *(("change (95 % interval)",) if names else ())]
        table = Table(*(Column(_cell(head)) for head in heads), box=None, pad_edge=False)
        for line in term_lines(found):
            both = (line.before, line.after, line.change)
            table.add_row(*map(_cell, (line.label, *(both if names else both[1:2]))))
        self.console.print(table)
        self.console.print()

    def _groups(
        self,
        title: str,
        comparison: Comparison,
        rows: list[GroupRow],
        names: tuple[str, str] | None,
    ) -> None:
        from rich.table import Column, Table

        label, units = comparison.rate_label, f"{comparison.unit}s"
        rates = (label,) if names is None else tuple(f"{label} {name}" for name in names)
        heads = [Column(_cell(rate)) for rate in rates]
        table = Table(title, "clips", units, *heads, box=None, pad_edge=False)
        for row in rows:
            rates = (row.after,) if names is None else (row.before, row.after)
            size = (str(row.utterances), str(row.words))
            table.add_row(_cell(row.name), *size, *map(percent, rates))
        self.console.print(table)
        self.console.print()


def text_lines(
    comparison: Comparison, names: tuple[str, str] | None = None, each: str = "fold"
) -> list[str]:
    """What a text of the domain changes, a sentence a model; nothing without one."""
    from moontune.report.domain_text import MODELS, text_sentences

    return text_sentences(comparison, names or MODELS, each)


def term_lines_of(found: RunMetrics | CrossvalResults) -> list[str]:
    """Key terms, and words that training hardly had, a sentence each."""
    from moontune.evaluation.key_terms.phrasing import rare_sentences

    terms = key_term_lines(found.key_terms)
    names = ("the base", "the tuned model")
    return [*terms, *(rare_sentences(found.rare_words, names)[:1] if found.rare_words else [])]


def key_term_lines(found: KeyTermResults | None) -> list[str]:
    """Key terms, a sentence each; nothing without a list."""
    from moontune.evaluation.key_terms.phrasing import key_terms_in_short

    return key_terms_in_short(found) if found else []


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task
    from rich.progress import TextColumn as PlainColumn
    from rich.text import Text

    class TimeLeftColumn(ProgressColumn):
        """Told from the first step on, by the average until there are several."""

        max_refresh = 0.5  # of what changes by itself, a second apart

        def render(self, task: Task) -> Text:
            left_s = task.time_remaining
            if left_s is None and task.completed and task.elapsed:
                left_s = task.elapsed * (task.total or 0) / task.completed - task.elapsed
            return Text("" if left_s is None else _time_left(left_s), style="progress.remaining")

    return Progress(
        PlainColumn("  "),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        PlainColumn("{task.description}", markup=False),  # beside the number, whose unit it may be
        TimeLeftColumn(),
        console=console,
        transient=True,
    )


def _time_left(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    clock = f"{rest // 60}:{rest % 60:02}"
    return f"{hours}:{clock:>05} left" if hours else f"{clock} left"


def _general(metrics: FinalMetrics) -> str:
    """The one measurement of an adapter trained on all clips."""
    comparison = metrics.general.comparison
    if comparison is None:
        return metrics.general.remark or "not looked at"
    return comparison.says


def _cell(text: str) -> Text:
    """Text as it is: rich would read markup in a plain string, links among it."""
    from rich.text import Text

    return Text(printable(text))
