"""How long moontune takes to answer, to make its first update, and to validate."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from moontune.config.recommended import DataSummary, recommend
from moontune.config.schema import RunConfig

MOONTUNE = (sys.executable, "-m", "moontune")
STAGES_BEFORE = ("clean", "split", "labels", "baseline")


@dataclass(frozen=True)
class Startup:
    """Seconds, medians."""

    help_s: float
    first_update_s: float  # from launching `moontune train` to its first update in the log
    update_s: float
    validation_s: float  # of one pass over the validation split
    clips: int  # to train on

    @property
    def validation_share(self) -> float:
        """Share of a training run with default settings that goes into validation."""
        config = recommend(RunConfig(), DataSummary(self.clips, None))[0].train
        passes = 1 + config.updates // config.validation_every
        validating = passes * self.validation_s
        return validating / (validating + config.updates * self.update_s)


def startup(
    manifest: Path, model_id: str, folder: Path, env: dict[str, str], rounds: int, updates: int
) -> Startup:
    """Prepare a run of the whole manifest in `folder`, then launch its training `rounds` times.

    Another is left to make `updates` updates, with a validation before and after.
    """
    helps = []
    for _ in range(5):
        begun = time.perf_counter()
        _moontune(["--help"], env)
        helps.append(time.perf_counter() - begun)
    run = _prepared(manifest, model_id, folder, env)
    firsts = [_train(run, updates, env, finish=False) for _ in range(rounds)]
    _train(run, updates, env, finish=True)
    done = json.loads((run / "train.json").read_text(encoding="utf-8"))
    return Startup(
        help_s=median(helps),
        first_update_s=median(firsts),
        update_s=(done["seconds"] - done["seconds_validating"]) / done["steps"],
        validation_s=done["seconds_validating"] / 2,
        clips=json.loads((run / "split.json").read_text())["shares"]["train"]["utterances"],
    )


def _moontune(arguments: list[str], env: dict[str, str]) -> None:
    done = subprocess.run([*MOONTUNE, *arguments], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"moontune {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")


def _prepared(manifest: Path, model_id: str, folder: Path, env: dict[str, str]) -> Path:
    """A run that is ready to train."""
    run = folder / "startup"
    given = {
        "--manifest": manifest.resolve(),
        "--model-id": model_id,
        "--output-dir": folder,
        "--run-name": run.name,
        "--report-file": folder / "report.md",
        "--general": "off",
        "--device": "cpu",
    }
    _moontune(["sample", *(str(word) for pair in given.items() for word in pair)], env)
    for stage in STAGES_BEFORE:
        _moontune([stage, str(run)], env)
    return run


def _train(run: Path, updates: int, env: dict[str, str], *, finish: bool) -> float:
    """Seconds until the first update stands in the log; the training, by the run's own settings, is
    then ended, or that of so many updates awaited."""
    log = run / "train_log.jsonl"
    log.unlink(missing_ok=True)
    steps = ["--max-steps", str(updates), "--eval-every-steps", str(updates)] if finish else []
    begun = time.perf_counter()
    with subprocess.Popen(
        [*MOONTUNE, "train", str(run), *steps, "--overwrite"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (log.is_file() and '"update"' in log.read_text(encoding="utf-8")):
            if process.poll() is not None:
                raise SystemExit(f"moontune train {run}: ended without an update")
            time.sleep(0.01)
        first = time.perf_counter() - begun
        if not finish:
            process.terminate()
        code = process.wait()
    if finish and code:
        raise SystemExit(f"moontune train {run}: exit code {code}")
    return first
