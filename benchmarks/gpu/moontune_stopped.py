"""moontune with the state of its training written after every update, and a signal at one of them.

    python -m benchmarks.gpu.moontune_stopped SIGNAL UPDATE run --manifest ...

SIGNAL 0 sends none.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from moontune.cli import stages
from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.training import checkpoint


class StoppedUi(ConsoleUi):
    """Sends this process the signal once the update is told of, before its state is written."""

    number = update = 0

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        super().training(event, max_steps)
        if self.number and event["event"] == "update" and event["step"] == self.update:
            os.kill(os.getpid(), self.number)


if __name__ == "__main__":
    StoppedUi.number, StoppedUi.update = int(sys.argv[1]), int(sys.argv[2])
    checkpoint.SHARE = 1e9
    stages.ConsoleUi = StoppedUi  # type: ignore[misc]
    sys.exit(main(sys.argv[3:]))
