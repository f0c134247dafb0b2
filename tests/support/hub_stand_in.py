"""A hub on this machine that fails by script, and a process that asks it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "c" * 40
Fault = Callable[["Handler", bytes], None]  # of the right content


def status(code: int, **headers: str) -> Fault:
    """An answer of this kind instead; `Retry_After="5"` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, body: handler.send(code, b"{}", named)


def login_page(handler: Handler, body: bytes) -> None:
    handler.send(200, b"<html>Welcome to our hotel</html>", {})


def cut(after: int, reset: bool = False) -> Fault:
    """Half an answer, then the connection is closed, or reset."""

    def fail(handler: Handler, body: bytes) -> None:
        handler.head(200, len(body), {})
        handler.wfile.write(body[:after])
        handler.wfile.flush()
        if reset:
            time.sleep(0.3)  # what was sent must have been read
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(handler.connection.detach())
        else:
            handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    return fail


def dropped(handler: Handler, body: bytes) -> None:
    """The connection is closed without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def mute(handler: Handler, body: bytes) -> None:
    """No answer, for longer than the process that asks waits."""
    time.sleep(1.5)
    handler.close_connection = True


def stall(handler: Handler, body: bytes) -> None:
    """Half an answer, then nothing for longer than is waited for."""
    handler.head(200, len(body), {})
    handler.wfile.write(body[:3000])
    handler.wfile.flush()
    time.sleep(6)


def other_content(handler: Handler, body: bytes) -> None:
    """As long as it should be, and wrong."""
    handler.send(200, bytes(len(body)), {})


class Hub:
    """Models and data sets by id, each a dict of files; `script`: (pattern, fault) once each."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.script: list[tuple[str, Fault]] = []
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.lock = threading.Lock()
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, pattern: str, *faults: Fault) -> None:
        """The next requests `METHOD /path` that the pattern is in get these faults, one each."""
        self.script += [(pattern, fault) for fault in faults]

    def fault(self, request: str) -> Fault | None:
        with self.lock:
            self.asked.append(request)
            for i, (pattern, fault) in enumerate(self.script):
                if re.search(pattern, request):
                    del self.script[i]
                    return fault
        return None

    @contextmanager
    def up(self) -> Iterator[None]:
        """Listening; on the same port each time."""
        handler = type("Here", (Handler,), {"hub": self})
        server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def head(self, code: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(length)}).items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.head(code, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        path, wanted = unquote(self.path.split("?")[0]), self.headers.get("Range", "")
        fault = self.hub.fault(f"{self.command} {path} {wanted}".strip())
        code, body, headers = self.answer(path, "recursive=true" in self.path)
        if fault is not None:
            return fault(self, body)
        if code == 200 and (span := re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)):
            first, last = int(span[1]), min(int(span[2] or len(body)), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            code, body = 206, body[first : last + 1]
        self.send(code, body, headers)

    do_HEAD = do_POST = do_GET

    def answer(self, path: str, recursive: bool) -> tuple[int, bytes, dict[str, str]]:
        found = re.fullmatch(
            r"(?:/api)?/(?:(?:models|datasets)/)?([\w.-]+/[\w.-]+)(?:/(revision|tree|resolve)/(\w+)"
            r"(?:/(.*))?)?",
            path,
        )
        files = self.hub.repos.get(found[1]) if found else None
        if found is None or files is None:
            return 404, b"{}", {"X-Error-Code": "RepoNotFound"}
        if found[2] == "resolve":
            if found[4] not in files:
                return 404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
            body = files[found[4]]
            digest = hashlib.sha256(body).hexdigest()
            headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT}
            if found[4].endswith(".safetensors"):  # another way to it, which is not to be taken
                route = f"{self.hub.endpoint}/api/models/{found[1]}/xet-read-token/{COMMIT}"
                headers |= {"X-Xet-Hash": "e" * 64, "X-Xet-Refresh-Route": route}
            return 200, body, headers
        if found[2] == "tree":
            folder = f"{found[4]}/" if found[4] else ""
            inside = [name for name in files if name.startswith(folder)]
            rows = [
                {"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40}
                for name in inside
                if recursive or "/" not in name.removeprefix(folder)
            ]
            parts = [name.removeprefix(folder).split("/") for name in inside]
            below = {folder + first for first, *rest in parts if rest}
            rows += [{"type": "directory", "path": name, "oid": "0" * 40} for name in below]
            return 200, json.dumps(rows).encode(), {}
        info = {"id": found[1], "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}
        return 200, json.dumps(info).encode(), {}


WORKER = """
import contextlib, io, json, sys, time
slept = []
time.sleep = slept.append
from pathlib import Path
from moontune.models import locate as hub; from moontune.system import hub_client
from moontune.cli.dispatch import main
from moontune.errors import UserError
hub_client.TIMEOUT_S = hub_client.FIRST_TIMEOUT_S = 0.5
print("ready", flush=True)
for line in sys.stdin:
    asked, answer = json.loads(line), {}
    slept.clear()
    hub._remark.cache_clear()
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(err):
        try:
            if "argv" in asked:
                answer["code"] = main(asked["argv"])
            elif "model" in asked:
                path, name, revision = hub.locate(asked["model"], asked.get("revision"))
                answer |= {"path": str(path), "name": name, "revision": revision}
            else:
                from moontune.data.sources.librispeech import LibriSpeechQuery, sample_librispeech
                audio_dir, patient = Path(asked.pop("audio_dir")), asked.pop("patient", True)
                sample = sample_librispeech(LibriSpeechQuery(**asked), audio_dir, patient=patient)
                ids = [u.id for u in sample.utterances]
                answer |= {"ids": ids, "origin": sample.origin.to_json()}
        except UserError as error:
            answer["error"] = str(error)
    answer |= {"said": err.getvalue(), "slept": [s for s in slept if s >= 1]}
    print(json.dumps(answer), flush=True)
"""


class Asker:
    """moontune in a process of its own, since huggingface_hub reads its settings at import."""

    def __init__(self, hub: Hub, home: Path, **env: str):
        self.home = home
        settings = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(home / "hf"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DOWNLOAD_TIMEOUT": "4",  # 3 would be a request that nobody waits for
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "MOONTUNE_CACHE": str(home / "cache"),
            "NO_PROXY": "*",
        }
        with open(home / "stderr", "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                env=os.environ | settings | env,
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", (home / "stderr").read_text()

    def __call__(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, (self.home / "stderr").read_text()
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
