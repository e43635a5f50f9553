"""Encryption of tokens at rest: AES-256-GCM, bound to the account and column they belong to.

A stored text is `v1:<key id>:<nonce>:<ciphertext>`, both in base64url. Every key of the Secret can
be read with; the one that `current` names writes.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "v1"
NONCE = 12


class UnreadableError(ValueError):
    """The text cannot be decrypted: its key is gone, or it belongs elsewhere."""


class Ciphers:
    """The token keys: `keys` are 32 bytes by id, `current` is the id that writes."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = current

    def encrypt(self, text: str, *, account: bytes, column: str) -> str:
        """Return the text for storing in that column of that account."""
        nonce = os.urandom(NONCE)
        sealed = self._ciphers[self.current].encrypt(nonce, text.encode(), _bound(account, column))
        return ":".join((VERSION, self.current, _encoded(nonce), _encoded(sealed)))

    def decrypt(self, stored: str, *, account: bytes, column: str) -> str:
        """Return the text, or raise UnreadableError."""
        version, _, rest = stored.partition(":")
        key_id, _, rest = rest.partition(":")
        nonce, _, sealed = rest.partition(":")
        if version != VERSION or key_id not in self._ciphers:
            raise UnreadableError(f"no key for format {version[:8]!r}, key id {key_id[:40]!r}")
        try:
            opened = self._ciphers[key_id].decrypt(
                _decoded(nonce), _decoded(sealed), _bound(account, column)
            )
            return opened.decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise UnreadableError(f"key {key_id!r} does not open it") from None


def _bound(account: bytes, column: str) -> bytes:
    return account + column.encode()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)
