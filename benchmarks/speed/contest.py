"""Two contenders on the same work: each time a fresh process, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT
from moontune.data.manifest import Utterance, write_manifest

APART = 1e-2  # nats a token, or an update: further is not rounding, not in bfloat16 either
Pair = tuple[dict[str, Any], dict[str, Any]]  # the answers of the peer and of ours in one round


@dataclass(frozen=True)
class Contest:
    """Lets peer and ours do the same work in turns."""

    model: str  # folder of the base
    folder: Path  # for what the contenders read and write
    env: dict[str, str]
    rounds: int
    seed: int

    def run(
        self, task: str, rows: list[Utterance], peer_options: dict, our_options: dict
    ) -> list[Pair]:
        """Let both do their work on the rows, in turns."""
        manifest = self.folder / "rows.jsonl"
        write_manifest(manifest, rows)
        peer = {"train": "peer_trainer", "evaluate": "peer_evaluate"}[task]
        pairs: list[Pair] = []
        for _ in range(self.rounds):
            theirs = self._one(peer, task, manifest, peer_options)
            pairs.append((theirs, self._one("ours", task, manifest, our_options)))
            refuse_other_work(task, *pairs[-1])
        return pairs

    def _one(self, module: str, task: str, manifest: Path, options: dict) -> dict[str, Any]:
        out = self.folder / "answer.json"
        out.unlink(missing_ok=True)
        given = {"task": task, "manifest": manifest, "model-id": self.model, "out": out}
        given |= options | {"seed": self.seed}
        words = [str(word) for k, v in given.items() for word in (f"--{k}", v)]
        python(["-m", f"benchmarks.speed.{module}", *words], self.env)
        return json.loads(out.read_text(encoding="utf-8"))


def refuse_other_work(task: str, peer: dict[str, Any], ours: dict[str, Any]) -> None:
    """Ends this program where the two did not do the same: then no ratio means anything.

    Both adapt as many weights, on as many threads, and the loss of the first update (which is the
    base's in both), or of every clip that is evaluated, is the same but for rounding.
    """
    for fact in ("adapted", "threads"):
        if peer[fact] != ours[fact]:
            raise SystemExit(f"{task}: not the same work: {fact} {peer[fact]} and {ours[fact]}")
    found = list(zip(peer["losses"], ours["losses"], strict=task == "evaluate"))
    counts = ours["targets"] if task == "evaluate" else [1]
    if not found:
        raise SystemExit(f"{task}: no losses were told")
    for (one, other), count in zip(found, counts, strict=False):
        if not abs(one - other) <= APART * count:
            raise SystemExit(f"{task}: not the same work: losses of {one:.4f} and {other:.4f} nats")


def python(words: list[str], env: dict[str, str]) -> str:
    """Output of a process of this Python; its complaint ends this one."""
    return program([sys.executable, *words], env)


def program(words: list[str], env: dict[str, str]) -> str:
    """Output of a process; its complaint ends this one."""
    done = subprocess.run(words, env=env, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words[1:3])} failed:\n{done.stderr.strip()[-3000:]}")
    return done.stdout
