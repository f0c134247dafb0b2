"""The front door: words to values, values to the screen.

In reading order:

    dispatch        The command line: the verbs, and where each of them goes
    run             The verbs that make runs and go on with them: what they parse, in what order
                    they do it
    run_args        Arguments of the verbs that begin a run, a cross-validation or a sweep
    arguments       Flags to dataclasses, and a user's mistakes to one line and an exit code
    console         What the command line draws: a live bar on a terminal, plain lines elsewhere
    run_stt         Entry of scripts/run_stt.py, and of the artifact test's fresh process
    build_manifest  Entry of scripts/build_manifest.py: held-out clips of a source as a manifest
"""

from moontune.cli.dispatch import main as main
