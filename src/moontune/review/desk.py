"""All that a review's page works with, opened from its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moontune.pipeline.run_folder.lock import one_at_a_time
from moontune.review.clips import Row, clips_of
from moontune.review.data_set import DataSet
from moontune.review.files import Writer
from moontune.review.journal import Journal
from moontune.review.listening import Listener, Listening, Remembered
from moontune.review.order import By, Order
from moontune.review.review import Review
from moontune.system.files import real_path
from moontune.system.formatting import agreeing, counted
from moontune.web.next_training import NextTraining

_SUSPECTED = 1.0  # more than any other suspicion


@dataclass(frozen=True)
class Desk:
    """All that a review's page works with."""

    review: Review
    order: Order
    listening: Listening
    writer: Writer
    suspects: frozenset[str]  # keys of clips that a run's screening suspects
    training: NextTraining  # on what is written


@contextmanager
def open_desk(
    data: DataSet,
    rows: list[Row],
    by: By,
    listeners: list[Listener],
    training: NextTraining,
    tell: Callable[[str], None],
) -> Iterator[Desk]:
    """The review of a data set, which nobody else goes on with meanwhile.

    `rows` are what it has read of its manifest. `tell` gets remarks on what cannot be read or
    does not fit any more. Raises UserError.
    """
    files = data.files
    files.reviewed.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(files.journal, "go on there, or give another --output"):
        journal = Journal(files.journal, files.manifest, files.mode)
        review = Review(rows, journal, real_path(files.manifest).parent)
        for line in _remarks(review, journal):
            tell(line)
        remembered = Remembered(files.heard, files.mode)
        listening = Listening(listeners, review.clips, remembered, data.transcripts)
        suspects = frozenset(c.key for c in clips_of(rows) if c.utterance.id in data.suspects)

        def suspicion_of(key: str) -> float | None:
            found = listening.suspicion.get(key)
            return (found or 0.0) + _SUSPECTED if key in suspects else found

        order, writer = Order(review, by, suspicion_of), Writer(review, files)
        yield Desk(review, order, listening, writer, suspects, training)
        journal.close()


def _remarks(review: Review, journal: Journal) -> Iterator[str]:
    broken = sum(row.clip is None for row in review.rows)
    if broken:
        yield (
            f"remark: {counted(broken, 'row')} of the manifest cannot be used; "
            f"{agreeing(broken, 'it stays as it is', 'they stay as they are')}, and "
            f"{agreeing(broken, 'is', 'are')} not shown"
        )
    if review.strangers:
        count = len(review.strangers)
        yield (
            f"remark: the manifest changed: {counted(count, 'row')} that "
            f"{agreeing(count, 'was', 'were')} decided on {agreeing(count, 'is', 'are')} not in it "
            f"any more; those decisions stay in {journal.file.name} and are not applied"
        )
    if journal.unreadable:
        lines = counted(journal.unreadable, "line")
        yield f"remark: {lines} of {journal.file} cannot be read, and count as never written"
