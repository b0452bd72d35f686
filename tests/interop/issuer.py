"""Certificates: modern ones made with `cryptography`, classic ones with certs/make.sh."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MAKE = Path(__file__).parents[2] / "certs" / "make.sh"
DAY = timedelta(days=1)


@dataclass
class Made:
    """A chain and its key, as PEM files."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text().split("-----END")[0]
                                       + "-----END CERTIFICATE-----\n")
        return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


class Authority:
    """A root, or one below another; issues certificates into a folder."""

    def __init__(self, folder: Path, name: str, above: "Authority | None" = None):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.above = above
        builder = self.builder(self.subject, self.key.public_key(), 3650)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
        signer = above or self
        builder = builder.issuer_name(signer.subject)
        self.own = builder.sign(signer.key, hashes.SHA256())
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(pem(self.own))

    @staticmethod
    def builder(subject: x509.Name, key, days: int) -> x509.CertificateBuilder:
        """Valid since 30 days ago; with negative `days` it is over."""
        now = datetime.now(timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).public_key(key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - 30 * DAY).not_valid_after(now + days * DAY))

    def issue(self, name: str, *hosts: str, days: int = 365, alone: bool = False) -> Made:
        """For these hosts; `alone`: signed by its own key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self.builder(subject, key.public_key(), days)
        if hosts:
            names = x509.SubjectAlternativeName([general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        builder = builder.issuer_name(subject if alone else self.subject)
        certificate = builder.sign(key if alone else self.key, hashes.SHA256())
        chain = pem(certificate) + (pem(self.own) if self.above and not alone else b"")
        made = Made(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        made.certificate.write_bytes(chain)
        made.key.touch(0o600)
        made.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return made


def general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def classic(folder: Path) -> dict[str, Made]:
    """Root, server and client of X.509 v1; the client is SN-4711."""
    done = subprocess.run([str(MAKE), "classic", str(folder)], env={**os.environ, "KEY": "ec"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {who: Made(folder / f"{who}.crt", folder / f"{who}.key")
            for who in ("root", "server", "client")}
