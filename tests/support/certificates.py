"""A certificate authority for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=1)


class Pem(NamedTuple):
    """Files that hold a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates that those believe who are given its own, `certificate`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._about(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = directory / f"{name}.pem"
        self.certificate.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def sign(self, name: str, hosts: Sequence[str] = ()) -> Pem:
        """A certificate for *hosts* in files called *name*; made again, it replaces the one before."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        about = self._about(subject, key)
        if hosts:
            about = about.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
        pem = Pem(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        pem.certificate.write_bytes(about.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pem.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pem

    def _about(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFETIME)
            .not_valid_after(now + LIFETIME)
        )
