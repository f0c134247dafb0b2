"""Attacks on `moontune serve`, over sockets, and on the folder that it keeps clips in."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builders import noise, wav
from serve_client import Page

from moontune.errors import UserError
from moontune.serve.app import PageText, application
from moontune.serve.command import ServeArgs
from moontune.serve.counts import Hypothesis
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.http_server import serve_at
from moontune.web.next_training import NextTraining
from moontune.web.requests import Limits, Refused
from moontune.web.sounds import read_upload

PATIENCE_S = 0.5


@pytest.fixture
def hold() -> threading.Event:
    """While it is cleared, the models do not answer."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
def page(tmp_path: Path, hold: threading.Event) -> Page:
    """A server with little patience."""
    heard: list[np.ndarray] = []

    def hear(samples: np.ndarray) -> list[Hypothesis]:
        hold.wait(30)
        heard.append(samples)
        return [Hypothesis("base", "a", 0.1), Hypothesis("tuned", "b", 0.1)]

    kept, limits = CorrectedClips(tmp_path / "kept"), Limits(1, 10.0, PATIENCE_S)
    app = application(
        PageText("t", 2, NextTraining([])), hear, kept, limits, ["127.0.0.1", "localhost", "[::1]"]
    )
    found: list[str] = []
    started = threading.Event()

    def ready(address: str) -> None:
        found.append(address)
        started.set()

    words = (app, "127.0.0.1", 0, ready, PATIENCE_S)
    threading.Thread(target=serve_at, args=words, daemon=True).start()
    assert started.wait(10)
    made = Page(int(found[0].rstrip("/").rsplit(":", 1)[1]), tmp_path / "kept", heard)
    _, text, _ = made.ask("GET", "/")
    made.token = text.split('moontune-token" content="')[1].split('"')[0]
    return made


