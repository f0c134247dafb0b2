"""Checks of moontune on one device, one after another, each in a process of its own.

    benchmarks/on_gpu.sh --device cuda|mps|cpu [--bundle DIR] [--out DIR]

No network is needed. The packages are those of this Python (torch 2.11 and transformers 5.17 or
newer, peft); a bundle may hold wheels of the small ones it lacks, the model and a few clips.
Without a model the tiny random one is taken, without clips synthetic sound. Prints Markdown, the
table last; every figure is in OUT/on_gpu.json, what each check printed in OUT/NAME.log. The exit
code is 1 if a check failed. Only the standard library is imported here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.bundle import environment, make_model, pack, unpacked

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/models", "tests/training", "tests/evaluation")


@dataclass(frozen=True)
class Check:
    """A check of its own: a module of `benchmarks.gpu`, and the most seconds it may take."""

    name: str
    about: str
    limit_s: float


CHECKS = (
    Check("tests", "the tests that hold on any device", 150),
    Check("numerics", "losses, gradients and transcripts against the CPU's", 120),
    Check("whole_run", "every stage, a kill, other devices, two processes", 240),
    Check("memory", "out of memory is answered by smaller passes", 60),
    Check("contest", "speed against the Trainer", 200),
    Check("profile", "gaps between the kernels of an update", 60),
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/on_gpu.sh", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--device", choices=("cuda", "mps", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, help="folder for figures and logs; a new one if left")
    parser.add_argument("--bundle", type=Path, help="what --pack made, or its folder")
    parser.add_argument("--model", type=Path, help="folder of the base")
    parser.add_argument("--clips", type=Path, help="JSONL manifest of a handful of clips")
    parser.add_argument("--wheels", type=Path, help="folder of wheels that may be lacking here")
    parser.add_argument("--minutes", type=float, help="the most to take; 8, on a CPU 60")
    parser.add_argument("--only", help="checks to make, separated by commas")
    parser.add_argument("--pack", type=Path, help="make a bundle, FILE.zip, and end")
    parser.add_argument("--python", default="3.12", help="the Python that --pack's wheels are for")
    parser.add_argument(
        "--make-model",
        nargs=2,
        type=Path,
        metavar=("SOURCE", "FOLDER"),
        help="write a float16 copy of a model's folder, and end",
    )
    return parser.parse_args()


def run_check(
    check: Check, words: list[str], env: dict[str, str], out: Path, left_s: float
) -> dict:
    """What a check found, and how long it took."""
    found, log = out / f"{check.name}.json", out / f"{check.name}.log"
    found.unlink(missing_ok=True)
    begun = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.gpu.{check.name}", *words, "--out", str(found)]
    failure = ""
    with log.open("wb") as stream:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stdout=stream, stderr=stream, timeout=left_s
            )
            if done.returncode:
                failure = f"ended with exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            failure = f"did not end within {left_s:.0f} s"
    answer = json.loads(found.read_text()) if found.is_file() else {"checks": [], "figures": {}}
    if failure:
        last = log.read_text(errors="replace").strip().split("\n")[-1]
        row = {"name": check.name, "ok": False, "found": f"{failure}: {last[:200]}"}
        answer["checks"].append(row)
    return answer | {"seconds": round(time.monotonic() - begun, 1)}


def main() -> int:
    args = parse()
    if args.make_model:
        make_model(*args.make_model)
        return 0
    if args.pack:
        pack(args.pack, args.model, args.clips, args.python)
        return 0
    asked = args.only.split(",") if args.only else [check.name for check in CHECKS]
    if unknown := set(asked) - {check.name for check in CHECKS}:
        raise SystemExit(f"--only {','.join(unknown)}: give some of {', '.join(CHECKS_BY_NAME)}")
    out = (args.out or Path(tempfile.mkdtemp(prefix="on-gpu-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    bundle = unpacked(args.bundle.resolve(), out) if args.bundle else None
    wheels = args.wheels or (bundle / "wheels" if bundle else None)
    env = environment(ROOT, wheels, out)
    words = ["--device", args.device]
    parts = {"model": args.model, "clips": args.clips}
    if bundle:
        parts["model"] = args.model or bundle / "model"
        parts["clips"] = args.clips or bundle / "clips" / "manifest.jsonl"
    for flag, path in parts.items():
        if path is not None and path.exists():
            words += [f"--{flag}", str(path.resolve())]
        elif path is not None and getattr(args, flag):
            raise SystemExit(f"--{flag} {path}: is not there")
    minutes = args.minutes or (60 if args.device == "cpu" else 8)
    slower = 10 if args.device == "cpu" else 1
    end = time.monotonic() + 60 * minutes
    machine = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.machine", args.device],
        cwd=ROOT, env=env, capture_output=True, text=True,
    )  # fmt: skip
    if machine.returncode:
        raise SystemExit(machine.stderr.strip().split("\n")[-1])
    answers = {"machine": json.loads(machine.stdout)}
    print(f"{answers['machine']['sentence']}\n", flush=True)
    for check in (check for check in CHECKS if check.name in asked):
        print(f"{check.name}: {check.about} ...", flush=True)
        left = min(slower * check.limit_s, end - time.monotonic())
        answers[check.name] = run_check(check, words, env, out, max(1.0, left))
        (out / "on_gpu.json").write_text(json.dumps(answers, indent=2) + "\n")
    print(f"\nfigures and logs: {out}\n\n{table(answers)}")
    found = [row for name in asked for row in answers[name]["checks"]]
    return int(not all(row["ok"] for row in found if row["ok"] is not None))


CHECKS_BY_NAME = {check.name: check for check in CHECKS}


def table(answers: dict) -> str:
    """Every check with what it found; None stands for one that could not be made here."""
    states = {True: "yes", False: "**NO**", None: "-"}
    lines = ["| check | holds | found | s |", "|---|---|---|---|"]
    for name in (check.name for check in CHECKS if check.name in answers):
        seconds = f"{answers[name]['seconds']:.0f}"
        for row in answers[name]["checks"]:
            lines.append(f"| {row['name']} | {states[row['ok']]} | {row['found']} | {seconds} |")
            seconds = ""
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
