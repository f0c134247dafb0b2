"""Flags to dataclasses, and a user's mistakes to one line and an exit code."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from moontune.errors import ACCEPTED, USER_MISTAKE, UserError
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.formatting import printable
from moontune.system.redaction import redacted, refuse_secrets

T = TypeVar("T")


@dataclass
class Outcome:
    code: int = ACCEPTED
    group: ProcessGroup = SINGLE

    def mistake(self, text: str) -> None:
        self.code = USER_MISTAKE
        if self.group.first_to_fail():
            print(f"moontune: {printable(redacted(text))}", file=sys.stderr)


@contextlib.contextmanager
def user_errors_as_exit_code() -> Iterator[Outcome]:
    """Turn a user's mistake into one line on stderr and exit code 2; Ctrl-C into 130."""
    outcome = Outcome()
    try:
        yield outcome
    except UserError as error:
        outcome.mistake(str(error))
    except BrokenPipeError:  # `moontune run --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.code = 141
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        outcome.mistake(f"{place}{error.strerror}; mend that and try again")
    except KeyboardInterrupt as stop:
        if outcome.group.is_main:
            print(f"moontune: interrupted{printable(str(stop))}", file=sys.stderr)
        outcome.code = 130


def parse(cls: type[T], argv: list[str], *, prog: str, default: T | None = None) -> T:
    """Parse flags into a dataclass. Raises UserError with one line for what cannot be parsed."""
    import tyro

    refuse_secrets(" ".join(argv), "the command line")
    complaint = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(cls, args=argv, prog=prog, **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(f"{_one_line(complaint.getvalue())} (flags: {prog} --help)") from None


def _one_line(box: str) -> str:
    """The message in tyro's box, and the flags it suggests, as one line."""
    lines = [line.strip("│╭╮╰╯─ \t") for line in box.splitlines()]
    body = [line for line in lines[1:] if line and "helptext" not in line]
    text = " ".join(body) or " ".join(filter(None, lines)) or "the flags cannot be parsed"
    return text.removeprefix("Error parsing ").strip()


def flag_value(argv: list[str], flag: str) -> str | None:
    """The value of a flag before the whole line is parsed. Raises UserError for two."""
    values = [word.partition("=")[2] for word in argv if word.startswith(flag + "=")]
    values += [value for word, value in itertools.pairwise(argv) if word == flag]
    if len(values) > 1:
        raise UserError(f"{flag} is given twice; give it once")
    return values[0] if values else None
