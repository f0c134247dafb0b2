"""The files that a review leaves, always those of its last decision.

    reviewed.jsonl           the rows for the next run
    reviewed.left_out.jsonl  those that were dropped, with the reason
    review.jsonl             the journal
    review.heard.jsonl       what models heard, to be quick at the next start

The manifest and its audio are only read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from moontune.data.manifest import to_row
from moontune.errors import UserError
from moontune.pipeline.earlier_run import left_out_beside
from moontune.review.clips import Clip, moved_line, written_line
from moontune.review.review import Review
from moontune.system.files import check_output, json_line, real_path, write_bytes

REVIEWED = "reviewed.jsonl"
_AT_MOST_EVERY_S = 0.3


@dataclass(frozen=True)
class ReviewFiles:
    """Places of what a review writes."""

    manifest: Path  # which is only read
    reviewed: Path

    @property
    def journal(self) -> Path:
        return self._beside("review.jsonl")

    @property
    def heard(self) -> Path:
        return self._beside("review.heard.jsonl")

    @property
    def left_out(self) -> Path:
        return left_out_beside(self.reviewed)

    def _beside(self, name: str) -> Path:
        """`review.jsonl`; `mine.review.jsonl` beside an output of the name `mine.jsonl`."""
        own = self.reviewed.name == REVIEWED
        return self.reviewed.with_name(name if own else f"{self.reviewed.stem}.{name}")

    @property
    def moved_from(self) -> Path | None:
        """The folder that the manifest's paths start at, where the reviewed one's do not."""
        folder = real_path(self.manifest).parent
        return None if real_path(self.reviewed).parent == folder else folder

    @property
    def mode(self) -> int:
        """Who may read them: those who may read the manifest."""
        return self.manifest.stat().st_mode & 0o666 | 0o600

    def check(self) -> None:
        """Raises UserError where something would be written over."""
        if self.reviewed.suffix != ".jsonl":
            raise UserError(f"--output {self.reviewed}: name a file that ends in .jsonl")
        if real_path(self.manifest) == real_path(self.reviewed):
            raise UserError(
                f"{self.manifest}: is what a review writes; give the manifest that it is of, or "
                "--output with another file"
            )
        check_output(self.reviewed, "--output", [self.manifest])
        if real_path(self.manifest) in map(real_path, (self.journal, self.heard, self.left_out)):
            raise UserError(f"{self.manifest}: is a file of a review; give the manifest it is of")
        if self.reviewed.exists() and not self.journal.exists():
            raise UserError(
                f"{self.reviewed}: is there, and no review wrote it; give another --output"
            )


def reviewed_lines(review: Review, files: ReviewFiles) -> Iterator[bytes]:
    """Rows of the reviewed manifest, in the order of the manifest."""
    folder = files.moved_from
    for row in review.rows:
        if row.clip is None:
            yield row.line if folder is None else moved_line(row.line, folder)
            continue
        for clip in review.leaves(row.clip.key):
            decision = review.decision(clip.key)
            if decision is None:
                untouched = clip is row.clip and folder is None
                yield row.line if untouched else _line(clip, None, False, folder)
            elif decision.action != "drop":
                yield _line(clip, decision.text, decision.is_review, folder)


def _line(clip: Clip, text: str | None, reviewed: bool, folder: Path | None) -> bytes:
    return written_line(clip, text, reviewed=reviewed, folder=folder)


def left_out_lines(review: Review, files: ReviewFiles) -> Iterator[bytes]:
    """A row for each clip that was dropped: the manifest, the row's number, the reason, and its
    audio, so that a run which comes after another does not take it from there."""
    for clip in review.clips():
        decision = review.decision(clip.key)
        if decision is not None and decision.action == "drop":
            row = to_row(replace(clip.utterance, text=review.text(clip.key), target=None))
            place = {"file": str(files.manifest), "row": clip.number}
            yield json_line(place | row | {"reason": decision.reason or "dropped"})


class Writer:
    """Writes the reviewed manifest after decisions, in the background and at the end."""

    def __init__(self, review: Review, files: ReviewFiles) -> None:
        self._review, self.files = review, files
        self._mode = files.mode  # of now: the manifest may be moved meanwhile
        self._writing = threading.Lock()
        self._wanted, self._ending = threading.Event(), threading.Event()
        self._unwritten = False
        self.error = ""  # why the last writing failed
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        if self._review.steps:
            self.want()
        self._thread.start()

    def want(self) -> None:
        """Something was decided."""
        self._unwritten = True
        self._wanted.set()

    def end(self) -> None:
        """Write what is still to be written, and end; `error` says where that failed."""
        self._ending.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        ending = False
        while not ending:
            self._wanted.wait()
            self._wanted.clear()
            ending = self._ending.is_set()
            if self._unwritten:
                self._unwritten = False
                try:
                    self.write()
                except Exception as error:  # the page says so, and the next decision tries again
                    self.error = f"{self.files.reviewed}: cannot be written ({error!r:.200})"
            self._ending.wait(_AT_MOST_EVERY_S)

    def write(self) -> None:
        """Both files, whole; `error` says where they could not be."""
        with self._writing:
            self._write(self.files)

    def _write(self, files: ReviewFiles) -> None:
        with self._review.lock:
            rows = list(reviewed_lines(self._review, files))
            dropped = list(left_out_lines(self._review, files))
        try:
            for path, lines in ((files.reviewed, rows), (files.left_out, dropped)):
                if lines or path is files.reviewed or path.exists():
                    write_bytes(path, b"".join(x + b"\n" for x in lines), self._mode)
            self.error = ""
        except OSError as error:
            self.error = (
                f"{files.reviewed}: cannot be written ({error.strerror}); decisions are safe in "
                f"{files.journal.name}"
            )
