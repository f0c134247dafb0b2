"""Requests that only the page itself may make, and how they are answered.

Whatever reads, changes or removes something goes through `answer`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from moontune.data.audio import AudioError
from moontune.errors import UserError
from moontune.system.files import json_line
from moontune.web.corrected_clips import GoneError

_JSON_BYTES = 20_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Limits:
    """What is taken from a page."""

    megabytes: int = 50
    seconds: float = 300.0
    patience_s: float = 60.0  # for a request's body to come


class Refused(Exception):
    """A request that is not served, with its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def as_json(row: dict[str, Any], status: int = 200) -> Response:
    """An answer in JSON, also of names of files that are no text."""
    return Response(json_line(row), status, HEADERS, "application/json")


async def answer(
    request: Request, token: str, work: Callable[[], Awaitable[dict[str, Any] | Response]]
) -> Response:
    """The work's result, a dict as JSON, or why there is none; only for the page that knows the
    token."""
    try:
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.headers['host']}":
            raise Refused(403, "another page may not ask for this")
        if not secrets.compare_digest(
            request.headers.get("x-moontune", "").encode(), token.encode()
        ):
            raise Refused(403, "this page is of an older start; load it again")
        done = await work()
        return done if isinstance(done, Response) else as_json(done)
    except Refused as error:
        return as_json({"error": str(error)}, error.status)
    except GoneError as error:
        return as_json({"error": str(error)}, 410)
    except (UserError, AudioError) as error:
        return as_json({"error": str(error)}, 422)
    except ClientDisconnect:
        return Response(status_code=400)


async def body(request: Request, most: int, patience_s: float) -> bytes:
    """The request's body; one that is too long or too slow is not read to its end."""
    length = request.headers.get("content-length", "0")
    read = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            if int(length) <= most:
                async for part in request.stream():
                    read += part
                    if len(read) > most:
                        break
    except TimeoutError:
        raise Refused(408, "it did not come to its end in time; send it again") from None
    if max(int(length), len(read)) > most:
        raise Refused(413, f"more than {most / 1e6:g} MB; send less")
    return bytes(read)


async def words(request: Request, patience_s: float, *names: str) -> list[str]:
    """The named strings of a JSON object in the request's body. Raises Refused."""
    try:
        asked = json.loads(await body(request, _JSON_BYTES, patience_s))
        given = [asked[name] for name in names]
        # `null` is no text; nor is half of a surrogate pair, which no answer can hold.
        "".join(given).encode()
        return given
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(400, "not understood; load the page again") from None
