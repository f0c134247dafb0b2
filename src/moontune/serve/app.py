"""A page on this machine: speak or drop a file, see what base and tuned model write.

The application; the models are handed in.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.errors import UserError
from moontune.evaluation.word_diff import diff_words
from moontune.languages.table import current
from moontune.report.html.templating import templates
from moontune.serve.counts import Hypothesis, difference, sentence, with_confidences
from moontune.serve.kept_routes import KEPT_PATHS, kept_request
from moontune.web.access_code import AccessCode, guards
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.page_files import SHARED, page_file
from moontune.web.requests import HEADERS, Limits, Refused, answer, body, words
from moontune.web.sounds import read_upload
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_REMEMBERED = 32  # clips that can still be kept
_WAITING = 4  # requests at once
_FILES = {
    "/serve.js": (__package__, "serve.js"),
    "/kept.js": (__package__, "kept.js"),
    **SHARED,
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
    code: AccessCode | None = None,
    *,
    job: TrainingJob | None = None,
) -> Starlette:
    """The server. `hosts` are the names it answers to; all but the page's own files is for the page
    alone, which alone knows the token. With a code, nothing is for who has not given it."""
    token, state = secrets.token_urlsafe(32), _State()
    job = job or TrainingJob(text.training)

    async def page(request: Request) -> Response:
        html = (
            templates(__package__)
            .get_template("serve.html.j2")
            .render(text=text, token=token, folder=str(corrected.folder), seconds=limits.seconds)
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    async def file(request: Request) -> Response:
        return page_file(*_FILES[request.url.path])

    async def transcribe(request: Request) -> Response:
        return await answer(
            request, token, lambda: _transcribe(request, state, transcribe_all, limits)
        )

    async def keep(request: Request) -> Response:
        return await answer(request, token, lambda: _keep(request, state, corrected, limits))

    async def trained(request: Request) -> Response:
        return await answer(request, token, lambda: training_request(request, job))

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
            *(Route(path, trained, methods=["POST"]) for path in TRAINING_PATHS),
        ],
        middleware=guards(hosts, code),
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
        samples = await run_in_threadpool(read_upload, audio, limits.seconds)
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
        "gap": " " if current().spaced else "",
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
