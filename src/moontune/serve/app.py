"""A page on this machine: speak or drop a file, see what base and tuned model write.

The application; the models are handed in.
"""

from __future__ import annotations

import io
import secrets
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
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    AudioError,
    audio_blocks,
    errors_as_audio_error,
    header_duration_s,
)
from moontune.errors import UserError
from moontune.evaluation.word_diff import diff_words
from moontune.report.html.templating import templates
from moontune.serve.corrected_clips import CorrectedClips
from moontune.serve.counts import Hypothesis, difference, sentence, with_confidences
from moontune.serve.kept_routes import KEPT_PATHS, kept_request
from moontune.serve.next_training import NextTraining
from moontune.serve.requests import HEADERS, Limits, Refused, answer, body, words

_REMEMBERED = 32  # clips that can still be kept
_WAITING = 4  # requests at once
_MOST_CHANNELS, _MOST_RATE_HZ = 8, 192_000  # a block of 10 s is 61 MB then
_REPORT = resources.files("moontune.report.html") / "templates"  # its style is this page's too
_SERVE = resources.files("moontune.serve") / "templates"
_FILES = {
    "/style.css": ("text/css", (_REPORT / "style.css", _SERVE / "serve.css")),
    "/serve.js": ("text/javascript", (_SERVE / "serve.js",)),
    "/kept.js": ("text/javascript", (_SERVE / "kept.js",)),
    "/request.js": ("text/javascript", (_SERVE / "request.js",)),
    "/recorder.js": ("text/javascript", (_SERVE / "recorder.js",)),
}

# From (samples,) of float32 mono 16 kHz to the transcripts of the models, one or two.
TranscribeAll = Callable[[np.ndarray], Sequence[Hypothesis]]


@dataclass(frozen=True)
class PageText:
    """What the page says before anybody speaks."""

    title: str
    models: int  # 1: the base alone
    training: NextTraining
    prompts: Sequence[str] = ()  # sentences to read


@dataclass
class _State:
    """Facts of the server beside its models."""

    clips: OrderedDict[str, tuple[np.ndarray, list[Hypothesis]]] = field(
        default_factory=OrderedDict
    )
    kept: list[tuple[str, list[Hypothesis]]] = field(default_factory=list)  # since the start
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def application(
    text: PageText,
    transcribe_all: TranscribeAll,
    corrected: CorrectedClips,
    limits: Limits,
    hosts: Sequence[str],
) -> Starlette:
    """The server. `hosts` are the names it answers to; all but the page's own files is for the page
    alone, which alone knows the token."""
    token, state = secrets.token_urlsafe(32), _State()

    async def page(request: Request) -> Response:
        html = (
            templates(__package__)
            .get_template("serve.html.j2")
            .render(text=text, token=token, folder=str(corrected.folder), seconds=limits.seconds)
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    async def file(request: Request) -> Response:
        kind, files = _FILES[request.url.path]
        content = "".join(file.read_text(encoding="utf-8") for file in files)
        return Response(content, media_type=kind, headers=HEADERS)

    async def transcribe(request: Request) -> Response:
        return await answer(
            request, token, lambda: _transcribe(request, state, transcribe_all, limits)
        )

    async def keep(request: Request) -> Response:
        return await answer(request, token, lambda: _keep(request, state, corrected, limits))

    async def kept(request: Request) -> Response:
        return await answer(
            request, token, lambda: kept_request(request, corrected, text.training, limits)
        )

    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(path, file) for path in _FILES),
            Route("/transcribe", transcribe, methods=["POST"]),
            Route("/keep", keep, methods=["POST"]),
            *(Route(path, kept, methods=["POST"]) for path in KEPT_PATHS),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )
    app.router.redirect_slashes = False  # an address that is not its own leads nowhere
    return app


async def _transcribe(
    request: Request, state: _State, transcribe_all: TranscribeAll, limits: Limits
) -> dict[str, Any]:
    if state.waiting >= _WAITING:
        raise Refused(503, "busy; try again in a moment")
    state.waiting += 1
    try:
        audio = await body(request, limits.megabytes * 1_000_000, limits.patience_s)
        samples = await run_in_threadpool(_read, audio, limits.seconds)
        hypotheses = list(await run_in_threadpool(_alone, state.lock, transcribe_all, samples))
    finally:
        state.waiting -= 1
    key = secrets.token_urlsafe(12)
    state.clips[key] = (samples, hypotheses)
    while len(state.clips) > _REMEMBERED:
        state.clips.popitem(last=False)
    marked = diff_words(hypotheses[0].text, hypotheses[-1].text)
    return {
        "id": key,
        "duration": len(samples) / SAMPLE_RATE_HZ,
        "difference": difference(hypotheses),
        "same": len({h.text for h in hypotheses}) == 1,
        "models": [
            {
                "name": h.name,
                "text": h.text,
                "seconds": h.seconds,
                "words": with_confidences(w, h.confidences),
                "calibration": h.calibration,
            }
            for h, w in zip(hypotheses, marked, strict=False)
        ],
    }


def _alone(
    lock: threading.Lock, transcribe_all: TranscribeAll, samples: np.ndarray
) -> Sequence[Hypothesis]:
    with lock:
        return transcribe_all(samples)


def _read(audio: bytes, most_seconds: float) -> np.ndarray:
    """The samples; decoded a block at a time, since a small file can hold hours, whatever its head
    says."""
    import soundfile

    try:
        seconds = header_duration_s(io.BytesIO(audio))
        with errors_as_audio_error():
            head = soundfile.info(io.BytesIO(audio))
    except AudioError:
        raise Refused(415, "this is no audio that can be read here") from None
    if head.channels > _MOST_CHANNELS or head.samplerate > _MOST_RATE_HZ:
        raise Refused(415, f"{head.channels} channels of {head.samplerate:,} Hz are too many")
    blocks: list[np.ndarray] = []
    for block in audio_blocks(io.BytesIO(audio)) if seconds <= most_seconds else ():
        blocks.append(block)
        seconds = sum(map(len, blocks)) / SAMPLE_RATE_HZ
        if seconds > most_seconds:
            break
    if seconds > most_seconds:
        raise Refused(413, f"{seconds:.0f} seconds; {most_seconds:.0f} at most")
    return np.concatenate(blocks)


async def _keep(
    request: Request, state: _State, corrected: CorrectedClips, limits: Limits
) -> dict[str, Any]:
    key, text, speaker = await words(request, limits.patience_s, "id", "text", "speaker")
    if key not in state.clips:
        raise Refused(410, "this clip is not remembered any more; send it again")
    # At once: a clip is kept once, also when that is asked for twice.
    samples, hypotheses = state.clips.pop(key)
    try:
        count = await run_in_threadpool(corrected.add, samples, text, speaker)
    except UserError:
        state.clips[key] = samples, hypotheses
        raise
    state.kept.append((text, hypotheses))
    return {
        "count": count,
        "errors": sentence(state.kept[-1:]),
        "since_start": sentence(state.kept) if len(state.kept) > 1 else "",
    }
