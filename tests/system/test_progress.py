"""What stands on the screen while one waits."""

from __future__ import annotations

import io
import re

from rich.console import Console

from moontune.cli.console import ConsoleUi
from moontune.system.hub_client import CONNECT_S, FIRST_WAITS_S, _Rules
from moontune.system.progress import Pace, PassingLine, starting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_pace_is_that_of_whole_parts() -> None:
    clock = iter([0.0, 5.0, 100.0, 280.0, 300.0, 480.0])
    pace = Pace(lambda: next(clock))
    assert pace.left(3) is None
    with pace.part(whole=False):  # gone on with: it tells nothing
        clock.__next__()
    assert pace.left(3) is None
    with pace.part():
        pass
    assert pace.left(3) == "about 9 min left"
    with pace.part():
        pass
    assert pace.left(1) == "about 3 min left"


def test_how_long_in_words() -> None:
    for seconds, words in ((0.2, "1 s"), (60, "60 s"), (540, "9 min"), (9000, "2.5 h")):
        clock = iter([0.0, seconds])
        pace = Pace(lambda clock=clock: next(clock))
        with pace.part():
            pass
        assert pace.left(1) == f"about {words} left"


def test_a_passing_line_is_for_terminals_alone() -> None:
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        line = PassingLine(stream)
        line.say("loading x ...")
        line.clear()
        line.clear()
    assert pipe.getvalue() == ""
    assert terminal.getvalue() == "loading x ...\r\r\x1b[K"


def test_a_command_tells_at_once_that_it_was_heard() -> None:
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        starting(stream)
    assert pipe.getvalue() == ""
    assert terminal.getvalue() == "starting ...\r"  # what comes next takes its place


def test_the_bar_knows_the_time_left_from_the_first_step_and_after_it_was_hidden() -> None:
    ui = ConsoleUi(io.StringIO())
    ui.console = Console(file=io.StringIO(), force_terminal=True, width=100)
    ui.progress(0, 600, "s of sound")
    bar = ui._bar
    assert "0/600 s of sound" in _shown(ui)
    assert "left" not in _shown(ui)
    bar.tasks[0].start_time -= 2.0
    ui.progress(20, 600, "s of sound")
    assert re.search(r"20/600 s of sound [01]:\d\d left", _shown(ui))
    ui.hide()
    ui.progress(30, 600, "s of sound")
    assert ui._bar is bar
    assert re.search(r"30/600 s of sound \d+:\d\d left", _shown(ui))
    ui.close()


def _shown(ui: ConsoleUi) -> str:
    screen = Console(file=io.StringIO(), width=100)
    screen.print(ui._bar.get_renderable())
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_a_hub_that_gives_no_connection_is_not_asked_again() -> None:
    rules = _Rules(patient=True)
    assert CONNECT_S < 5
    assert rules._waits(rules.http.ConnectTimeout("x")) == ()
    assert rules._waits(rules.http.ReadTimeout("x")) == FIRST_WAITS_S
    rules._answered = True
    assert rules._waits(rules.http.ConnectTimeout("x")) != ()
