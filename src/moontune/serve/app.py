"""A page on this machine: speak or drop a file, see what base and tuned model write.

The application and its limits; the models are handed in.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    AudioError,
    audio_blocks,
    errors_as_audio_error,
    header_duration_s,
)
from moontune.errors import UserError
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.evaluation.word_diff import diff_words
from moontune.report.html.templating import templates
from moontune.serve.corrected_clips import CorrectedClips

_REMEMBERED = 32  # clips that can still be kept
_WAITING = 4  # requests at once
_JSON_BYTES = 20_000
_MOST_CHANNELS, _MOST_RATE_HZ = 8, 192_000  # a block of 10 s is 61 MB then
_REPORT = resources.files("moontune.report.html") / "templates"  # its style is this page's too
_SERVE = resources.files("moontune.serve") / "templates"
_FILES = {
    "/style.css": ("text/css", (_REPORT / "style.css", _SERVE / "serve.css")),
    "/serve.js": ("text/javascript", (_SERVE / "serve.js",)),
    "/recorder.js": ("text/javascript", (_SERVE / "recorder.js",)),
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
class Hypothesis:
    """One model's transcript of a clip."""

    name: str  # "base", "tuned"
    text: str
    seconds: float  # of computing


# From (samples,) of float32 mono 16 kHz to the transcripts of base and tuned model.
TranscribeBoth = Callable[[np.ndarray], Sequence[Hypothesis]]


@dataclass(frozen=True)
class Limits:
    megabytes: int = 50
    seconds: float = 300.0
    patience_s: float = 60.0  # for a request's body to come


@dataclass
class _State:
    """Facts of the server beside its models."""

    clips: OrderedDict[str, tuple[np.ndarray, list[Hypothesis]]] = field(
        default_factory=OrderedDict
    )
    edits: dict[str, list[Any]] = field(default_factory=dict)  # of each model, on what was kept
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def application(
    title: str,
    transcribe_both: TranscribeBoth,
    corrected: CorrectedClips,
    limits: Limits,
    hosts: Sequence[str],
) -> Starlette:
    """The server. `hosts` are the names it answers to; requests that change anything must come
    from its own page, which alone knows the token."""
    token, state = secrets.token_urlsafe(32), _State()

    async def page(request: Request) -> Response:
        text = (
            templates(__package__)
            .get_template("serve.html.j2")
            .render(
                title=title,
                token=token,
                folder=str(corrected.folder),
                manifest=shlex.quote(str(corrected.manifest)),
                count=len(corrected),
                seconds=limits.seconds,
            )
        )
        return Response(text, media_type="text/html", headers=_HEADERS)

    async def file(request: Request) -> Response:
        kind, files = _FILES[request.url.path]
        text = "".join(file.read_text(encoding="utf-8") for file in files)
        return Response(text, media_type=kind, headers=_HEADERS)

    async def transcribe(request: Request) -> Response:
        return await _answer(
            request, token, lambda: _transcribe(request, state, transcribe_both, limits)
        )

    async def keep(request: Request) -> Response:
        return await _answer(request, token, lambda: _keep(request, state, corrected, limits))

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


async def _body(request: Request, most: int, patience_s: float) -> bytes:
    """The request's body; one that is too long or too slow is not read to its end."""
    length = request.headers.get("content-length", "0")
    body = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            if int(length) <= most:
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        break
    except TimeoutError:
        raise _Refused(408, "it did not come to its end in time; send it again") from None
    if max(int(length), len(body)) > most:
        raise _Refused(413, f"more than {most / 1e6:g} MB; send less")
    return bytes(body)


async def _transcribe(
    request: Request, state: _State, transcribe_both: TranscribeBoth, limits: Limits
) -> dict[str, Any]:
    if state.waiting >= _WAITING:
        raise _Refused(503, "busy; try again in a moment")
    state.waiting += 1
    try:
        audio = await _body(request, limits.megabytes * 1_000_000, limits.patience_s)
        samples = await run_in_threadpool(_read, audio, limits.seconds)
        hypotheses = list(await run_in_threadpool(_alone, state.lock, transcribe_both, samples))
    finally:
        state.waiting -= 1
    key = secrets.token_urlsafe(12)
    state.clips[key] = (samples, hypotheses)
    while len(state.clips) > _REMEMBERED:
        state.clips.popitem(last=False)
    words = diff_words(hypotheses[0].text, hypotheses[1].text)
    return {
        "id": key,
        "duration": len(samples) / SAMPLE_RATE_HZ,
        "models": [
            {"name": h.name, "text": h.text, "seconds": h.seconds, "words": w}
            for h, w in zip(hypotheses, words, strict=True)
        ],
    }


def _alone(
    lock: threading.Lock, transcribe_both: TranscribeBoth, samples: np.ndarray
) -> Sequence[Hypothesis]:
    with lock:
        return transcribe_both(samples)


def _read(audio: bytes, most_seconds: float) -> np.ndarray:
    """The samples; decoded a block at a time, since a small file can hold hours, whatever its head
    says."""
    import soundfile

    try:
        seconds = header_duration_s(io.BytesIO(audio))
        with errors_as_audio_error():
            head = soundfile.info(io.BytesIO(audio))
    except AudioError:
        raise _Refused(415, "this is no audio that can be read here") from None
    if head.channels > _MOST_CHANNELS or head.samplerate > _MOST_RATE_HZ:
        raise _Refused(415, f"{head.channels} channels of {head.samplerate:,} Hz are too many")
    blocks: list[np.ndarray] = []
    for block in audio_blocks(io.BytesIO(audio)) if seconds <= most_seconds else ():
        blocks.append(block)
        seconds = sum(map(len, blocks)) / SAMPLE_RATE_HZ
        if seconds > most_seconds:
            break
    if seconds > most_seconds:
        raise _Refused(413, f"{seconds:.0f} seconds; {most_seconds:.0f} at most")
    return np.concatenate(blocks)


async def _keep(
    request: Request, state: _State, corrected: CorrectedClips, limits: Limits
) -> dict[str, Any]:
    try:
        asked = json.loads(await _body(request, _JSON_BYTES, limits.patience_s))
        key, text, speaker = (str(asked[name]) for name in ("id", "text", "speaker"))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _Refused(400, "not understood; load the page again") from None
    if key not in state.clips:
        raise _Refused(410, "this clip is not remembered any more; send it again")
    # At once: a clip is kept once, also when that is asked for twice.
    samples, hypotheses = state.clips.pop(key)
    try:
        count = await run_in_threadpool(corrected.add, samples, text, speaker)
    except UserError:
        state.clips[key] = samples, hypotheses
        raise
    for h in hypotheses:
        state.edits.setdefault(h.name, []).append(word_edits(text, h.text))
    return {
        "count": count,
        "wer": {name: corpus_wer(edits) for name, edits in state.edits.items()},
        "words": sum(e.words for e in next(iter(state.edits.values()))),
    }
