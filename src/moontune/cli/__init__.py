"""The front door: words to values, values to the screen.

In reading order:

    dispatch        The command line: the verbs, and where each of them goes
    new_run         Verbs that begin a run or go on with it: run, sample, crossval, final, sweep
    stage_verbs     Verbs of single stages on an existing run: `moontune clean outputs/NAME` and the
                    others
    stages          Stages done under the user's eyes: display, log, and how to go on after what
                    stops them
    run_args        Arguments of the verbs that begin a run, a cross-validation or a sweep
    flags           Flags of a dataclass, a field each; and words of the command line as their
                    values
    flag_help       Help of a verb: its flags in groups, what people use first; the rest on demand
    arguments       Flags to dataclasses, and a user's mistakes to one line and an exit code
    console         The command line's display: a live bar on a terminal, plain lines elsewhere
    run_stt         Entry of scripts/run_stt.py, and of the artifact test's fresh process
    build_manifest  Entry of scripts/build_manifest.py: held-out clips of a source as a manifest
"""

from __future__ import annotations

import codecs
import io
import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Entry of the `moontune` command; returns the exit code, also of Ctrl-C while it is loaded."""
    _make_streams_usable()
    try:
        from moontune.cli import dispatch
    except KeyboardInterrupt:
        print("moontune: interrupted", file=sys.stderr)
        return 130
    return dispatch.main(argv)


def _make_streams_usable() -> None:
    """Streams that a shell has closed (`>&-`) are those of nothing, and what the encoding of a
    terminal or pipe lacks is written as an escape: neither ends what is computed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper) and _lacks_letters(stream):
            stream.reconfigure(errors="backslashreplace")


def _lacks_letters(stream: io.TextIOWrapper) -> bool:
    """Whether what its encoding lacks would be an error. In the C locale names of files that are
    no text are written as they are (`surrogateescape`), but for a letter it has no place either."""
    if stream.errors == "surrogateescape":
        return codecs.lookup(stream.encoding).name != "utf-8"
    return stream.errors == "strict"
