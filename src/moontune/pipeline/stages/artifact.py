"""Stage artifact: adapter and processor reloaded in a fresh process, on held-out clips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, write_manifest
from moontune.errors import UserError
from moontune.languages.table import ENGLISH, current
from moontune.pipeline.base_of_run import require_same_weights
from moontune.pipeline.run_folder.opening import pinned_revision
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import lone_environment
from moontune.system.files import write_json
from moontune.system.progress import Ui
from moontune.system.threads.processors import THREADS_ASKED


def artifact_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    clips: str = "test",
    expected: str = "predictions_tuned.jsonl",
) -> dict[str, Any]:
    """Transcribe held-out clips in a fresh process, and write artifact_test.json: whether their
    token ids are those of the evaluation.

    `clips`: the manifest to choose from. `expected`: the file of `id` and `tokens` by the adapter
    as it was loaded here.
    """
    test = run.utterances(clips)
    if not test:
        raise UserError(
            f"{run.manifest(clips)}: is empty; {run.remedy(f'manifests/{clips}.jsonl')}"
        )
    write_manifest(run.manifest("artifact"), choose_clips(test, config.eval.artifact_clips))
    output = run / "artifact_test.json"
    arguments = _arguments(run, config, output)
    _run_stt(arguments, run.threads)
    test_row = run.read(output.name) | {"command": ["run_stt.py", *arguments]}
    _compare(run, test_row, expected)
    write_json(output, test_row)
    ui.note(
        f"fresh process: {test_row['clips_identical']} of {test_row['clips_compared']} clips gave "
        "identical token ids"
    )
    return {}


def choose_clips(test: list[Utterance], count: int) -> list[Utterance]:
    """A fixed sample of the test split: evenly spaced, so that it holds several speakers."""
    count = min(count, len(test))
    return [test[(2 * i + 1) * len(test) // (2 * count)] for i in range(count)]


def _arguments(run: RunDir, config: RunConfig, output: Path) -> list[str]:
    """Arguments of scripts/run_stt.py, by which anybody can do the test again."""
    arguments = [
        *("--model-id", config.model.model_id),
        *("--adapter-dir", str(run.adapter)),
        *("--processor-dir", str(run.processor)),
        *("--audio-list", str(run.manifest("artifact"))),
        *("--output", str(output)),
        *("--device", run.stages()["evaluate"]["device"]["name"]),
        *("--tokens-per-second", str(config.eval.token_cap.per_second)),
        *("--token-margin", str(config.eval.token_margin)),
    ]
    if current() != ENGLISH:
        arguments += ["--language", current().code]
    revision = pinned_revision(run, config)
    return arguments if revision is None else [*arguments, "--revision", revision]


def _run_stt(arguments: list[str], threads: int | None) -> None:
    environment = lone_environment() | {"PYTHONUTF8": "1"}
    if threads is not None and not any(name in environment for name in THREADS_ASKED):
        environment["OMP_NUM_THREADS"] = str(threads)  # last bits depend on it
    process = subprocess.run(
        [sys.executable, "-P", "-m", "moontune.cli.run_stt", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        check=False,
    )
    if process.returncode != 0:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the artifact cannot be used in a fresh process: {last}")


def _compare(run: RunDir, test_row: dict[str, Any], file: str) -> None:
    """Add to the test's row which clips have the evaluation's token ids."""
    require_same_weights(
        test_row["base_sha256"],
        run.stages()["evaluate"]["base"]["sha256"],
        "evaluate",
        f"do it again: moontune evaluate {run.path} --overwrite",
    )
    expected = {row["id"]: row["tokens"] for row in run.rows(file)}
    for clip in test_row["clips"]:
        clip["identical_tokens"] = clip["tokens"] == expected[clip["id"]]
    identical = sum(clip["identical_tokens"] for clip in test_row["clips"])
    test_row |= {
        "clips_compared": len(test_row["clips"]),
        "clips_identical": identical,
        "identical_tokens": identical == len(test_row["clips"]),
    }
