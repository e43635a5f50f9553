"""Certificates of the simulators, from an authority that serves nothing else."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM texts: the authority, the server's chain and the server's key."""

    ca: bytes
    chain: bytes
    key: bytes

    def write(self, folder: Path) -> Path:
        """Write `ca.crt`, `tls.crt` and `tls.key`, the names a Secret uses; give the first."""
        folder.mkdir(parents=True, exist_ok=True)
        authority = folder / "ca.crt"
        authority.write_bytes(self.ca)
        (folder / "tls.crt").write_bytes(self.chain)
        key = folder / "tls.key"
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return authority


@cache
def issue(hosts: tuple[str, ...] = LOCAL_HOSTS, not_after: datetime | None = None) -> Certificates:
    """Issue a certificate for host names and addresses; once per process for the same ones."""
    import trustme  # noqa: PLC0415 - a container with mounted certificates does without it

    authority = trustme.CA()
    leaf = authority.issue_cert(*hosts, not_after=not_after)
    return Certificates(
        ca=authority.cert_pem.bytes(),
        chain=b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        key=leaf.private_key_pem.bytes(),
    )


def server_context(folder: Path) -> ssl.SSLContext:
    """Load a folder that `Certificates.write` made, or a Secret with the same names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context
