"""Moonshine's own runtime, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moontune.errors import UserError
from moontune.languages.table import LATIN_RATE, current
from moontune.languages.words import joined_words
from moontune.system.cache import build_once, cache_dir
from moontune.system.formatting import why

PACKAGE, VERSION = "moonshine-voice", "0.1.5"
_WORKER = Path(__file__).with_name("vendor_worker.py")
TINY = "TINY"
_ARCHITECTURES = {(6, 288): TINY, (8, 416): "BASE"}  # by the decoder's layers and width
_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


@dataclass(frozen=True)
class VendorTranscript:
    """The runtime's transcript of one clip: a line for each part between pauses."""

    lines: list[str]
    seconds: float

    @property
    def text(self) -> str:
        return joined_words(line.strip() for line in self.lines if line.strip())


class VendorRuntime:
    """The vendor's runtime in another interpreter, on at most `threads` cores where the system
    can say so."""

    def __init__(self, python: Path, threads: int) -> None:
        """Raises UserError if the interpreter has no such package."""
        self.version = _version(python)
        self._python, self._threads = python, threads

    def transcribe(
        self, folder: Path, clips: Sequence[np.ndarray], architecture: str = TINY
    ) -> Iterator[VendorTranscript]:
        """Transcripts of clips of float32 mono 16 kHz samples, (samples,) each, as they come.

        `folder` holds the runtime's three files, of a model of the `architecture` that it knows by
        this name. Raises UserError with its last words if it fails.
        """
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder}: holds no {missing[0]}; the vendor's runtime needs it")
        with tempfile.TemporaryDirectory(prefix="moontune-vendor-") as scratch:
            files = [str(Path(scratch) / f"{i}.npy") for i in range(len(clips))]
            for file, clip in zip(files, clips, strict=True):
                np.save(file, np.asarray(clip, np.float32))
            listed, output = Path(scratch) / "clips.json", Path(scratch) / "output.jsonl"
            listed.write_text(json.dumps(files), encoding="utf-8")
            output.touch()
            own = (
                () if current().tokens_per_second == LATIN_RATE else (current().tokens_per_second,)
            )
            places = (_WORKER, folder, architecture, listed, output)
            arguments = map(str, (*places, self._threads, *own))
            with (
                open(Path(scratch) / "log", "w+", encoding="utf-8") as log,
                output.open(encoding="utf-8") as rows,
                subprocess.Popen(
                    [str(self._python), "-P", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                ) as process,
            ):
                try:
                    assert process.stdout is not None
                    for line in process.stdout:
                        if line.strip().isdigit():  # the number of a clip, its row is written
                            yield VendorTranscript(**json.loads(rows.readline()))
                    code = process.wait()
                finally:
                    process.kill()
                if code != 0:
                    log.seek(0)
                    last = (log.read().strip().splitlines() or ["no message"])[-1]
                    raise UserError(f"the vendor's runtime failed on {folder} ({last})")


def runtime_architecture(config: Any) -> str:
    """What the runtime calls a model of this `transformers` configuration: it must be told."""
    layers = getattr(config, "decoder_num_hidden_layers", 0)
    return _ARCHITECTURES.get((layers, config.hidden_size), TINY)


def installed_runtime(threads: int) -> VendorRuntime:
    """The runtime in an environment that is made for it once. Raises UserError if it cannot be."""
    environment = _environment()
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return VendorRuntime(python, threads)


def _version(python: Path) -> str:
    code = f"import importlib.metadata as m; print(m.version('{PACKAGE}'))"
    process = _run([str(python), "-c", code])
    if process is None or process.returncode != 0:
        raise UserError(f"{python}: has no {PACKAGE}; install it there, or give another python")
    return process.stdout.strip()


def _environment() -> Path:
    folder = cache_dir() / f"{PACKAGE}-{VERSION}-python{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        return build_once(folder.absolute(), _make)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({why(error)}); set MOONTUNE_CACHE") from None


def _make(folder: Path) -> None:
    """An environment with the runtime in an empty folder; it still works when renamed."""
    uv = os.environ.get("UV") or shutil.which("uv")
    python, package = str(folder / "bin/python"), f"{PACKAGE}=={VERSION}"
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", python, package],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--quiet", package],
        ]
    for step in steps:
        process = _run(step, cwd=folder)
        if process is None or process.returncode != 0:
            lines = process.stderr.strip().splitlines() if process else []
            raise UserError(
                f"{package} cannot be installed ({lines[-1] if lines else 'no answer'}); give "
                "--vendor-python an interpreter that has it"
            )


def _run(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd, timeout=900
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
