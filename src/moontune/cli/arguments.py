"""Flags to dataclasses, and a user's mistakes to one line and an exit code."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
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
        if _folder_is_gone():
            outcome.mistake("the folder that this was started in is gone; cd to another one")
            return
        place = f"{error.filename}: " if error.filename else ""
        outcome.mistake(f"{place}{error.strerror}; mend that and try again")
    except KeyboardInterrupt as stop:
        if outcome.group.is_main:
            print(f"moontune: interrupted{printable(str(stop))}", file=sys.stderr)
        outcome.code = 130


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def parse(cls: type[T], argv: Sequence[str], *, prog: str, default: T | None = None) -> T:
    """Parse flags into a dataclass; `default` is an instance whose values are the defaults.

    Help, where it is asked for, is printed and ends the process. Raises UserError with one line for
    what cannot be parsed.
    """
    from moontune.cli.flag_help import HELP_ALL, help_text, usage
    from moontune.cli.flags import built, flags_of, missing

    flags = flags_of(cls, default)
    if asks_help(argv):
        print(help_text(prog, cls.__doc__ or "", flags, everything=HELP_ALL in argv))
        raise SystemExit(ACCEPTED)
    values = given(cls, argv, prog=prog)
    for flag in missing(flags, values):
        what = f": {flag.text[:1].lower()}{flag.text[1:].rstrip('.')}" if flag.text else ""
        raise UserError(f"{flag.form} is missing{what} ({usage(prog, flags)})")
    return built(cls, values, default)


def given(cls: type, argv: Sequence[str], *, prog: str) -> dict[str, Any]:
    """The values of a dataclass's fields that the command line gives. Raises UserError."""
    from moontune.cli.flags import flags_of, read_words

    refuse_secrets(" ".join(argv), "the command line")
    try:
        return read_words(flags_of(cls), argv)
    except UserError as error:
        raise UserError(f"{error} (flags: {prog} --help)") from None


def asks_help(argv: Sequence[str]) -> bool:
    """Whether the words ask for help, and for nothing to be done."""
    return not {"-h", "--help", "--help-all"}.isdisjoint(argv)


def flag_value(argv: Sequence[str], flag: str) -> str | None:
    """The value of a flag that may be none any more. Raises UserError for two."""
    values = [word.partition("=")[2] for word in argv if word.startswith(flag + "=")]
    values += [value for word, value in itertools.pairwise(argv) if word == flag]
    if len(values) > 1:
        raise UserError(f"{flag} is given twice; give it once")
    return values[0] if values else None
