"""Threads spin where nothing else is at work, and give their processor away where something is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest
import torch

from moontune.system.threads import processors, waiting
from moontune.system.threads.processors import THREADS_ASKED, Load
from moontune.system.threads.waiting import WAITING_ASKED, computing_with, in_the_way, wait_well

ASKED = (*WAITING_ASKED, *THREADS_ASKED)
with_libgomp = pytest.mark.skipif(
    not waiting._computes_with_libgomp(), reason="PyTorch computes with another library"
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`wait_well` on a machine of two processors with libgomp, without a thread."""
    for name in ASKED:
        monkeypatch.delenv(name, raising=False)
    found: list[str] = []
    monkeypatch.setattr(waiting, "_computes_with_libgomp", lambda: True)
    monkeypatch.setattr(waiting, "granted_processors", lambda: 2.0)
    monkeypatch.setattr(waiting, "allowed_processors", lambda: 2)
    monkeypatch.setattr(threading, "enumerate", list)  # one of another test may be there
    monkeypatch.setattr(waiting._Watch, "start", lambda _: found.append("watch"))
    return found


def policy() -> str | None:
    return os.environ.get("OMP_WAIT_POLICY")


def test_threads_spin_and_are_watched(started) -> None:
    wait_well()
    assert (started, policy()) == (["watch"], None)


@pytest.mark.parametrize("name", WAITING_ASKED)
def test_how_to_wait_is_the_users_to_say(started, monkeypatch, name) -> None:
    monkeypatch.setenv(name, "1")
    wait_well()
    assert (started, policy()) == ([], "1" if name == "OMP_WAIT_POLICY" else None)


@pytest.mark.parametrize("name", THREADS_ASKED)
def test_one_thread_waits_for_none(started, monkeypatch, name) -> None:
    monkeypatch.setenv(name, "1")
    wait_well()
    assert started == []


@pytest.mark.parametrize("lacking", ["libgomp", "a whole processor", "time on all of them"])
def test_elsewhere_threads_always_give_way(started, monkeypatch, lacking) -> None:
    """A container that is granted two processors' time may run on all of the machine's, and
    PyTorch begins a thread on each."""
    if lacking == "libgomp":
        monkeypatch.setattr(waiting, "_computes_with_libgomp", lambda: False)
    elif lacking == "a whole processor":
        monkeypatch.setattr(waiting, "granted_processors", lambda: 1.5)
    else:
        monkeypatch.setattr(waiting, "allowed_processors", lambda: 64)
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that what is set is undone after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_well()
    assert (started, policy()) == ([], "PASSIVE")


@pytest.mark.parametrize(
    ("machine", "usable", "threads", "busy", "crowded"),
    [
        *((2, 2, None, 0.4, False), (2, 2, None, 0.9, True), (2, 2, 1, 0.9, False)),
        *((8, 8, 5, 2.9, False), (8, 8, 5, 3.6, True), (64, 4, None, 50.0, False)),
        (64, 4, None, 61.0, True),
    ],
)
def test_others_are_in_the_way_where_they_want_a_processor_that_computes(
    started, monkeypatch, machine, usable, threads, busy, crowded
) -> None:
    monkeypatch.setattr(waiting, "processors_of_the_machine", lambda: machine)
    monkeypatch.setattr(waiting, "usable_processors", lambda: usable)
    assert in_the_way(busy) == (crowded if threads is None else busy > machine - usable + 0.5)
    if threads is not None:
        before = torch.get_num_threads()
        with computing_with(threads):
            assert torch.get_num_threads() == threads
            assert in_the_way(busy) == crowded
        assert torch.get_num_threads() == before
        monkeypatch.setenv(THREADS_ASKED[0], str(threads))
        assert in_the_way(busy) == crowded


class Looks:
    """A load that is as told, one number a look; the last one stays."""

    def __init__(self, busy: list[float]) -> None:
        self.busy, self.seen = busy, threading.Event()

    def busy_elsewhere(self) -> float:
        if len(self.busy) == 1:
            self.seen.set()
            return self.busy[0]
        return self.busy.pop(0)


