"""The names that a page answers to, and whether they let the network in."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from moontune.errors import UserError

_LAST_PORT = 65_535
_ANY = ("0.0.0.0", "::")


def check_port(port: int) -> None:
    """Raises UserError where there is no such port."""
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"--port {port}: give one of 0..{_LAST_PORT}; 0 is any that is free")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def written_out(host: str) -> str:
    """A short or numeric address, such as 0 or 127.1, in its usual form; anything else as it is."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return host


def hosts(host: str) -> list[str]:
    """Names the page answers to: a page elsewhere cannot reach it under a name of its own."""
    if host in _ANY:
        return [socket.gethostname(), "127.0.0.1", "localhost", "[::1]", *_own_addresses()]
    if is_loopback(host):
        return ["127.0.0.1", "localhost", "[::1]"]
    return [f"[{host}]" if ":" in host else host]


def named_address(address: str, host: str) -> str:
    """The address of a page as others of the network can open it: with this machine's own in place
    of "any"."""
    if host not in _ANY:
        return address
    own = next((a for a in [_outward_address(), *_own_addresses()] if a), socket.gethostname())
    return address.replace(f"[{host}]" if ":" in host else host, own, 1)


def _own_addresses() -> list[str]:
    """This machine's addresses in its networks, those of version 4 first."""
    found = [a for addresses in psutil.net_if_addrs().values() for a in addresses]
    v4 = [a.address for a in found if a.family == socket.AF_INET and not is_loopback(a.address)]
    v6 = [a.address for a in found if a.family == socket.AF_INET6]
    own_link = ("%", "fe80:")  # needs the name of a network card beside it
    return [*v4, *(f"[{a}]" for a in v6 if a != "::1" and not any(mark in a for mark in own_link))]


def _outward_address() -> str:
    """The address that this machine has where it reaches others; "" where it reaches none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("192.0.2.1", 9))  # nothing is sent: an address kept for examples
        except OSError:
            return ""
        return str(line.getsockname()[0])
