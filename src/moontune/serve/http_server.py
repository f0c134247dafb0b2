"""The HTTP server of `moontune serve`, and how long it has patience with who says nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette

_CONNECTIONS = 32  # at once; one more is told to come back


def server(app: Starlette, patience_s: float) -> uvicorn.Server:
    """A server for `app`. A connection on which nothing is being answered is closed after
    `patience_s`, at most twice that: one that never ends its head, or its body once refused."""

    class Connection(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(patience_s, self._look)

        def _look(self) -> None:
            answering: Any = self.cycle
            if answering is None or answering.response_complete:
                self.transport.abort()
            elif not self.transport.is_closing():
                self.loop.call_later(patience_s, self._look)

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
        )
    )
