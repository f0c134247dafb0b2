"""The page's server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from moontune.review.answers import PATHS, answered
from moontune.review.desk import Desk
from moontune.web.access_code import AccessCode, guards
from moontune.web.pages import KEYS, SHARED, page_application
from moontune.web.requests import Limits
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_HERE = "moontune.review"
_FILES = {
    "/review.js": (_HERE, "review.js"),
    "/review_list.js": (_HERE, "review_list.js"),
    "/review.css": (_HERE, "review.css"),
    "/style.css": SHARED["/style.css"],
    "/request.js": SHARED["/request.js"],
    **KEYS,
    "/training.js": SHARED["/training.js"],
}


@dataclass(frozen=True)
class PageText:
    """What the page says before a clip is shown."""

    title: str
    reviewed: str  # the file that is written
    models: Sequence[str]  # names of those that listen


def application(
    text: PageText,
    desk: Desk,
    hosts: Sequence[str],
    code: AccessCode | None = None,
    *,
    job: TrainingJob | None = None,
) -> Starlette:
    """The server. `hosts` are the names it answers to; all but the page's own files is for the page
    alone, which alone knows the token. With a code, nothing is for who has not given it."""
    limits, job = Limits(), job or TrainingJob(desk.training)

    async def asked(request: Request) -> dict[str, Any] | Response:
        return await answered(request, desk, limits)

    async def trained(request: Request) -> dict[str, Any]:
        if request.url.path == "/training/start":
            await run_in_threadpool(desk.writer.write)  # what was decided a moment ago too
        return await training_request(request, job)

    return page_application(
        (_HERE, "review.html.j2"),
        {"text": text, "command": desk.training.command},
        _FILES,
        {**dict.fromkeys(PATHS, asked), **dict.fromkeys(TRAINING_PATHS, trained)},
        guards(hosts, code),
        lifespan=lambda app: _working(desk),
    )


@asynccontextmanager
async def _working(desk: Desk) -> AsyncIterator[None]:
    """While the server is up: models listen, and the reviewed manifest is written; at the end it is
    whole, whatever signal ended the server."""
    desk.listening.start()
    desk.writer.start()
    yield
    await run_in_threadpool(desk.listening.end)
    await run_in_threadpool(desk.writer.end)
