"""Entry of scripts/run_stt.py, and of the artifact test's fresh process."""

from __future__ import annotations

import sys

from moontune.cli.arguments import parse, user_errors_as_exit_code
from moontune.evaluation.clip_list import SttArgs, run_stt
from moontune.evaluation.error_rates import leading_rate
from moontune.languages.table import language_named
from moontune.system.formatting import printable
from moontune.system.threads.waiting import wait_well


def main(argv: list[str] | None = None) -> int:
    """Entry of scripts/run_stt.py."""
    wait_well()
    with user_errors_as_exit_code() as outcome:
        args = parse(SttArgs, sys.argv[1:] if argv is None else argv, prog="run_stt.py")
        result = run_stt(args)
        for row in result["clips"]:
            print(printable(f"{row['id']}: {row['transcript']}"))
        if (rate := leading_rate(result)) is not None:
            label = language_named(result["language"]).rate_label
            print(f"{label} {100 * rate:.2f} % ({result['normalizer']})")
        if result["note"]:
            print(printable(f"note: {result['note']}"), file=sys.stderr)
        print(f"written: {args.output}")
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
