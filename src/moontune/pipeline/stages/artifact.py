"""Stage artifact: adapter and processor reloaded in a fresh process, on held-out clips."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, read_manifest, write_manifest
from moontune.errors import UserError
from moontune.pipeline.base_of_run import require_same_weights
from moontune.pipeline.run_dir import RunDir, pinned_revision
from moontune.system.files import read_jsonl, write_json
from moontune.system.launcher import lone_environment
from moontune.system.progress import Ui


def artifact_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    done = artifact_test(run, config)
    ui.note(
        f"fresh process: {done['clips_identical']} of {done['clips_compared']} clips gave "
        "identical token ids"
    )
    return {}


def choose_clips(test: list[Utterance], count: int) -> list[Utterance]:
    """A fixed sample of the test split: evenly spaced, so that it holds several speakers."""
    count = min(count, len(test))
    return [test[(2 * i + 1) * len(test) // (2 * count)] for i in range(count)]


def artifact_test(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """Transcribe held-out clips in a fresh process and compare with the evaluation's token ids."""
    test, _ = read_manifest(run.manifest("test"))
    clips = choose_clips(test, config.eval.artifact_clips)
    write_manifest(run.manifest("artifact"), clips)
    output = run / "artifact_test.json"
    command = [
        *("--model-id", config.model.model_id),
        *("--adapter-dir", str(run.adapter)),
        *("--processor-dir", str(run.processor)),
        *("--audio-list", str(run.manifest("artifact"))),
        *("--output", str(output)),
        *("--device", run.stages()["evaluate"]["device"]["name"]),
        *("--tokens-per-second", str(config.eval.tokens_per_second)),
        *("--token-margin", str(config.eval.token_margin)),
    ]
    revision = pinned_revision(run, config)
    if revision is not None:
        command += ["--revision", revision]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "moontune.cli.run_stt", *command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=lone_environment() | {"PYTHONUTF8": "1"},
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the artifact cannot be used in a fresh process: {last}")
    result = run.read("artifact_test.json")
    expected = {r["id"]: r for r in read_jsonl(run / "predictions_tuned.jsonl")}
    require_same_weights(
        result["base_sha256"],
        run.stages()["evaluate"]["base"]["sha256"],
        "evaluate",
        f"do it again: moontune evaluate {run.path} --overwrite",
    )
    same = 0
    for clip in result["clips"]:
        clip["identical_tokens"] = clip["tokens"] == expected[clip["id"]]["tokens"]
        same += clip["identical_tokens"]
    result |= {
        "command": ["run_stt.py", *command],
        "clips_compared": len(result["clips"]),
        "clips_identical": same,
        "identical_tokens": same == len(result["clips"]),
    }
    write_json(output, result)
    return result
