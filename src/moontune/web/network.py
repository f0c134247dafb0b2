"""The network let in: by a code, over HTTPS, and told how in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moontune.web.access_code import AccessCode
from moontune.web.certificate import Certificate, make_certificate
from moontune.web.hosts import hosts, is_loopback, named_address, written_out


@dataclass(frozen=True)
class Access:
    """Who may reach a page: this machine alone, or its network with a code and a certificate."""

    host: str
    names: list[str]  # that it answers to
    code: AccessCode | None = None
    certificate: Certificate | None = None

    def lines(self) -> list[str]:
        """How to come in from the network, for the terminal; none where only this machine can."""
        if self.code is None or self.certificate is None:
            return []
        return [
            f"its code: {self.code.code}   (each device is asked once; a code is good once)",
            f"the browser will warn once, since the certificate is this machine's own; its SHA-256 "
            f"fingerprint: {self.certificate.fingerprint}",
        ]

    def address(self, bound: str) -> str:
        """Where the page is opened."""
        return named_address(bound, self.host)


def access(host: str, tell: Callable[[str], None]) -> Access:
    """Of a page that listens on `host`; `tell` gets a line for what the code does.

    Raises UserError where the network cannot be let in.
    """
    host = written_out(host)
    names = hosts(host)
    if is_loopback(host):
        return Access(host, names)
    return Access(host, names, AccessCode(tell), make_certificate(names))
