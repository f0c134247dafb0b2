"""Runs programs as two processes of one group, forked from here: no import of torch for each.

A line of input is a job: the program's file and its words. A line of output has the
exit code and what it said on stderr, of each of the two.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import traceback
from typing import Any, NoReturn

from moontune.system.fast_imports import import_transformers

LIMIT_S = 180  # for a hang; a process takes a second


def program(job: dict[str, Any], rank: int, port: int, stderr: int) -> NoReturn:
    """The forked process."""
    os.dup2(stderr, 2)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    signal.alarm(LIMIT_S)
    code = 0
    try:
        sys.argv = [job["program"], *job["words"]]
        runpy.run_path(job["program"], run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def pair(job: dict[str, Any]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile("w+") as one, tempfile.TemporaryFile("w+") as other:
        running = []
        for rank, said in enumerate((one, other)):
            if (child := os.fork()) == 0:
                program(job, rank, port, said.fileno())
            running.append((child, said))
        found = []
        for child, said in running:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            found.append((code, said.read()))
    return found


def main() -> None:
    import_transformers()
    for line in sys.stdin:
        print(json.dumps(pair(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
