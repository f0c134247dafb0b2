"""The code that lets the network in: good once, slow to guess, and nothing is there without it."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from builders import wav
from review_desk import Opened, data_of, write_set
from running import started
from starlette.applications import Starlette

from moontune.errors import UserError
from moontune.record.app import Recording, application
from moontune.review.app import PageText as ReviewText
from moontune.review.app import application as review_application
from moontune.serve.app import PageText
from moontune.serve.app import application as serve_application
from moontune.web.access_code import MOST_WRONG, AccessCode
from moontune.web.certificate import make_certificate
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.hosts import hosts, named_address
from moontune.web.http_server import serve_at
from moontune.web.network import access
from moontune.web.next_training import NextTraining
from moontune.web.requests import Limits, Refused

NAMES = ["127.0.0.1", "localhost"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    code: AccessCode
    clock: Clock
    told: list[str]

    def wrong(self, given: str = "x") -> Refused:
        with pytest.raises(Refused) as refused:
            self.code.enter(given, "10.0.0.9")
        return refused.value


@pytest.fixture
def door() -> Door:
    clock, told = Clock(), []
    return Door(AccessCode(told.append, clock), clock, told)


def test_a_code_is_six_digits_and_good_once(door: Door) -> None:
    code = door.code.code
    assert len(code) == 6
    assert code.isdigit()
    cookie = door.code.enter(f" {code[:3]} {code[3:]} ", "10.0.0.9")
    assert door.code.is_in(cookie)
    assert not door.code.is_in(cookie[:-1])
    assert not door.code.is_in("")
    assert door.code.code != code
    assert door.told == [
        f"10.0.0.9 gave the code and is in; the code of another device: {door.code.code}"
    ]
    assert door.wrong(code).status == 403
    other = AccessCode(print)  # another start
    assert not other.is_in(cookie)


def test_wrong_codes_are_waited_for_longer_and_longer_and_a_guess_meanwhile_is_not_tried(
    door: Door,
) -> None:
    waits = []
    for _ in range(7):
        begun = door.clock.now
        assert door.wrong().status == 403
        while door.wrong(door.code.code).status == 429:  # the right one, too early
            door.clock.now += 1.0
            with_right = door.clock.now
            if with_right - begun >= 2.0 ** len(waits) or with_right - begun >= 30:
                break
        waits.append(door.clock.now - begun)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert door.code.is_in(door.code.enter(door.code.code, "10.0.0.9"))
    assert door.wrong().status == 403
    door.clock.now += 1.0  # begins anew after a right one
    door.code.enter(door.code.code, "10.0.0.9")


def test_ten_wrong_ones_replace_the_code_and_the_terminal_is_told(door: Door) -> None:
    first = door.code.code
    for i in range(MOST_WRONG):
        assert door.code.code == first, i
        refused = door.wrong()
        door.clock.now += 60
    assert "the terminal shows a new one" in str(refused)
    assert door.code.code != first
    assert door.told == [
        f"remark: 10 wrong codes, the last from 10.0.0.9; now it is {door.code.code}"
    ]
    assert door.wrong(first).status == 403


@dataclass
class Guarded:
    """A page behind a code, over HTTPS."""

    port: int
    code: AccessCode
    told: list[str]
    fingerprint: str
    cookie: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str):
        context = ssl._create_unverified_context()
        line = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        given = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        line.request(method, path, body, given)
        answer = line.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.headers

    def token(self) -> str:
        return self.ask("GET", "/")[1].split('moontune-token" content="')[1].split('"')[0]

    def enter(self, code: str, **headers: str):
        body = json.dumps({"code": code}).encode()
        return self.ask("POST", "/code", body, **{"X_Moontune": self.token()} | headers)


@pytest.fixture(params=["record", "serve", "review"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Guarded:
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra `serve`)")
    certificate, told = make_certificate(NAMES), []
    code, kept = AccessCode(told.append), CorrectedClips(tmp_path / "kept")
    if request.param == "record":
        app = application(Recording(["My secret sentence."], kept), Limits(), NAMES, code)
    elif request.param == "review":
        opened = Opened(data_of(write_set(tmp_path, ["one"])))
        text = ReviewText("My secret sentence.", "", ["base"])
        app = review_application(text, opened.desk, NAMES, code)
    else:
        text = PageText("secret", 1, NextTraining([]), ["My secret sentence."])
        app = serve_application(text, lambda samples: [], kept, Limits(), NAMES, code)
    return Guarded(started(app, certificate=certificate), code, told, certificate.fingerprint)


PATHS = (
    *("/state", "/take", "/take/keep", "/kept", "/keep", "/transcribe", "/kept/sound"),
    *("/review/list", "/review/sound", "/training/start"),
)


def test_without_the_code_nothing_is_there_but_the_page_that_asks_for_it(guarded: Guarded) -> None:
    status, page, headers = guarded.ask("GET", "/")
    assert (status, "secret" in page, "Which code" in page) == (200, False, True)
    assert "unsafe" not in headers["Content-Security-Policy"]
    token = guarded.token()
    for path in PATHS:
        status, said, _ = guarded.ask("POST", path, wav(0.5), X_Moontune=token)
        assert (status, "code" in said) == (403, True), path
    for path in ("/record.js", "/serve.js", "/kept.js", "/microphone.js", "/manifest.jsonl"):
        assert guarded.ask("GET", path)[0] == 403
    for cookie in ("", "x", f"__Host-moontune-{guarded.port}=", "a=b; c"):
        guarded.cookie = cookie
        assert "secret" not in guarded.ask("GET", "/")[1]
    assert guarded.ask("GET", "/", Host="evil.example")[0] == 400


def test_with_the_code_a_device_has_a_cookie_that_scripts_and_others_do_not_get(
    guarded: Guarded,
) -> None:
    code = guarded.code.code
    assert guarded.enter("\ud83d")[0] == 400  # half of a character
    assert guarded.enter(code, X_Moontune="guess")[0] == 403
    assert guarded.enter(code, Origin="https://evil.example")[0] == 403
    status, _, headers = guarded.enter(code, Origin=f"https://127.0.0.1:{guarded.port}")
    assert status == 200
    [cookie] = SimpleCookie(headers["Set-Cookie"]).values()
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"].lower() == "strict"
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert not cookie["expires"]  # of the browser's session
    assert not cookie["max-age"]
    guarded.cookie = f"{cookie.key}={cookie.value}"
    assert "My secret sentence." in guarded.ask("GET", "/")[1]
    guarded.cookie = ""
    assert "secret" not in guarded.ask("GET", "/")[1]
    assert guarded.enter(code)[0] == 403  # used up
    assert guarded.enter(guarded.code.code)[0] == 429  # too early after it
    assert [line for line in guarded.told if "127.0.0.1 gave the code" in line]


def test_the_certificate_is_the_one_whose_fingerprint_is_shown(guarded: Guarded) -> None:
    pem = ssl.get_server_certificate(("127.0.0.1", guarded.port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert guarded.fingerprint == ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    context = ssl.create_default_context(cadata=pem)  # names and dates hold
    line = http.client.HTTPSConnection("127.0.0.1", guarded.port, timeout=30, context=context)
    line.request("GET", "/")
    assert line.getresponse().status == 200
    line = http.client.HTTPSConnection("127.0.0.1", guarded.port, timeout=30)
    with pytest.raises(ssl.SSLError):  # nobody else vouches for it
        line.request("GET", "/")


def test_a_key_is_never_written_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    certificate = make_certificate(["box.local", "10.0.0.7", "[fd00::1]"])
    with certificate.files() as (_, key):
        assert b"ENCRYPTED" in key.read_bytes()
        assert key.parent.stat().st_mode & 0o777 == 0o700
    assert not key.exists()
    assert certificate.password not in repr(certificate)
    assert "PRIVATE" not in repr(certificate)


def test_only_this_machine_needs_neither_code_nor_certificate() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        may = access(host, print)
        assert (may.code, may.certificate, may.lines()) == (None, None, [])


def test_the_terminal_shows_all_that_a_phone_needs() -> None:
    pytest.importorskip("cryptography")
    may = access("0.0.0.0", print)
    address = may.address("https://0.0.0.0:8767/")
    name = address.removeprefix("https://").removesuffix(":8767/")
    assert name not in ("", "0.0.0.0")
    assert name in may.names  # it is answered at that address
    assert may.code is not None
    assert may.certificate is not None
    shown = "\n".join(may.lines())
    assert may.code.code in shown
    assert may.certificate.fingerprint in shown
    assert "warn once" in shown


def test_an_address_that_was_asked_for_is_shown_as_it_is() -> None:
    assert named_address("http://127.0.0.1:1/", "127.0.0.1") == "http://127.0.0.1:1/"
    assert hosts("192.168.1.7") == ["192.168.1.7"]


@pytest.mark.parametrize(("short", "whole"), [("0", "0.0.0.0"), ("127.1", "127.0.0.1")])
def test_a_short_address_is_the_one_it_stands_for(short: str, whole: str) -> None:
    """Or the page would listen there and answer to nobody."""
    found = access(short, print)
    assert (found.host, found.names) == (whole, hosts(whole))
    assert (found.code is None) == (whole == "127.0.0.1")


def test_where_it_cannot_listen_the_flag_to_change_is_named() -> None:
    for host in ("no such host", "192.0.2.77"):
        with pytest.raises(UserError, match="give another --host"):
            serve_at(Starlette(), host, 0, print)
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(UserError, match="give another --port"):
        serve_at(Starlette(), "127.0.0.1", taken.getsockname()[1], print)
