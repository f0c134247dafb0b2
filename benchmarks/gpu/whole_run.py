"""A run through every stage on a device; stopped and killed ones gone on with; its adapter on a
CPU; the same in two processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.common import Answer, Setting, begin
from benchmarks.gpu.numerics import is_tie
from moontune.data.manifest import read_run_manifest
from moontune.evaluation.predictions import run_predictions
from moontune.models.base_model import load_base
from moontune.models.transcriber import load_audio
from moontune.system.files import read_jsonl

UPDATES = 12
LOSSES = 0.02  # nats that validation losses of the same training may differ by, in bfloat16 too


class Runs:
    """Runs of the same settings in one folder."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        settings = {
            "manifest": setting.manifest,
            "model-id": setting.model,
            "device": setting.device,
            "general": "off",
            "max-steps": UPDATES,
            "eval-every-steps": 4,
            "warmup-steps": 1,
            "lr": 5e-4,
        }
        self._flags = [str(word) for k, v in settings.items() for word in (f"--{k}", v)]

    def command(self, name: str, *more: str, stop: int = 0) -> list[str]:
        """Of a run, to which the signal `stop` is sent in the middle of training."""
        words = ["-m", "benchmarks.gpu.moontune_stopped", str(int(stop)), str(UPDATES // 2), "run"]
        return [sys.executable, *words, *self._flags, "--run-name", name, *more]

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        log = (self.folder / "log.txt").open("ab")
        return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

    def finish(self, command: Sequence[str]) -> int:
        code = self.start(command).wait()
        if code not in (0, 1):  # 1: not accepted, which a dozen updates may be
            text = (self.folder / "log.txt").read_text(errors="replace")
            print(text[-3000:])
        return code

    def path(self, name: str) -> Path:
        return self.folder / "outputs" / name

    def read(self, name: str, file: str) -> Any:
        return json.loads((self.path(name) / file).read_text(encoding="utf-8"))

    def curve(self, name: str) -> list[float]:
        """The validation losses."""
        log = read_jsonl(self.path(name) / "train_log.jsonl")
        return [e["val_loss"] for e in log if e["event"] == "validation"]

    def tokens(self, name: str) -> list[list[int]]:
        """Token ids of the tuned model on the test split."""
        rows = run_predictions(self.path(name) / "predictions_tuned.jsonl")
        return [row.get("tokens", []) for row in rows]


def compared(runs: Runs, right: str, name: str) -> tuple[bool, str]:
    """A run that must be another one again, to rounding."""
    one, other = runs.curve(right), runs.curve(name)
    if len(one) != len(other):
        return False, f"{len(other)} validations, not {len(one)}"
    apart = max(abs(a - b) for a, b in zip(one, other, strict=True))
    pairs = zip(runs.tokens(right), runs.tokens(name), strict=True)
    unlike = sum(a != b for a, b in pairs)
    return apart <= LOSSES, (
        f"validation losses {apart:.1e} nats apart (at most {LOSSES:g}), "
        f"{unlike} of {len(runs.tokens(name))} transcripts differ"
    )


def check_stages(runs: Runs, answer: Answer, device: str) -> bool:
    code = runs.finish(runs.command("whole"))
    if code not in (0, 1) or not (runs.path("whole") / "metrics.json").is_file():
        answer.check("a run through every stage", False, f"exit code {code}")
        return False
    metrics = runs.read("whole", "metrics.json")
    training, artifact = metrics["training"], metrics["artifact"]
    learnt = training["best_val_loss"] < training["first_val_loss"]
    on = metrics["device"]["name"]
    stages = runs.read("whole", "run.json")["stages"]
    answer.figures["stages_s"] = {name: row["seconds"] for name, row in stages.items()}
    answer.check(
        "a run through every stage",
        learnt and on == device and runs.read("whole", "run.json")["complete"],
        f"on {on}, validation loss {training['first_val_loss']:.3f} -> "
        f"{training['best_val_loss']:.3f} in {UPDATES} updates",
    )
    same = artifact["identical_tokens"]
    answer.check("a fresh process writes the same words", same, "the artifact test")
    return True


def check_stopped(runs: Runs, answer: Answer) -> None:
    """Killed, and interrupted once, in the middle of training; each gone on with."""
    for name, kind, what in (
        ("killed", signal.SIGKILL, "killed in training, --resume"),
        ("stopped", signal.SIGINT, "interrupted in training, --resume"),
    ):
        runs.start(runs.command(name, stop=kind)).wait()
        state = runs.path(name)
        left = list(state.glob("checkpoint*"))
        code = runs.finish([*runs.command(name), "--resume"])
        if code not in (0, 1):
            answer.check(what, False, f"exit code {code}")
            continue
        ok, found = compared(runs, "whole", name)
        updates = _updates(state / "train_log.jsonl")
        answer.check(
            what, ok and bool(left) and updates == UPDATES, f"{found}; {updates} updates logged"
        )


def _updates(log: Path) -> int:
    if not log.is_file():
        return 0
    return log.read_bytes().count(b'"event": "update"')


def check_on_cpu(runs: Runs, answer: Answer) -> None:
    """The run's adapter and processor, evaluated on a CPU."""
    run = runs.path("whole")
    words = [sys.executable, "-m", "moontune", "evaluate", str(runs.path("on-cpu"))]
    shutil.copytree(run, runs.path("on-cpu"))
    code = runs.finish([*words, "--device", "cpu", "--overwrite"])
    if code:
        answer.check("its adapter on a CPU", False, f"exit code {code}")
        return
    base = load_base(
        runs.read("whole", "run.json")["stages"]["evaluate"]["base"]["asked"], None, "cpu"
    )
    from moontune.models.adapter import load_adapter

    load_adapter(base, run / "lora_adapter")
    clips = read_run_manifest(run / "manifests" / "test.jsonl")
    pairs = list(zip(clips, runs.tokens("whole"), runs.tokens("on-cpu"), strict=True))
    other = [p for p in pairs if p[1] != p[2] and not is_tie(base, load_audio(p[0]), p[1], p[2])]
    found = f"{len(other)} of {len(pairs)} test transcripts differ"
    answer.check("its adapter on a CPU", not other, found)


def check_processes(runs: Runs, answer: Answer, device: str) -> None:
    """Two processes, on a GPU each where there are two, against one; without dropout, which each
    process draws for itself."""
    plain = ("--lora-dropout", "0", "--token-dropout", "0")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    runs.finish(runs.command("alone", *plain))
    code = runs.finish([sys.executable, *launch, *runs.command("two", *plain)])
    several = device == "cuda" and torch.cuda.device_count() > 1
    where = "on a GPU each" if several else f"on one {device}"
    name = f"two processes {where}"
    if code not in (0, 1):
        answer.check(name, False, f"exit code {code}")
        return
    ok, found = compared(runs, "alone", "two")
    answer.check(name, ok, found)


def main() -> None:
    setting, answer = begin()
    runs = Runs(setting, answer.out.parent / "runs")
    if check_stages(runs, answer, setting.device):
        check_stopped(runs, answer)
        check_on_cpu(runs, answer)
        check_processes(runs, answer, setting.device)


if __name__ == "__main__":
    main()
