"""A client of `moontune serve`'s page."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Page:
    """A server of its own, with models that always write the same."""

    port: int
    folder: Path  # that clips are kept in
    heard: list[np.ndarray]
    token: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str):
        given = {"Host": f"127.0.0.1:{self.port}", "X-Moontune": self.token} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request(method, path, body, given)
        answer = line.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.headers

    def hear(self, audio: bytes, **headers: str):
        status, text, _ = self.ask("POST", "/transcribe", audio, **headers)
        return status, json.loads(text)

    def kept(self, path: str = "/kept", **asked: str):
        status, text, _ = self.ask("POST", path, json.dumps(asked).encode())
        return status, json.loads(text)

    def keep(self, **asked: str):
        status, text, _ = self.ask("POST", "/keep", json.dumps(asked).encode())
        return status, json.loads(text)
