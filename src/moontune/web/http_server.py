"""The HTTP server of a page, and its patience with connections that say nothing."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from moontune.errors import UserError
from moontune.web.certificate import Certificate
from moontune.web.network import Access

if TYPE_CHECKING:
    from starlette.applications import Starlette

_CONNECTIONS = 32  # at once; one more is told to come back


def server(
    app: Starlette, patience_s: float, certificate: Certificate | None = None
) -> uvicorn.Server:
    """A server for `app`, of HTTPS where there is a certificate. A connection on which nothing is
    being answered is closed after `patience_s`, at most twice that: one that never ends its head,
    or its body once refused."""

    class Connection(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(patience_s, self._close_if_idle)

        def _close_if_idle(self) -> None:
            answering: Any = self.cycle
            if answering is None or answering.response_complete:
                self.transport.abort()
            elif not self.transport.is_closing():
                self.loop.call_later(patience_s, self._close_if_idle)

    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
    )
    if certificate is not None:
        with certificate.files() as (config.ssl_certfile, config.ssl_keyfile):
            config.ssl_keyfile_password = certificate.password
            config.load()  # reads them
    return uvicorn.Server(config)


def serve_at(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[str], None],
    patience_s: float = 60.0,
    certificate: Certificate | None = None,
) -> None:
    """Serve until interrupted, with a certificate over HTTPS; `ready` is told the address.

    Raises UserError if the port is taken, or `host` is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            remedy = "give another --host, of this machine's own"
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                remedy = "give another --port, or 0 for any that is free"
            raise UserError(f"{host}:{port}: {error.strerror}; {remedy}") from None
        listening.listen(16)
        bound = listening.getsockname()[1]
        scheme = "http" if certificate is None else "https"
        ready(f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound}/")
        asyncio.run(server(app, patience_s, certificate).serve(sockets=[listening]))


def serve_page(
    app: Starlette,
    may: Access,
    port: int,
    tell: Callable[[str], None],
    says: str,
    *,
    open_page: bool,
    first: Callable[[], None] = lambda: None,
) -> None:
    """Serve a page until interrupted, for those that `may`; `tell` gets the line with its address
    and `says`, and `open_page` opens it in a browser. `first` is done once the port is held.

    Raises UserError as `serve_at` does.
    """

    def ready(bound: str) -> None:
        first()
        address = may.address(bound)
        tell(f"open {address}   ({says})")
        for line in may.lines():
            tell(line)
        if open_page:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve_at(app, may.host, port, ready, certificate=may.certificate)
