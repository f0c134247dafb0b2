"""The repository's tests that hold on any device and need no recordings, on this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from benchmarks.gpu.common import begin
from benchmarks.paths import ROOT

FOLDERS = ("tests/models", "tests/training", "tests/evaluation")


def main() -> None:
    setting, answer = begin()
    marks = "device and not slow" + ("" if setting.device == "cpu" else " and not cpu")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-m", marks, "-p",
            "no:cacheprovider", *FOLDERS,
        ],
        cwd=ROOT,
        env=os.environ | {"MOONTUNE_TEST_DEVICE": setting.device},
        capture_output=True,
        text=True,
    )  # fmt: skip
    print(done.stdout, done.stderr, sep="\n")
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    last = re.findall(r"^\d+ .*(?:passed|failed|error).*$", done.stdout, re.MULTILINE)
    answer.figures["failed"] = failed
    said = last[-1] if last else f"no test ran: {(done.stderr or done.stdout)[-200:].strip()}"
    listed = f"; {', '.join(failed)}" if failed else ""
    answer.check("tests that hold on any device", done.returncode == 0, said + listed)


if __name__ == "__main__":
    main()
