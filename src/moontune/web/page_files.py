"""Files of a page: its style, and what several pages run in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from starlette.responses import Response

from moontune.web.requests import HEADERS

_HERE = "moontune.web"
_WEB = "moontune.web"
_KINDS = {"css": "text/css", "js": "text/javascript"}
_STYLES = (("moontune.report.html", "style.css"), (_HERE, "page.css"))
# From the address to the package and the file, or files one after the other.
SHARED: Mapping[str, tuple[str, str]] = {
    "/style.css": (_HERE, "page.css"),
    "/training.js": (_WEB, "training.js"),
    "/request.js": (_HERE, "request.js"),
    "/microphone.js": (_HERE, "microphone.js"),
    "/recorder.js": (_HERE, "recorder.js"),
}


def page_file(package: str, name: str) -> Response:
    """A file of a package's `templates`; the pages' style stands on that of the reports."""
    files = _STYLES if name == "page.css" else ((package, name),)
    parts = [resources.files(p) / "templates" / n for p, n in files]
    content = "".join(part.read_text(encoding="utf-8") for part in parts)
    return Response(content, media_type=_KINDS[name.rsplit(".", 1)[1]], headers=HEADERS)
