"""Moonshine's own runtime, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moontune.errors import UserError
from moontune.system.cache import cache_dir, cached_folder

PACKAGE, VERSION = "moonshine-voice", "0.1.5"
_WORKER = Path(__file__).with_name("vendor_worker.py")
_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


@dataclass(frozen=True)
class Heard:
    """What the runtime made of one clip: a line for each stretch between pauses."""

    lines: list[str]
    seconds: float

    @property
    def text(self) -> str:
        return " ".join(line.strip() for line in self.lines if line.strip())


def vendor_python(given: Path | None) -> Path:
    """The interpreter that has the runtime: the given one, or of an environment made for it once.

    Raises UserError if it has not, or the environment cannot be made.
    """
    python = given or _made() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    runtime_version(python)
    return python


def runtime_version(python: Path) -> str:
    """Raises UserError."""
    code = f"import importlib.metadata as m; print(m.version('{PACKAGE}'))"
    done = _run([str(python), "-c", code])
    if done is None or done.returncode != 0:
        raise UserError(f"{python}: has no {PACKAGE}; install it there, or give another python")
    return done.stdout.strip()


def _made() -> Path:
    folder = cache_dir() / f"{PACKAGE}-{VERSION}-python{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        return cached_folder(folder.absolute(), _make)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error}); set MOONTUNE_CACHE") from None


def _make(folder: Path) -> None:
    """An environment with the runtime in an empty folder; it still works when renamed."""
    uv = os.environ.get("UV") or shutil.which("uv")
    python, wanted = str(folder / "bin/python"), f"{PACKAGE}=={VERSION}"
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", python, wanted],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--quiet", wanted],
        ]
    for step in steps:
        done = _run(step, cwd=folder)
        if done is None or done.returncode != 0:
            said = done.stderr.strip().splitlines() if done else []
            raise UserError(
                f"{wanted} cannot be installed ({said[-1] if said else 'no answer'}); give "
                "--vendor-python an interpreter that has it"
            )


def _run(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd, timeout=900
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def vendor_transcripts(
    python: Path,
    folder: Path,
    clips: Sequence[np.ndarray],
    threads: int,
    step: Callable[[int, int], None] | None = None,
) -> list[Heard]:
    """Transcribe clips of float32 mono 16 kHz samples one by one in the vendor's runtime.

    `folder` holds its three files. It gets at most `threads` cores where the system can say so.
    Raises UserError with the runtime's last words if it fails.
    """
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: holds no {missing[0]}; the vendor's runtime needs it")
    with tempfile.TemporaryDirectory(prefix="moontune-vendor-") as scratch:
        files = [str(Path(scratch) / f"{i}.npy") for i in range(len(clips))]
        for file, clip in zip(files, clips, strict=True):
            np.save(file, np.asarray(clip, np.float32))
        listed, output = Path(scratch) / "clips.json", Path(scratch) / "output.json"
        listed.write_text(json.dumps(files), encoding="utf-8")
        command = [str(python), "-P", str(_WORKER), *map(str, (folder, listed, output, threads))]
        with open(Path(scratch) / "log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
            assert process.stdout is not None
            for line in process.stdout:
                if step and line.strip().isdigit():
                    step(int(line), len(clips))
            if process.wait() != 0:
                log.seek(0)
                said = log.read().strip().splitlines() or ["no message"]
                raise UserError(f"the vendor's runtime failed on {folder} ({said[-1]})")
        rows = json.loads(output.read_text(encoding="utf-8"))
    return [Heard(**row) for row in rows]
