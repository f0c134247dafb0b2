"""The one root error for users' mistakes, and what the exit codes mean."""

ACCEPTED = 0
NOT_ACCEPTED = 1
USER_MISTAKE = 2


class UserError(Exception):
    """Something the user can mend; its text is one line that says what is wrong and what to do."""
