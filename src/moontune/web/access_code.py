"""A one-time code, shown in the terminal, that lets a device of the network in.

A device that gave the right code has a cookie from then on, for this start alone. Each code is good
once. Wrong ones are waited for longer and longer, whoever gives them, and ten of them replace it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from moontune.web.pages import SHARED, page_application
from moontune.web.requests import Refused, as_json, words

MOST_WRONG = 10
_DIGITS = 6
_LONGEST_WAIT_S = 30.0
_PATIENCE_S = 10.0  # for the body of a request from who has not given the code
_HERE = "moontune.web"
_FILES = {
    "/code.js": (_HERE, "code.js"),
    "/style.css": SHARED["/style.css"],
    "/request.js": SHARED["/request.js"],
}


class AccessCode:
    """The code that is good now, and the devices that are in."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`tell` gets a line for each device that comes in, and when the code is replaced."""
        self.code = _new_code()
        self._tell, self._clock = tell, clock
        self._cookies: list[str] = []
        self._wrong = self._wrong_in_a_row = 0  # of this code; since a right one
        self._next_try = float("-inf")
        self._lock = threading.Lock()

    def is_in(self, cookie: str) -> bool:
        known = [secrets.compare_digest(cookie.encode(), c.encode()) for c in self._cookies]
        return any(known)

    def enter(self, given: str, who: str) -> str:
        """The cookie of a device that gives the right code; the code is used up. `who` is its
        address, which the terminal is told. Raises Refused."""
        with self._lock:
            wait_s = self._next_try - self._clock()
            if wait_s > 0:
                raise Refused(429, f"wait {wait_s:.0f} seconds after a wrong code; then try again")
            digits = "".join(given.split())
            if not secrets.compare_digest(digits.encode(), self.code.encode()):
                raise Refused(403, self._wrong_code(who))
            self._cookies.append(secrets.token_urlsafe(32))
            self.code = _new_code()
            self._wrong = self._wrong_in_a_row = 0
            self._tell(f"{who} gave the code and is in; the code of another device: {self.code}")
            return self._cookies[-1]

    def _wrong_code(self, who: str) -> str:
        """What who gave a wrong one is told."""
        self._wrong += 1
        self._wrong_in_a_row += 1
        wait_s = min(_LONGEST_WAIT_S, 2.0 ** (self._wrong_in_a_row - 1))
        self._next_try = self._clock() + wait_s
        told = f"this is not the code; look into the terminal, and try again in {wait_s:.0f} s"
        if self._wrong >= MOST_WRONG:
            self.code, self._wrong = _new_code(), 0
            self._tell(
                f"remark: {MOST_WRONG} wrong codes, the last from {who}; now it is {self.code}"
            )
            told = f"{MOST_WRONG} wrong codes; the terminal shows a new one"
        return told


def _new_code() -> str:
    return f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"


def guards(hosts: Sequence[str], code: AccessCode | None) -> list[Middleware]:
    """What a request to a page has to pass: a name of its own (`hosts`), and the code."""
    named = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return [named] if code is None else [named, Middleware(_Gate, code=code)]


class _Gate:
    """To who is not in, the page that asks for the code, and nothing else."""

    def __init__(self, app: ASGIApp, code: AccessCode) -> None:
        self._app, self._code = app, code
        self._asking = _code_page(code)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = scope["type"] != "http"
        if not inside:
            cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
            inside = self._code.is_in(cookies.get(_cookie_name(scope), ""))
        await (self._app if inside else self._asking)(scope, receive, send)


def _cookie_name(scope: Scope) -> str:
    """With the port: cookies are a host's, and two pages may be open on it."""
    prefix = "__Host-" if scope["scheme"] == "https" else ""
    return f"{prefix}moontune-{(scope.get('server') or ('', 0))[1]}"


def _code_page(code: AccessCode) -> Starlette:
    async def entered(request: Request) -> Response:
        [given] = await words(request, _PATIENCE_S, "code")
        who = request.client.host if request.client else "somebody"
        response = as_json({})
        response.set_cookie(
            _cookie_name(request.scope),
            code.enter(given, who),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def nothing(request: Request) -> Response:
        code = "give the code that the terminal shows"
        text = f"open this address in another tab, {code}, and go on here"
        return as_json({"error": text}, 403)

    page = (_HERE, "code.html.j2")
    app = page_application(page, {}, _FILES, {"/code": entered}, guards=())
    app.router.routes.append(Route("/{path:path}", nothing, methods=["GET", "POST"]))
    return app
