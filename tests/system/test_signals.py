"""Ctrl-C once saves and stops, twice stops at once; both can be gone on with."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Iterator

import pytest

from moontune.cli.console import ConsoleUi
from moontune.system.signals import stop_after_this_update


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """As in a terminal, also where the tests run in the background or under nohup."""
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_asks_and_the_second_stops(capfd) -> None:
    before = signal.getsignal(signal.SIGINT)

    def block() -> None:
        with stop_after_this_update("finishing") as asked:
            assert not asked()
            os.kill(os.getpid(), signal.SIGINT)
            assert asked()
            assert "finishing" in capfd.readouterr().err
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("it goes on")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_system_that_shuts_down_and_a_closed_terminal_count_as_well(number) -> None:
    seen: list[bool] = []

    def block() -> None:
        with stop_after_this_update("finishing") as asked:
            os.kill(os.getpid(), number)
            seen.append(asked())

    with pytest.raises(KeyboardInterrupt):
        block()
    assert seen == [True]


def test_a_signal_that_comes_too_late_to_be_asked_for_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), stop_after_this_update("finishing"):
        os.kill(os.getpid(), signal.SIGINT)
    with stop_after_this_update("finishing") as asked:
        assert not asked()


def test_under_nohup_a_closed_terminal_is_still_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_after_this_update("finishing") as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_gone_and_a_second_hangup_change_nothing(monkeypatch) -> None:
    def gone(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", gone)
    seen: list[bool] = []

    def block() -> None:
        with stop_after_this_update("finishing") as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append(asked())

    with pytest.raises(KeyboardInterrupt):
        block()
    assert seen == [True]


def test_what_is_drawn_on_a_terminal_that_is_gone_is_lost_alone() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    ui = ConsoleUi(Gone())
    ui.note("this")
    ui.progress(1, 2, "clips")
    ui.note("and that")


def test_what_a_launcher_passes_on_is_no_second_signal() -> None:
    seen: list[bool] = []

    def block() -> None:
        with stop_after_this_update("finishing", echo_s=60.0) as asked:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(asked())

    with pytest.raises(KeyboardInterrupt):
        block()
    assert seen == [True]


def test_a_program_that_read_what_is_shown_may_end_before() -> None:
    """The page that began a training, say, or `head`."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    ui = ConsoleUi(stream)
    ui.note("one")
    ui.stage("train", "train the adapter", 6, 10)
    print("what others print there", file=stream, flush=True)
    stream.close()
