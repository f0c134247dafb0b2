"""What the command line draws: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

_PLAIN_EVERY_S = 15.0


class ConsoleUi:
    """Progress of stages. On a terminal a bar that vanishes; in a file a line now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console

        self.console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0
        self._begun = 0.0
        self._recent: list[tuple[float, int]] = []
        self._val_loss: float | None = None
        self._best = float("inf")

    def stage(self, name: str, summary: str, index: int, count: int) -> None:
        self.close()
        self.console.print(f"[bold]\\[{index}/{count}] {name}[/bold]: {summary}")

    def note(self, text: str) -> None:
        self.console.print("  " + printable(text), markup=False)

    def progress(self, done: int, wanted: int, what: str) -> None:
        self._draw(done, wanted, what, done == wanted)

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        if event["event"] == "validation":
            value = event["val_loss"]
            best = " (best)" if value < self._best else ""
            self._best = min(self._best, value)
            self._val_loss = value
            self.note(f"update {event['step']}: validation loss {value:.4f}{best}")
            return
        loss = "not finite, skipped" if event["loss"] is None else f"{event['loss']:.3f}"
        val = "" if self._val_loss is None else f", validation {self._val_loss:.3f}"
        rate = event["clips"] / max(event["seconds"], 1e-9)
        what = f"loss {loss}{val}, {rate:.1f} clips/s"
        self._draw(event["step"], max_steps, what, event["step"] == max_steps)

    def _draw(self, done: int, wanted: int, what: str, last: bool) -> None:
        now = time.monotonic()
        if not self.console.is_terminal:
            if done == 1 or not self._begun:
                self._begun = self._last = now
            if now - self._last >= _PLAIN_EVERY_S and not last:
                self._last = now
                left = (now - self._begun) / max(done - 1, 1) * (wanted - done)
                self.console.print(f"  {done}/{wanted} {what}, {left:.0f} s left", markup=False)
            return
        if self._bar is None:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("  "),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}", markup=False),
                console=self.console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(what, total=wanted)
        self._bar.update(self._task, completed=done, total=wanted, description=printable(what))
        if last:
            self.close()

    def close(self) -> None:
        self._begun = 0.0
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def verdict(self, metrics: dict[str, Any]) -> None:
        """The before/after table, the checks, and the sentence."""
        from rich.table import Table

        base, tuned, change = metrics["baseline"], metrics["tuned"], metrics["difference"]
        figures = Table("", "base", "tuned", "change", box=None, pad_edge=False)
        gain = change["wer_relative_gain"]
        wer = ["-" if x["wer"] is None else f"{100 * x['wer']:.2f} %" for x in (base, tuned)]
        relative = "-" if gain is None else f"{-100 * gain + 0.0:+.1f} % relative"
        figures.add_row("WER", *wer, relative)
        losses = (f"{x['loss']:.4f}" for x in (base, tuned))
        figures.add_row("loss", *losses, f"{change['loss']:+.4f}")
        checks = Table("check", "", "detail", box=None, pad_edge=False)
        for c in metrics["verdict"]["checks"]:
            mark = "[green]ok[/green]" if c["passed"] else "[red]FAILED[/red]"
            checks.add_row(c["name"], mark, printable(c["detail"]).replace("[", "\\["))
        self.console.print()
        self.console.print(figures)
        self.console.print()
        self.console.print(checks)
        self.console.print()
        style = "bold green" if metrics["accepted"] else "bold red"
        self.console.print(printable(metrics["verdict"]["sentence"]), style=style, markup=False)
        for caution in metrics["verdict"]["cautions"]:
            self.console.print(printable(caution), markup=False)


def printable(text: str) -> str:
    """Text without control characters, so that data cannot move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text)
