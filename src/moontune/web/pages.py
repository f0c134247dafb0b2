"""A page: itself, its files, and what it asks of its server.

All but the page and its files is for the page alone, which alone knows the token of its start.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moontune.report.html.templating import templates
from moontune.web.requests import HEADERS, answer

Work = Callable[[Request], Awaitable[dict[str, Any] | Response]]
File = tuple[str, str]  # the package and the name below its `templates`

_HERE = "moontune.web"
_KINDS = {"css": "text/css", "js": "text/javascript"}
_STYLES = (("moontune.report.html", "style.css"), (_HERE, "page.css"))
# By address.
SHARED: Mapping[str, File] = {
    "/style.css": (_HERE, "page.css"),
    "/training.js": (_HERE, "training.js"),
    "/request.js": (_HERE, "request.js"),
    "/microphone.js": (_HERE, "microphone.js"),
    "/recorder.js": (_HERE, "recorder.js"),
}
KEYS: Mapping[str, File] = {"/keys.js": (_HERE, "keys.js")}  # of pages that are worked by keys


def page_application(
    page: File,
    values: Mapping[str, Any],
    files: Mapping[str, File],
    work: Mapping[str, Work],
    guards: Sequence[Middleware],
    **more: Any,
) -> Starlette:
    """The server of a page.

    `values` are those of its template, `files` and `work` by address; `guards` is what a request
    has to pass. `more` is for Starlette.
    """
    token = secrets.token_urlsafe(32)

    async def shown(request: Request) -> Response:
        html = templates(page[0]).get_template(page[1]).render(values, token=token)
        return Response(html, media_type="text/html", headers=HEADERS)

    async def file(request: Request) -> Response:
        return page_file(*files[request.url.path])

    async def asked(request: Request) -> Response:
        return await answer(request, token, lambda: work[request.url.path](request))

    routes = [
        Route("/", shown),
        *(Route(path, file) for path in files),
        *(Route(path, asked, methods=["POST"]) for path in work),
    ]
    app = Starlette(routes=routes, middleware=list(guards), **more)
    app.router.redirect_slashes = False  # an address that is not its own leads nowhere
    return app


def page_file(package: str, name: str) -> Response:
    """A file of a package's `templates`; the pages' style stands on that of the reports."""
    files = _STYLES if name == "page.css" else ((package, name),)
    parts = [resources.files(p) / "templates" / n for p, n in files]
    content = "".join(part.read_text(encoding="utf-8") for part in parts)
    return Response(content, media_type=_KINDS[name.rsplit(".", 1)[1]], headers=HEADERS)
