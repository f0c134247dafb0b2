"""The page's server."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moontune.report.html.templating import templates
from moontune.review.answers import PATHS, answered
from moontune.review.desk import Desk
from moontune.web.next_training import ENOUGH_CLIPS, NextTraining
from moontune.web.page_files import SHARED, page_file
from moontune.web.requests import HEADERS, Limits, answer
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_FILES = {
    "/review.js": (__package__, "review.js"),
    "/review_list.js": (__package__, "review_list.js"),
    "/review.css": (__package__, "review.css"),
    "/style.css": SHARED["/style.css"],
    "/request.js": SHARED["/request.js"],
    "/training.js": SHARED["/training.js"],
}


@dataclass(frozen=True)
class PageText:
    """What the page says before a clip is shown."""

    title: str
    reviewed: str  # the file that is written
    models: Sequence[str]  # names of those that listen
    training: NextTraining
    enough: int = ENOUGH_CLIPS  # reviewed clips from which a training is offered


def application(
    text: PageText, desk: Desk, hosts: Sequence[str], job: TrainingJob | None = None
) -> Starlette:
    """The server. `hosts` are the names it answers to; all but the page's own files is for the page
    alone, which alone knows the token."""
    token, limits = secrets.token_urlsafe(32), Limits()
    job = job or TrainingJob(text.training)

    async def page(request: Request) -> Response:
        template = templates(__package__).get_template("review.html.j2")
        html = template.render(text=text, token=token)
        return Response(html, media_type="text/html", headers=HEADERS)

    async def file(request: Request) -> Response:
        return page_file(*_FILES[request.url.path])

    async def ask(request: Request) -> Response:
        return await answer(request, token, lambda: answered(request, desk, limits))

    async def written_and_asked(request: Request) -> dict[str, Any]:
        if request.url.path == "/training/start":
            await run_in_threadpool(desk.writer.write)  # what was decided a moment ago too
        return await training_request(request, job)

    async def trained(request: Request) -> Response:
        return await answer(request, token, lambda: written_and_asked(request))

    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(path, file) for path in _FILES),
            *(Route(path, ask, methods=["POST"]) for path in PATHS),
            *(Route(path, trained, methods=["POST"]) for path in TRAINING_PATHS),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        lifespan=lambda app: _working(desk),
    )
    app.router.redirect_slashes = False  # an address that is not its own leads nowhere
    return app


@asynccontextmanager
async def _working(desk: Desk) -> AsyncIterator[None]:
    """While the server is up: models listen, and the reviewed manifest is written; at the end it is
    whole, whatever signal ended the server."""
    desk.listening.start()
    desk.writer.start()
    yield
    desk.listening.end()
    await run_in_threadpool(desk.writer.end)
