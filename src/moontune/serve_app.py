"""A page on this machine: speak or drop a file, see what base and tuned model write.

The application and its limits; no torch here, the models are handed in.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moontune.audio import SAMPLE_RATE_HZ, AudioError, read_audio
from moontune.audio_stream import length_s
from moontune.errors import UserError
from moontune.html_report import templates
from moontune.kept import Kept
from moontune.marked import marked
from moontune.scoring import corpus_wer, word_edits

_REMEMBERED = 32  # clips that can still be kept
_WAITING = 4  # requests at once
_JSON_BYTES = 20_000
_HERE = Path(__file__).parent / "templates"
_FILES = {
    "/style.css": ("text/css", ("style.css", "serve.css")),
    "/serve.js": ("text/javascript", ("serve.js",)),
    "/recorder.js": ("text/javascript", ("recorder.js",)),
}
_HEADERS = {
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
class Heard:
    """What one model made of a clip."""

    name: str  # "base", "tuned"
    text: str
    seconds: float  # of computing


Hear = Callable[[np.ndarray], Sequence[Heard]]  # (samples,) float32 mono 16 kHz -> base, tuned


@dataclass(frozen=True)
class Limits:
    megabytes: int = 50
    seconds: float = 300.0


@dataclass
class _State:
    """What the server knows beside its models."""

    clips: OrderedDict[str, tuple[np.ndarray, list[Heard]]] = field(default_factory=OrderedDict)
    edits: dict[str, list[Any]] = field(default_factory=dict)  # of each model, on what was kept
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def application(
    title: str, hear: Hear, kept: Kept, limits: Limits, hosts: Sequence[str]
) -> Starlette:
    """The server. `hosts` are the names it answers to; requests that change anything must come
    from its own page, which alone knows the token."""
    token, state = secrets.token_urlsafe(32), _State()

    async def page(request: Request) -> Response:
        text = (
            templates()
            .get_template("serve.html.j2")
            .render(
                title=title,
                token=token,
                folder=str(kept.folder),
                count=len(kept),
                seconds=limits.seconds,
            )
        )
        return Response(text, media_type="text/html", headers=_HEADERS)

    async def file(request: Request) -> Response:
        kind, names = _FILES[request.url.path]
        text = "".join((_HERE / name).read_text(encoding="utf-8") for name in names)
        return Response(text, media_type=kind, headers=_HEADERS)

    async def transcribe(request: Request) -> Response:
        return await _answer(request, token, lambda: _transcribe(request, state, hear, limits))

    async def keep(request: Request) -> Response:
        return await _answer(request, token, lambda: _keep(request, state, kept))

    return Starlette(
        routes=[
            Route("/", page),
            *(Route(path, file) for path in _FILES),
            Route("/transcribe", transcribe, methods=["POST"]),
            Route("/keep", keep, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )


async def _answer(request: Request, token: str, work: Callable[[], Any]) -> Response:
    """The work's result as JSON, or why there is none."""
    try:
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.headers['host']}":
            raise _Refused(403, "another page may not ask for this")
        if not secrets.compare_digest(
            request.headers.get("x-moontune", "").encode(), token.encode()
        ):
            raise _Refused(403, "this page is of an older start; load it again")
        return JSONResponse(await work(), headers=_HEADERS)
    except _Refused as error:
        return JSONResponse({"error": str(error)}, error.status, headers=_HEADERS)
    except (UserError, AudioError) as error:
        return JSONResponse({"error": str(error)}, 422, headers=_HEADERS)
    except ClientDisconnect:
        return Response(status_code=400)


async def _body(request: Request, most: int) -> bytes:
    """The request's body; one that is too long is not read to its end."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise _Refused(413, f"more than {most / 1e6:g} MB; send less")
    return bytes(found)


async def _transcribe(
    request: Request, state: _State, hear: Hear, limits: Limits
) -> dict[str, Any]:
    if state.waiting >= _WAITING:
        raise _Refused(503, "busy; try again in a moment")
    state.waiting += 1
    try:
        audio = await _body(request, limits.megabytes * 1_000_000)
        samples = await run_in_threadpool(_read, audio, limits.seconds)
        heard = list(await run_in_threadpool(_alone, state.lock, hear, samples))
    finally:
        state.waiting -= 1
    key = secrets.token_urlsafe(12)
    state.clips[key] = (samples, heard)
    while len(state.clips) > _REMEMBERED:
        state.clips.popitem(last=False)
    words = marked(heard[0].text, heard[1].text)
    return {
        "id": key,
        "duration": len(samples) / SAMPLE_RATE_HZ,
        "models": [
            {"name": h.name, "text": h.text, "seconds": h.seconds, "words": w}
            for h, w in zip(heard, words, strict=True)
        ],
    }


def _alone(lock: threading.Lock, hear: Hear, samples: np.ndarray) -> Sequence[Heard]:
    with lock:
        return hear(samples)


def _read(audio: bytes, most_seconds: float) -> np.ndarray:
    try:
        seconds = length_s(io.BytesIO(audio))
    except AudioError:
        raise _Refused(415, "this is no audio that can be read here") from None
    if seconds > most_seconds:
        raise _Refused(413, f"{seconds:.0f} seconds; {most_seconds:.0f} at most")
    return read_audio(audio)


async def _keep(request: Request, state: _State, kept: Kept) -> dict[str, Any]:
    try:
        asked = json.loads(await _body(request, _JSON_BYTES))
        key, text, speaker = (str(asked[name]) for name in ("id", "text", "speaker"))
    except (ValueError, KeyError, TypeError):
        raise _Refused(400, "not understood; load the page again") from None
    if key not in state.clips:
        raise _Refused(410, "this clip is not remembered any more; send it again")
    samples, heard = state.clips[key]
    count = await run_in_threadpool(kept.add, samples, text, speaker)
    del state.clips[key]
    for h in heard:
        state.edits.setdefault(h.name, []).append(word_edits(text, h.text))
    return {
        "count": count,
        "wer": {name: corpus_wer(edits) for name, edits in state.edits.items()},
        "words": sum(e.words for e in next(iter(state.edits.values()))),
    }
