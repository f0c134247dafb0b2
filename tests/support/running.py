"""A page's server, running in a thread of the test's process until that ends."""

from __future__ import annotations

import threading
from typing import Any

from moontune.web.http_server import serve_at


def started(app: Any, **more: Any) -> int:
    """The port that `app` is served at, on 127.0.0.1; `more` goes to `serve_at`."""
    found: list[str] = []
    ready = threading.Event()

    def at(address: str) -> None:
        found.append(address)
        ready.set()

    words = (app, "127.0.0.1", 0, at)
    threading.Thread(target=serve_at, args=words, kwargs=more, daemon=True).start()
    assert ready.wait(10)
    return int(found[0].rstrip("/").rsplit(":", 1)[1])
