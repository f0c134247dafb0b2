"""The names that a page answers to, and whether they let the network in."""

from __future__ import annotations

import ipaddress
import socket

from moontune.errors import UserError

_LAST_PORT = 65_535


def check_port(port: int) -> None:
    """Raises UserError where there is no such port."""
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"--port {port}: give one of 0..{_LAST_PORT}; 0 is any that is free")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts(host: str) -> list[str]:
    """Names the page answers to: a page elsewhere cannot reach it under a name of its own."""
    if host in ("0.0.0.0", "::"):
        return [socket.gethostname(), "127.0.0.1", "localhost", "[::1]", *_own_addresses()]
    if is_loopback(host):
        return ["127.0.0.1", "localhost", "[::1]"]
    return [f"[{host}]" if ":" in host else host]


def _own_addresses() -> list[str]:
    """This machine's own addresses."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return []
    return [f"[{a}]" if ":" in str(a) else str(a) for a in addresses]
