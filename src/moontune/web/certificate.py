"""A certificate of this machine's own, made for one start of a page.

Browsers give the microphone to secure addresses only. No authority signs a name of a home network,
so the certificate signs itself, and a browser asks once whether to go on.
"""

from __future__ import annotations

import ipaddress
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moontune.errors import UserError

_LASTS = timedelta(days=90)
_BACK = timedelta(days=1)  # a phone's clock may be behind


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)  # encrypted by `password`
    password: str = field(repr=False)
    fingerprint: str  # SHA-256, as browsers show it: AB:CD:...

    @contextmanager
    def files(self) -> Iterator[tuple[Path, Path]]:
        """The certificate and the encrypted key as files, which end with the block."""
        with tempfile.TemporaryDirectory(prefix="moontune-") as folder:
            certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
            certificate.write_bytes(self.certificate)
            key.write_bytes(self.key)
            yield certificate, key


def make_certificate(names: Sequence[str]) -> Certificate:
    """A self-signed one for host names and addresses, IPv6 with or without brackets.

    Raises UserError where the library that makes it is not installed.
    """
    try:  # of the extra `serve`, and needed where the network is let in alone
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise UserError(
            f"--host: {error.name} is not installed, without which the network is not let in; "
            "install moontune with its extra: moontune[serve]"
        ) from None

    def alternative(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name.strip("[]").partition("%")[0]))
        except ValueError:
            return x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moontune on this machine")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    ascii_names = [name for name in dict.fromkeys(names) if name.isascii()]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _BACK)
        .not_valid_after(datetime.now(UTC) + _LASTS)
        .add_extension(x509.SubjectAlternativeName(map(alternative, ascii_names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )
    password = secrets.token_urlsafe(32)
    return Certificate(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        ),
        password,
        made.fingerprint(hashes.SHA256()).hex(":").upper(),
    )