def test_threads_give_way_while_others_are_at_work_and_no_longer(started, monkeypatch) -> None:
    said: list[str] = []

    class Crowd:
        def __init__(self, libgomp: object) -> None:
            said.append("come")

        def leave(self) -> None:
            said.append("leave")

    # A lull of three looks is not the end.
    looks = Looks([0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    monkeypatch.undo()
    monkeypatch.setattr(waiting, "processors_of_the_machine", lambda: 2)
    monkeypatch.setattr(waiting, "usable_processors", lambda: 2)
    for name in ASKED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(waiting, "_libgomp", lambda: "libgomp")
    monkeypatch.setattr(waiting, "Crowd", Crowd)
    monkeypatch.setattr(waiting, "Load", lambda: looks)
    monkeypatch.setattr(waiting, "_LOOK_EVERY_S", 0.001)
    watch = waiting._Watch()
    watch.start()
    assert looks.seen.wait(60)
    watch.stop()
    assert said == ["come", "leave", "come", "leave"]


def test_a_load_counts_what_others_do_and_not_what_this_process_does(monkeypatch) -> None:
    spent = iter([(10.0, 100.0, 5.0), (12.0, 104.0, 7.0), (13.0, 104.5, 7.6)])
    monkeypatch.setattr(processors.Load, "_spent", staticmethod(lambda: next(spent)))
    load = Load()
    assert load.busy_elsewhere() == pytest.approx(1.0)
    assert load.busy_elsewhere() == 0.0


def test_where_the_system_does_not_tell_others_may_be_at_work(monkeypatch) -> None:
    """As on a phone, where an app may not read /proc/stat."""

    def refused() -> None:
        raise PermissionError

    monkeypatch.setattr(processors.Load, "_spent", staticmethod(refused))
    assert waiting._crowded(Load())
    assert processors._busy_for_a_moment() == 0.0


@pytest.mark.parametrize("stand_in", ["", "cpu  0 0 0 0\n", "cpu  all of them are idle\n"])
def test_a_containers_stand_in_for_the_file_does_not_tell(monkeypatch, tmp_path, stand_in) -> None:
    import psutil

    (tmp_path / "stat").write_text(stand_in, encoding="ascii")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    if not sys.platform.startswith("linux"):
        pytest.skip("psutil reads no file")
    assert waiting._crowded(Load())
    assert processors._busy_for_a_moment() == 0.0


class Times(NamedTuple):
    user: float
    nice: float
    system: float
    idle: float
    guest: float  # of user
    guest_nice: float  # of nice


@pytest.mark.parametrize(("niceness", "counted"), [(0, 7.0), (-5, 7.0), (10, 27.0)])
def test_what_runs_under_nice_is_in_the_way_of_what_does_too(
    monkeypatch, niceness, counted
) -> None:
    import psutil

    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(5.0, 20.0, 2.0, 100.0, 3.0, 4.0))
    monkeypatch.setattr(os, "nice", lambda _: niceness, raising=False)
    assert Load._spent()[1] == counted


def test_a_program_that_calls_the_command_line_often_has_one_watch(started, monkeypatch) -> None:
    monkeypatch.undo()
    for name in ASKED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(waiting, "_computes_with_libgomp", lambda: True)
    monkeypatch.setattr(waiting, "granted_processors", lambda: 2.0)
    monkeypatch.setattr(waiting, "allowed_processors", lambda: 2)
    monkeypatch.setattr(waiting, "_libgomp", lambda: None)
    before = {t for t in threading.enumerate() if isinstance(t, waiting._Watch)}
    for watch in before:  # of another test
        watch.stop()
    for _ in range(3):
        wait_well()
    (watch,) = (t for t in threading.enumerate() if isinstance(t, waiting._Watch))
    watch.stop()
    wait_well()  # one that is over watches no more
    (again,) = (t for t in threading.enumerate() if isinstance(t, waiting._Watch))
    again.stop()


# What the rule is worth: seconds of processor time of the process for meetings of two threads with
# a pause after each, in which one of them spins.
SPUN = """
import sys, time, torch
from moontune.system.threads.waiting import Crowd, _libgomp
torch.set_num_threads(2)
numbers = torch.ones(1 << 18)
def spun():
    numbers.add_(1.0)
    begun = time.process_time()
    for _ in range(40):
        numbers.add_(1.0)
        time.sleep(0.02)
    return time.process_time() - begun
alone = spun()
crowd = Crowd(_libgomp())
crowded = spun()
crowd.leave()
print(alone, crowded, spun(), torch.get_num_threads(), numbers.sum().item())
"""


@with_libgomp
@pytest.mark.skipif(processors.usable_processors() < 2, reason="one processor")
def test_a_crowd_of_sleeping_threads_keeps_others_from_spinning() -> None:
    env = {k: v for k, v in os.environ.items() if k not in ASKED}
    done = subprocess.run(
        [sys.executable, "-c", SPUN], env=env, capture_output=True, text=True, check=True
    )
    alone, crowded, after, threads, total = map(float, done.stdout.split())
    assert crowded < alone / 2
    assert crowded < after / 2
    assert (threads, total) == (2, (1 << 18) * 124)


BORN = """
import collections, threading, torch
from moontune.system.threads.waiting import Crowd, _libgomp
torch.set_num_threads(2)
born, over, libgomp = collections.Counter(), threading.Event(), _libgomp()
def come_and_leave():
    while not over.is_set():
        Crowd(libgomp).leave()
crowds = threading.Thread(target=come_and_leave)
crowds.start()
for _ in range(500):
    child = threading.Thread(target=lambda: born.update([torch.get_num_threads()]))
    child.start()
    child.join()
over.set()
crowds.join()
print(dict(born))
"""


@with_libgomp
def test_a_thread_that_first_computes_when_a_crowd_comes_takes_none_of_its_number() -> None:
    """As one that answers a page's request: the last bits depend on it."""
    done = subprocess.run([sys.executable, "-c", BORN], capture_output=True, text=True, check=True)
    assert done.stdout == "{2: 500}\n"


HALF = """
import importlib.util, sys, time, moontune.system.threads.waiting as w
w._LOOK_EVERY_S, w.in_the_way = 0.01, lambda busy: True
w._Watch().start()
sys.modules["torch"] = importlib.util.module_from_spec(importlib.util.find_spec("torch"))
time.sleep(0.3)
"""


def test_the_watch_leaves_pytorch_alone_whose_loading_was_interrupted() -> None:
    done = subprocess.run([sys.executable, "-c", HALF], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_watch_goes_on_where_no_more_threads_may_be_started(started, monkeypatch) -> None:
    monkeypatch.undo()
    looks = Looks([1.0, 1.0, 1.0])

    def refused(libgomp: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(waiting, "_libgomp", lambda: "libgomp")
    monkeypatch.setattr(waiting, "Crowd", refused)
    monkeypatch.setattr(waiting, "Load", lambda: looks)
    monkeypatch.setattr(waiting, "in_the_way", lambda busy: True)
    monkeypatch.setattr(waiting, "_LOOK_EVERY_S", 0.001)
    watch = waiting._Watch()
    watch.start()
    assert looks.seen.wait(60)
    watch.stop()


def test_no_crowd_comes_where_there_is_no_room_for_its_threads(monkeypatch) -> None:
    """libgomp would end the process."""
    start, begun = threading.Thread.start, []

    def start_a_few(thread: threading.Thread) -> None:
        if len(begun) == 3:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(waiting, "allowed_processors", lambda: 8)
    monkeypatch.setattr(threading.Thread, "start", start_a_few)
    with pytest.raises(RuntimeError):
        waiting.Crowd("libgomp, which is not called")
    assert len(begun) == 3
    assert not any(thread.is_alive() for thread in begun)


@with_libgomp
def test_the_watch_ends_with_the_program() -> None:
    env = {k: v for k, v in os.environ.items() if k not in ASKED}
    code = (
        "import threading, time, moontune.system.threads.waiting as w\n"
        "w._LOOK_EVERY_S, w.in_the_way = 0.01, lambda busy: True\n"
        "w._computes_with_libgomp = lambda: True\n"
        "w.granted_processors = w.allowed_processors = lambda: 2\n"
        "w.wait_well()\n"
        "import torch\n"
        "until = time.monotonic() + 60\n"
        "while not any(t.name == 'moontune-crowd' for t in threading.enumerate()):\n"
        "    assert time.monotonic() < until\n"
        "    time.sleep(0.01)\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