@contextmanager
def talking(page: Page, sent: str | bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as line:
        line.sendall(sent.encode() if isinstance(sent, str) else sent)
        yield line


def status(page: Page, sent: str | bytes) -> int:
    """What a request is answered with; 0: the connection was closed without an answer."""
    with talking(page, sent) as line:
        try:
            words = line.recv(65_536).split()
        except ConnectionError:
            return 0
        return int(words[1]) if words else 0


def head(page: Page, line: str, **more: str) -> str:
    given = {"Host": f"127.0.0.1:{page.port}"} | {k.replace("_", "-"): v for k, v in more.items()}
    return f"{line} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items()) + "\r\n"


HOSTS = (
    *("evil.example", "localhost.evil.example", "evil.localhost", "127.0.0.1.evil.example"),
    *("127.0.0.1@evil.example", "evil:127.0.0.1", "127.0.0.1, evil.example", "localhost."),
    *("0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]", ""),
)


def test_names_that_are_not_its_own_are_not_answered(page: Page) -> None:
    for host in HOSTS:
        assert status(page, head(page, "GET /", Host=host)) == 400, host
    assert status(page, "GET / HTTP/1.0\r\n\r\n") == 400
    two = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nHost: evil.example\r\n\r\n"
    assert status(page, two) == 400
    for host in ("localhost", "LOCALHOST:1", "[::1]", f"[::1]:{page.port}"):
        assert status(page, head(page, "GET /", Host=host)) == 200, host


def test_another_page_cannot_ask(page: Page) -> None:
    body = json.dumps({"id": "x", "text": "x", "speaker": "x"}).encode()
    own, other = f"http://127.0.0.1:{page.port}", f"http://127.0.0.1:{page.port + 1}"
    for given in (
        {"X_Moontune": ""},
        {"X_Moontune": page.token[:-1]},
        {"Origin": "null"},
        {"Origin": other},
        {"Origin": f"http://localhost:{page.port}"},
        {"Origin": own + ".evil.example"},
        {"Origin": own.replace("http", "https"), "X_Forwarded_Proto": "https"},
        {"Origin": "", "Content_Type": "text/plain"},
    ):
        assert page.ask("POST", "/keep", body, **given)[0] == 403, given
        assert page.ask("POST", "/transcribe", wav(0.5), **given)[0] == 403, given
    simple = head(page, "POST /keep", Content_Type="text/plain", Content_Length="2") + "{}"
    assert status(page, simple) == 403
    assert page.ask("POST", "/keep", body, Origin=own)[0] == 410  # its own page is heard
    assert not page.heard
    _, _, headers = page.ask("GET", "/")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_it_has_so_many_addresses_and_no_more(tmp_path: Path) -> None:
    """As docs/threats.md says."""
    kept, text = CorrectedClips(tmp_path), PageText("t", 1, NextTraining([]))
    app = application(text, lambda _: [], kept, Limits(), ["localhost"])
    assert len(app.routes) == 19


def test_only_its_own_addresses_are_there(page: Page) -> None:
    for path in (
        *("/..%2f", "/%2e%2e/%2e%2e/etc/passwd", "/style.css/../", "//style.css", "/style.css%00"),
        *("/./style.css", "/\\..\\", "/keep/../kept/manifest.jsonl", "/etc/passwd", "/serve.js;x"),
        *("/kept/audio/", "/kept/deleted.jsonl", "/kept/sound/"),
        *("/serve.html.j2", "/templates/", "/kept/", "http://evil.example/", "/docs", "/%2fetc"),
    ):
        assert status(page, head(page, f"GET {path}")) == 404, path
    for method in ("OPTIONS", "TRACE", "PUT", "DELETE", "CONNECT", "PATCH", "PROPFIND"):
        for path in ("/", "/keep", "/transcribe", "/kept", "/kept/sound", "/kept/delete"):
            assert status(page, head(page, f"{method} {path}")) == 405
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    assert status(page, head(page, "GET /", Sec_WebSocket_Key="eA==", **upgrade)) == 200  # no 101


def test_what_is_no_request_of_its_page_is_refused_in_order(page: Page, capfd) -> None:
    token = {"X_Moontune": page.token}
    for body in (b"[" * 19_000, b"\xff\xfe\0", b'{"id":' + b"9" * 9_000 + b"}", b"null", b'"id"'):
        assert page.ask("POST", "/keep", body)[0] == 400
    both = head(page, "POST /keep", Content_Length="3", Transfer_Encoding="chunked", **token)
    for sent in (
        head(page, "POST /keep", Content_Length="-1", **token),
        head(page, "POST /keep", Content_Length="1e3", **token),
        both + "0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "GET /\r\n\r\n",
        head(page, "GET /", X_Evil="a\0b"),
    ):
        assert status(page, sent) == 400
    said = capfd.readouterr()
    assert "Traceback" not in said.err


def test_what_is_too_large_is_refused_before_it_is_read(page: Page) -> None:
    token = {"X_Moontune": page.token}
    for path, most in (("/transcribe", 1_000_000), ("/keep", 20_000)):
        said = head(page, f"POST {path}", Content_Length=str(10**12), **token)
        assert status(page, said) == 413
        part = b"%x\r\n" % (most + 1) + b"x" * (most + 1) + b"\r\n"
        told = head(page, f"POST {path}", Transfer_Encoding="chunked", **token).encode()
        assert status(page, told + part) == 413


def test_who_says_nothing_is_not_waited_for(page: Page) -> None:
    """Half a head, half a body, an endless body that was refused: all connections come free."""
    slow = head(page, "POST /keep", X_Moontune=page.token, Content_Length="9")
    assert status(page, slow + "{") == 408
    lines = [socket.create_connection(("127.0.0.1", page.port), timeout=30) for _ in range(40)]
    for line in lines:
        line.sendall(b"GET / HT")
    for line in lines:
        try:
            while line.recv(65_536):  # the last ones are told that it is busy
                pass
        except ConnectionError:
            pass
        line.close()
    assert page.ask("GET", "/")[0] == 200
    endless = head(page, "POST /keep", Transfer_Encoding="chunked")
    with talking(page, endless) as line, pytest.raises(ConnectionError):
        _send_for_ever(line)


def _send_for_ever(line: socket.socket) -> None:
    while True:
        line.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def test_so_many_at_once_and_no_more(page: Page, hold: threading.Event) -> None:
    hold.clear()
    audio = wav(0.5)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(page.hear, audio) for _ in range(12)]
        first = [f.result()[0] for f in islice(as_completed(asked), 8)]
        hold.set()
        answers = sorted(f.result()[0] for f in asked)
    assert first == [503] * 8  # while the models hold still
    assert answers == [200] * 4 + [503] * 8
    assert page.hear(audio)[0] == 200
    with ThreadPoolExecutor(100) as pool:
        asked = [pool.submit(status, page, head(page, "GET /")) for _ in range(100)]
        assert {f.result() for f in asked} <= {200, 503}
    assert page.ask("GET", "/")[0] == 200


