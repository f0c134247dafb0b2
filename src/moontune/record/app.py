"""A page on this machine to record on: a sentence at a time, judged, heard, kept.

The application. A take is the page's until it is kept, so that nothing that fails here loses it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moontune.data.audio import read_audio
from moontune.record.session import session_state
from moontune.record.take_quality import take_quality
from moontune.report.html.templating import templates
from moontune.web.access_code import AccessCode, guards
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.page_files import SHARED, page_file
from moontune.web.requests import HEADERS, Limits, Refused, answer, body, words
from moontune.web.sounds import as_wav, read_upload
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_FILES = {
    "/record.js": (__package__, "record.js"),
    "/takes.js": (__package__, "takes.js"),
    "/record.css": (__package__, "record.css"),
    **SHARED,
}
_WAITING = 4  # uploads at once
TAKE_PATHS = ("/state", "/take", "/take/keep", "/take/sound", "/take/delete", "/take/restore")


@dataclass(frozen=True)
class Recording:
    """What the page is about."""

    sentences: Sequence[str]
    corrected: CorrectedClips
    speaker: str = ""  # before anybody writes another

    @property
    def training(self) -> NextTraining:
        return NextTraining([self.corrected.manifest])


@dataclass(frozen=True)
class _Take:
    """What a page sends of a take: a line of JSON, then the sound."""

    samples: np.ndarray  # float32 mono 16 kHz, (samples,)
    text: str
    speaker: str
    replaces: str | None  # key of the take in whose place it comes


def application(
    recording: Recording,
    limits: Limits,
    hosts: Sequence[str],
    code: AccessCode | None = None,
    *,
    job: TrainingJob | None = None,
) -> Starlette:
    """The server. `hosts` are the names it answers to. All but the page's own files is for the page
    alone, which alone knows the token. With a code, nothing is for who has not given it."""
    token, uploads = secrets.token_urlsafe(32), _Uploads(limits)
    job = job or TrainingJob(recording.training)

    async def page(request: Request) -> Response:
        html = (
            templates(__package__)
            .get_template("record.html.j2")
            .render(
                recording=recording,
                title=recording.corrected.folder.name,
                folder=str(recording.corrected.folder),
                token=token,
                seconds=limits.seconds,
            )
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    async def file(request: Request) -> Response:
        return page_file(*_FILES[request.url.path])

    async def asked(request: Request) -> Response:
        return await answer(request, token, lambda: _answered(request, recording, uploads))

    async def trained(request: Request) -> Response:
        return await answer(request, token, lambda: training_request(request, job))

    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(path, file) for path in _FILES),
            *(Route(path, asked, methods=["POST"]) for path in TAKE_PATHS),
            *(Route(path, trained, methods=["POST"]) for path in TRAINING_PATHS),
        ],
        middleware=guards(hosts, code),
    )
    app.router.redirect_slashes = False  # an address that is not its own leads nowhere
    return app


async def _answered(
    request: Request, recording: Recording, uploads: _Uploads
) -> dict[str, Any] | Response:
    """The answer to a request for one of TAKE_PATHS: a take's warnings, a sound, or the folder's
    state as it is then. Raises Refused, UserError and AudioError."""
    path, corrected, limits = request.url.path, recording.corrected, uploads.limits
    if path in ("/take", "/take/keep"):
        take = await uploads.read(request)
        if path == "/take":
            return {"warnings": take_quality(take.samples).warnings(take.text)}
        await run_in_threadpool(
            corrected.add, take.samples, take.text, take.speaker, take.text, take.replaces
        )
    elif path != "/state":
        [key] = await words(request, limits.patience_s, "key")
        if path == "/take/sound":
            wav = await run_in_threadpool(_wav, corrected, key, limits.seconds)
            return Response(wav, media_type="audio/wav", headers=HEADERS)
        change = corrected.delete if path == "/take/delete" else corrected.restore
        await run_in_threadpool(change, key)
    return await run_in_threadpool(
        session_state, corrected, recording.sentences, recording.training
    )


def _wav(corrected: CorrectedClips, key: str, most_seconds: float) -> bytes:
    return as_wav(read_audio(corrected.find(key).utterance.audio, most_seconds))


class _Uploads:
    """Takes on their way here, so many at once and no more."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting = 0

    async def read(self, request: Request) -> _Take:
        """Raises Refused."""
        if self._waiting >= _WAITING:
            raise Refused(503, "busy; try again in a moment")
        self._waiting += 1
        try:
            sent = await body(request, self.limits.megabytes * 1_000_000, self.limits.patience_s)
            head, _, audio = sent.partition(b"\n")
            text, speaker, replaces = _said_of_it(head)
            samples = await run_in_threadpool(read_upload, audio, self.limits.seconds)
        finally:
            self._waiting -= 1
        return _Take(samples, text, speaker, replaces)


def _said_of_it(head: bytes) -> tuple[str, str, str | None]:
    """Text, speaker and the take to replace. Raises Refused."""
    try:
        row = json.loads(head)
        text, speaker, replaces = row["text"], row["speaker"], row["replaces"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(400, "not understood; load the page again") from None
    return str(text), str(speaker), None if replaces is None else str(replaces)
