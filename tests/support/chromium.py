"""A headless Chromium, driven over its pipe: one JSON message a time, no client library."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


def fake_microphone(sound: Path) -> list[str]:
    """Flags for a browser whose microphone hears a WAV file, again and again."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={sound}",
    ]


class Chromium:
    """One tab. Use as a context manager; `call` sends a DevTools command and waits for it."""

    def __init__(self, program: str, profile: Path, *flags: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._number = 0
        self._rest = b""
        their_input, self._to = os.pipe()
        self._from, their_output = os.pipe()
        # The browser reads commands from descriptor 3 and answers on 4; the pipes may have been
        # given these very numbers, so they are moved out of the way first.
        command = 'exec 8<&"$0" 9>&"$1"; shift; exec 3<&8 4>&9 8<&- 9>&-; exec "$@"'
        self._process = subprocess.Popen(
            [
                *("bash", "-c", command, str(their_input), str(their_output), program),
                *(*FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(their_input, their_output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_input)
        os.close(their_output)
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str) -> None:
        """Load a page and wait until it says so."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._receive())

    def press(self, key: str, times: int = 1, place: str = "") -> None:
        """A key as a person presses it: a character, or a name such as Enter or ArrowLeft; `place`
        is where it is on the keyboard, such as KeyE."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Delete": 46}
        code, where = codes.get(key) or ord(key.upper()[0]), {"code": place} if place else {}
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp") * times:
            given = where | ({"text": text} if kind == "keyDown" else {})
            name = "Input.dispatchKeyEvent"
            self.call(name, type=kind, key=key, windowsVirtualKeyCode=code, **given)

    def click(self, selector: str, count: int = 1) -> None:
        """A click of the mouse; the second of a double one has `count` 2."""
        at = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        box = self.value(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({at})")
        given = {"x": box[0], "y": box[1], "button": "left", "clickCount": count}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **given)

    def size(self, width: int, height: int = 800) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def value(self, expression: str) -> Any:
        """What an expression is in the page, once its promise is kept."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def before(self, script: str) -> None:
        """Have a script run before those of each page that is opened."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def complaints(self) -> list[str]:
        """Console errors, exceptions, violated policies and failed requests since `open`."""
        told = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Log.entryAdded" and params["entry"]["level"] != "verbose":
                told.append(params["entry"]["text"])
            elif method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
                told.append(json.dumps(params))
            elif method == "Runtime.consoleAPICalled":
                told.append(json.dumps(params["args"]))
        return told

    def requests(self) -> list[str]:
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def until(self, expression: str, timeout_s: float = 30) -> None:
        """Wait until an expression is true in the page."""
        ends = time.monotonic() + timeout_s
        while not self.value(expression):
            assert time.monotonic() < ends, f"never true: {expression}"
            time.sleep(0.1)

    def screenshot(self, path: Path) -> None:
        import base64

        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _receive(self, timeout_s: float = 30) -> dict[str, Any]:
        ends = time.monotonic() + timeout_s
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, ends - time.monotonic()))
            assert ready, "chromium does not answer"
            read = os.read(self._from, 1 << 20)
            assert read, "chromium ended"
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)
