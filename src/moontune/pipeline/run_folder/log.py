"""A run's log: what was said, and when."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moontune.errors import UserError
from moontune.system.redaction import redacted

NAME = "log.txt"


class RunLog:
    """Adds lines to the log in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self._file = Path(folder) / NAME

    def __call__(self, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        with open(self._file, "a", encoding="utf-8", errors="replace") as stream:
            stream.writelines(f"{now} {line}\n" for line in redacted(text).splitlines() or [""])

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Says how the block ended where it did not come to its end; what it raised goes on."""
        try:
            yield
        except KeyboardInterrupt:
            self._try("interrupted")
            raise
        except UserError as error:
            self._try(f"error: {error}")
            raise
        except BaseException:
            self._try(traceback.format_exc())
            raise

    def _try(self, text: str) -> None:
        try:
            self(text)
        except OSError:  # the disk may be what failed
            return
