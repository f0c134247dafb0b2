"""The one root error for users' mistakes, and what the exit codes mean."""

from __future__ import annotations

ACCEPTED = 0
NOT_ACCEPTED = 1
USER_MISTAKE = 2


class UserError(Exception):
    """Something the user can mend; its text is one line that says what is wrong and what to do.

    `problem` is the text without the remedy, where that is given apart: for whoever has another.
    """

    def __init__(self, problem: str, *, remedy: str | None = None) -> None:
        super().__init__(problem if remedy is None else f"{problem}; {remedy}")
        self.problem = problem


def not_installed(error: ImportError, extra: str) -> UserError:
    """What to say where a library of an extra is not there."""
    return UserError(f"{error.name} is not installed; install moontune with its extra: {extra}")
