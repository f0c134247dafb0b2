"""`moontune serve`: a run's base and tuned model on a page of this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import tyro

from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir, pinned_revision, single_run
from moontune.system.formatting import printable

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from moontune.serve.app import Heard
    from moontune.transcribe.recognizer import Recognizer


@dataclass(frozen=True)
class ServeArgs:
    """Open a page on this machine: speak or drop a file, see what base and tuned model write, mend
    the text and keep it for the next run. Nothing leaves the machine."""

    run: tyro.conf.Positional[Path]
    """The run's folder, outputs/NAME."""
    keep: Path = Path("kept")
    """Folder that corrected clips are kept in; KEEP/manifest.jsonl is for the next run."""
    host: str = "127.0.0.1"
    """Address to listen on; others than this machine's own let the network in."""
    port: int = 8766
    """Port to listen on; 0: any that is free."""
    open_page: bool = True
    """Open the page in your browser."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """Where to compute."""
    max_seconds: float = 300.0
    """Longer recordings are refused."""
    max_megabytes: int = 50
    """Larger files are refused."""


def serve(args: ServeArgs, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. Raises UserError."""
    try:
        from moontune.serve.app import Limits, application
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed; install moontune with its extra: moontune[serve]"
        ) from None
    from moontune.serve.corrected_clips import Kept

    if args.max_seconds <= 0 or args.max_megabytes <= 0:
        raise UserError("--max-seconds and --max-megabytes must be above 0")
    run = single_run(args.run)
    if "train" not in run.stages():
        raise UserError(f"{run.path}: has no adapter yet; do its training first")
    kept = Kept(args.keep)
    both = Both(run, args.device)
    limits = Limits(args.max_megabytes, args.max_seconds)
    app = application(run.path.resolve().name, both, kept, limits, _hosts(args.host))
    if not _is_loopback(args.host):
        tell(f"remark: anybody who can reach {args.host} can use this page and fill {kept.folder}")

    def ready(address: str) -> None:
        tell(printable(f"open {address}   (Ctrl-C ends it; kept clips go to {kept.folder})"))
        both.start()
        if args.open_page:
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve_at(app, args.host, args.port, ready)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(host: str) -> list[str]:
    """Names the page answers to: a page elsewhere cannot reach it under a name of its own."""
    if host in ("0.0.0.0", "::"):
        return [socket.gethostname(), "127.0.0.1", "localhost", "[::1]", *_addresses()]
    if _is_loopback(host):
        return ["127.0.0.1", "localhost", "[::1]"]
    return [f"[{host}]" if ":" in host else host]


def _addresses() -> list[str]:
    """This machine's own addresses."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return []
    return [f"[{a}]" if ":" in str(a) else str(a) for a in found]


class Both:
    """Base and tuned model of a run, loaded in the background."""

    def __init__(self, run: RunDir, device: str) -> None:
        self._run, self._device = run, device
        self._models: list[tuple[str, Recognizer]] = []
        self._error: str | None = None
        self._loading = threading.Thread(target=self._load, daemon=True)

    def start(self) -> None:
        self._loading.start()

    def _load(self) -> None:
        from moontune.transcribe.recognizer import open_recognizer

        config = self._run.config()
        revision = pinned_revision(self._run, config)
        try:
            base = open_recognizer(config.model.model_id, self._device, revision=revision)
            tuned = open_recognizer(str(self._run.path), self._device)
        except UserError as error:
            self._error = str(error)
        else:
            self._models = [("base", base), ("tuned", tuned)]

    def __call__(self, samples: np.ndarray) -> Sequence[Heard]:
        from moontune.serve.app import Heard
        from moontune.transcribe.long_form import transcribe_long

        self._loading.join()
        if self._error is not None:
            raise UserError(self._error)
        found = []
        for name, model in self._models:
            begun = time.perf_counter()
            said = transcribe_long(samples, model.transcribe, model.cap)
            text = " ".join(row.text for row in said if row.text)
            found.append(Heard(name, text, time.perf_counter() - begun))
        return found


def serve_at(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[str], None],
    patience_s: float = 60.0,
) -> None:
    """Serve until interrupted. Raises UserError if the port is taken."""
    from moontune.serve.http_server import server

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            remedy = "give another --port, or 0 for any that is free"
            raise UserError(f"{host}:{port}: {error.strerror}; {remedy}") from None
        listening.listen(16)
        bound = listening.getsockname()[1]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{bound}/")
        asyncio.run(server(app, patience_s).serve(sockets=[listening]))
