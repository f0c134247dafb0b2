"""A data set to review, models that write what they are told, and the page over it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from builders import noise
from running import started
from serve_client import Page

from moontune.data.audio import write_flac
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.review.app import PageText, application
from moontune.review.data_set import DataSet
from moontune.review.desk import Desk, open_desk
from moontune.review.files import ReviewFiles
from moontune.review.listening import Listener
from moontune.review.order import By
from moontune.web.next_training import NextTraining


def until(what: Callable[[], object]) -> None:
    """Wait for something that a thread does."""
    ends = time.monotonic() + 30
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.01)


def write_set(folder: Path, texts: Sequence[str], **more: Any) -> Path:
    """A manifest of clips of noise, clip i of 1 + i / 10 seconds."""
    lines = []
    for i, text in enumerate(texts):
        seconds = 1 + i / 10
        file = folder / f"audio/c{i}.flac"
        if not file.exists():
            write_flac(file, noise(i, seconds))
        row = {
            "audio_filepath": f"audio/c{i}.flac",
            "text": text,
            "duration": seconds,
            "id": f"c{i}",
        }
        lines.append(json.dumps(row | more, ensure_ascii=False))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return manifest


class Told:
    """A listener that writes what it is told, known by the clip's length in tenths of a second."""

    def __init__(self, texts: Sequence[str], name: str = "base", hold: bool = False) -> None:
        self.name, self.key, self.together = name, f"told-{name}", 2
        self._texts = {10 + i: text for i, text in enumerate(texts)}
        self.calls: list[int] = []  # tenths of a second
        self.may = threading.Event()
        if not hold:
            self.may.set()

    def __call__(self, clips: Sequence[np.ndarray]) -> list[str]:
        assert self.may.wait(30)
        tenths = [round(len(clip) / 1600) for clip in clips]
        self.calls += tenths
        return [self._texts.get(length, "part") for length in tenths]

    def end(self) -> None:
        self.may.set()


def data_of(manifest: Path, output: Path | None = None, **more: Any) -> DataSet:
    reviewed = manifest.parent / "reviewed.jsonl" if output is None else output
    return DataSet("mine", ReviewFiles(manifest, reviewed), [], **more)


class Opened:
    """A desk that can be closed, as at the end of a start."""

    def __init__(
        self,
        data: DataSet,
        *listeners: Listener,
        by: By = "suspicious",
        after: RunDir | None = None,
    ) -> None:
        self._held = ExitStack()
        self.told: list[str] = []
        training = NextTraining([data.files.reviewed], after=after)
        self.desk: Desk = self._held.enter_context(
            open_desk(data, data.rows(), by, list(listeners), training, self.told.append)
        )
        self.review = self.desk.review
        self.keys = [clip.key for clip in self.review.clips()]

    def write(self) -> list[dict[str, Any]]:
        """The reviewed manifest's rows, written now."""
        self.desk.writer.write()
        return rows_of(self.desk.writer.files.reviewed)

    def heard(self) -> Opened:
        """Once the models heard all that they can."""
        self.desk.listening.start()
        until(lambda: self._is_heard)
        return self

    @property
    def _is_heard(self) -> bool:
        found = self.desk.listening.progress()
        return found.done == found.clips or found.error != ""

    def close(self) -> None:
        self._held.close()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def served(opened: Opened, models: Sequence[str] = ("base",)) -> Page:
    """The page over a desk, on a port of its own."""
    files = opened.desk.writer.files
    text = PageText("my <set>", str(files.reviewed), models)
    app = application(text, opened.desk, ["127.0.0.1", "localhost"])
    page = Page(started(app), files.reviewed.parent, [])
    page.token = page.ask("GET", "/")[1].split('moontune-token" content="')[1].split('"')[0]
    return page


def asker(page: Page) -> Callable[..., Any]:
    """What a page is answered: `ask("list", key="...")`."""

    def ask(what: str, **given: Any) -> Any:
        asked = {"filter": "all", "search": "", "key": "", "start": "", "text": ""} | given
        status, text, _ = page.ask("POST", f"/review/{what}", json.dumps(asked).encode())
        found = json.loads(text)
        assert status == 200, found
        return found

    return ask
