"""A page on this machine to record on: a sentence at a time, judged, heard, kept.

The application. A take is the page's until it is kept, so that nothing that fails here loses it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from moontune.record.session import session_state
from moontune.record.take_quality import take_quality
from moontune.web.access_code import AccessCode, guards
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.pages import KEYS, SHARED, page_application
from moontune.web.requests import Limits, Refused, body, words
from moontune.web.sounds import read_upload, sound_of
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_HERE = "moontune.record"
_FILES = {
    "/record.js": (_HERE, "record.js"),
    "/takes.js": (_HERE, "takes.js"),
    "/record.css": (_HERE, "record.css"),
    **KEYS,
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
    uploads, job = _Uploads(limits), job or TrainingJob(recording.training)

    async def asked(request: Request) -> dict[str, Any] | Response:
        return await _answered(request, recording, uploads)

    async def trained(request: Request) -> dict[str, Any]:
        return await training_request(request, job)

    folder = recording.corrected.folder
    return page_application(
        (_HERE, "record.html.j2"),
        {
            "recording": recording,
            "title": folder.name,
            "folder": str(folder),
            "seconds": limits.seconds,
        },
        _FILES,
        {**dict.fromkeys(TAKE_PATHS, asked), **dict.fromkeys(TRAINING_PATHS, trained)},
        guards(hosts, code),
    )


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
            clip = await run_in_threadpool(corrected.find, key)
            return await sound_of(clip.utterance, limits.seconds)
        change = corrected.delete if path == "/take/delete" else corrected.restore
        await run_in_threadpool(change, key)
    return await run_in_threadpool(
        session_state, corrected, recording.sentences, recording.training
    )


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
        "".join([text, speaker, "" if replaces is None else replaces])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(400, "not understood; load the page again") from None
    return text, speaker, replaces