def flac(seconds: int, rate: int, channels: int, claims: int | None = None) -> bytes:
    """Silence; its head may claim another number of samples, 0 for unknown."""
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", rate, channels, "PCM_16", format="FLAC") as file:
        for _ in range(seconds):
            file.write(np.zeros((rate, channels), np.int16))
    made = bytearray(stream.getvalue())
    if claims is not None:
        made[21:26] = bytes([made[21] & 0xF0]) + struct.pack(">I", claims)
    return bytes(made)


def test_a_small_file_that_holds_hours_is_not_decoded(page: Page) -> None:
    hours = flac(2_000, 16_000, 1)
    assert len(hours) < 100_000
    piped = bytearray(wav(1.0, 8_000))
    piped[4:8] = piped[40:44] = b"\xff" * 4
    for audio, expected in (
        (hours, 413),
        (flac(2_000, 16_000, 1, claims=0), 413),
        (flac(1, 655_350, 8, claims=9 * 655_350), 415),
        (_wide(192, 700_000), 415),
        (_wide(1_024, 1), 415),
    ):
        assert page.hear(audio)[0] == expected
    assert not page.heard
    assert page.hear(flac(20, 16_000, 1, claims=16_000))[0] == 200  # a second is all it says
    assert len(page.heard[0]) == 16_000
    assert page.hear(bytes(piped))[0] == 200


def _wide(channels: int, rate: int) -> bytes:
    data = b"\0" * 2 * channels * 100
    fields = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    whole = b"WAVEfmt " + fields + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def test_decoding_takes_the_memory_of_a_block() -> None:
    audio = flac(60, 192_000, 2)  # 92 MB when decoded at once
    tracemalloc.start()
    assert len(read_upload(audio, 60.0)) == pytest.approx(60 * 16_000, abs=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6
    with pytest.raises(Refused):
        read_upload(audio, 59.0)


def test_decoding_ends_at_the_limit() -> None:
    audio = flac(2_000, 16_000, 1, claims=0)  # 128 MB to its end
    tracemalloc.start()
    with pytest.raises(Refused):
        read_upload(audio, 10.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_a_clip_is_kept_once_however_often_it_is_asked_for(page: Page) -> None:
    key = page.hear(wav(0.5))[1]["id"]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(page.keep, id=key, text="a", speaker="") for _ in range(8)]
        answers = sorted(f.result()[0] for f in asked)
    assert answers == [200] * 8  # whose answer was lost asks again
    assert len(CorrectedClips(page.folder)) == 1


def test_what_is_kept_stays_in_its_folder(page: Page, tmp_path: Path) -> None:
    for speaker in ("../../evil", "/etc/passwd", "a/b\\c", "..", "~root", "-rf"):
        key = page.hear(wav(0.5))[1]["id"]
        assert page.keep(id=key, text="../x.wav", speaker=speaker)[0] == 200
    assert page.keep(id="../../kept", text="x", speaker="x")[0] == 410
    names = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")}
    assert names == {"kept"}
    assert {p.suffix for p in page.folder.rglob("*") if p.is_file()} == {".flac", ".jsonl"}


def test_links_in_the_folder_are_not_followed(page: Page, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    page.folder.mkdir()
    (page.folder / "manifest.jsonl").symlink_to(victim)
    key = page.hear(wav(0.5))[1]["id"]
    code, said = page.keep(id=key, text="x", speaker="")
    assert (code, "link" in said["error"]) == (422, True)
    assert victim.read_text() == "mine\n"
    (page.folder / "manifest.jsonl").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert not list(page.folder.iterdir())  # no sound without its row
    (page.folder / "audio").symlink_to(elsewhere)
    assert page.keep(id=key, text="x", speaker="")[0] == 422
    assert not list(elsewhere.iterdir())
    (page.folder / "audio").unlink()
    assert page.keep(id=key, text="x", speaker="")[0] == 200  # it was not lost


def test_kept_voices_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        CorrectedClips(tmp_path / "kept").add(noise(1, 0.5), "text", "anna")
    finally:
        os.umask(before)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("kept", "kept/audio")}
    assert modes == {"kept": 0o700, "kept/audio": 0o700}
    assert (tmp_path / "kept/manifest.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/audio").write_text("a file")
    with pytest.raises(UserError, match="cannot be kept"):
        CorrectedClips(tmp_path / "kept").add(noise(1, 0.5), "text", "anna")


def test_it_listens_to_this_machine_alone() -> None:
    assert ServeArgs().host == "127.0.0.1"
