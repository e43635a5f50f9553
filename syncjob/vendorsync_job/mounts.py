"""The Secrets of a run: folders of files, one file for each key, as Kubernetes mounts them.

The mounts are optional, so that a missing Secret does not leave the pod waiting without a word:
the run itself says which Secret, in which namespace, and which keys it wants. Outside a pod, where
the folder is another one, it also says which files it looked for.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from vendorsync_api.run import (
    CREDENTIALS_PATH,
    DATABASE_PATH,
    MOUNTS,
    TOKEN_KEYS_PATH,
    TOKEN_KEYS_SECRET,
)
from vendorsync_job.errors import (
    ConfigurationError,
    SecretKeyMissingError,
    SecretMissingError,
)
from vendorsync_job.models import Veiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vendorsync_api.policy import VendorPolicy
    from vendorsync_api.run import RunSpec

KEY_BYTES = 32
CURRENT = "current"
FINGERPRINT = "fingerprint"
FINGERPRINT_BYTES = 16
"""Fewer could be found by trying."""
TOKEN_KEYS_WANTED = (CURRENT, "the key that it names", FINGERPRINT)
SAMPLE = b"CHANGE-ME"
"""Stands in manifests/samples/secrets.yaml for each value that a person has to fill in."""


class Secret(Veiled, frozen=True):
    """What is mounted of one Secret; `namespace` and `name` are for messages.

    `folder` is None in a pod, whose reader knows Secrets and not where they are mounted.
    """

    hidden = ("files",)

    name: str
    namespace: str
    files: Mapping[str, bytes]
    folder: Path | None = None

    def require(self, wanted: Iterable[str], missing: Iterable[str]) -> None:
        """Raise the error that names what is missing, if anything is."""
        keys = ", ".join(wanted)
        looked = f"; looked for files in {self.folder}" if self.folder else ""
        if not self.files:
            raise SecretMissingError(
                f"create Secret {self.name} in namespace {self.namespace} with the keys {keys};"
                f" it is missing or empty{looked}"
            )
        absent = ", ".join(missing)
        if absent:
            raise SecretKeyMissingError(
                f"add to Secret {self.name} in namespace {self.namespace} the missing keys"
                f" {absent}; it needs {keys}{looked}"
            )

    def refuse_sample(self, keys: Iterable[str]) -> None:
        """Raise the error that names the first of these keys whose value nobody filled in."""
        for key in sorted(keys):
            value = self.files.get(key, b"").strip()
            if value == SAMPLE or b":%b@" % SAMPLE in value:
                raise self.fault(
                    key, "still holds the sample's CHANGE-ME; put the real value there"
                )

    def fault(self, key: str, saying: str) -> SecretKeyMissingError:
        """Return the error that says something about one key."""
        where = f"; the file is {self.folder / key}" if self.folder else ""
        return SecretKeyMissingError(
            f"key {key} of Secret {self.name} in namespace {self.namespace} {saying}{where}"
        )

    def text(self, key: str) -> str:
        """Return one value as text, without one newline at its end."""
        try:
            return self.files[key].decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise self.fault(key, "is not UTF-8 text") from None


class TokenKeys(Veiled, frozen=True):
    """Keys that encrypt tokens, by id; `fingerprint` tells credentials apart and never changes."""

    hidden = ("keys", "fingerprint")

    keys: Mapping[str, bytes]
    current: str
    fingerprint: bytes


class Mounts:
    """The Secrets below one folder."""

    def __init__(self, root: Path, spec: RunSpec) -> None:
        self.root = root
        self._spec = spec

    def credentials(self, policy: VendorPolicy) -> dict[str, str]:
        """Return the vendor's credentials, or raise an error naming Secret and keys."""
        secret = self._read(CREDENTIALS_PATH, self._spec.credentials.name)
        wanted = [" or ".join(group) for group in policy.secret_keys]
        secret.require(wanted, policy.missing_keys(_filled(secret)))
        secret.refuse_sample(policy.keys)
        # A shared Secret may hold more, in any form.
        return {key: secret.text(key) for key in sorted(policy.keys & secret.files.keys())}

    def database_url(self) -> str:
        """Return the connection string of the database."""
        key = self._database_key
        secret = self._read(DATABASE_PATH, self._spec.database.name)
        secret.require([key], {key} - _filled(secret))
        secret.refuse_sample([key])
        return secret.text(key).strip()

    def token_keys(self) -> TokenKeys:
        """Return the token keys; those that are not 32 bytes are left out."""
        secret = self._read(TOKEN_KEYS_PATH, TOKEN_KEYS_SECRET)
        filled = _filled(secret)
        secret.require(
            TOKEN_KEYS_WANTED, [key for key in (CURRENT, FINGERPRINT) if key not in filled]
        )
        secret.refuse_sample(filled)
        current = secret.text(CURRENT).strip()
        secret.require(TOKEN_KEYS_WANTED, {current} - filled)
        keys = {
            name: key
            for name, raw in secret.files.items()
            if name not in (CURRENT, FINGERPRINT) and (key := _key(raw)) is not None
        }
        if current not in keys:
            raise secret.fault(current, "is not 32 bytes; write them raw or in base64")
        fingerprint = secret.files[FINGERPRINT].strip()
        if len(_decoded(fingerprint) or fingerprint) < FINGERPRINT_BYTES:
            raise secret.fault(
                FINGERPRINT,
                f"is shorter than {FINGERPRINT_BYTES} bytes; write random ones, raw or in base64",
            )
        # As written, not decoded: another form would be another key to every stored account.
        return TokenKeys(keys, current, fingerprint)

    def absent_for_run(self) -> list[str]:
        """Return which folders a run needs, with their keys, that hold nothing yet."""
        folders = {DATABASE_PATH: [self._database_key], TOKEN_KEYS_PATH: TOKEN_KEYS_WANTED}
        return [
            f"{Path(path).name}/ ({', '.join(keys)})"
            for path, keys in folders.items()
            if not self._read(path, "").files
        ]

    @property
    def _database_key(self) -> str:
        return next(iter(self._spec.database.keys), "url")

    def _read(self, path: str, name: str) -> Secret:
        in_pod = self.root == Path(MOUNTS)
        if not in_pod and not self.root.is_dir():
            raise ConfigurationError(f"folder {self.root} of --mounts does not exist")
        folder = self.root / Path(path).relative_to(MOUNTS)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        # Kubernetes keeps the files of a version in folders whose names begin with two dots.
        found = {
            file.name: file.read_bytes()
            for file in files
            if file.is_file() and not file.name.startswith("..")
        }
        return Secret(name, self._spec.resource.namespace, found, None if in_pod else folder)


def secrets_of(
    policy: VendorPolicy, credentials: Mapping[str, str], database_url: str = ""
) -> list[str]:
    """Return the values that no log may show; an optional key such as a country code is none.

    What libpq takes for the URL's password is known only when the database is opened.
    """
    hidden = [text for key, text in credentials.items() if key not in policy.optional_keys]
    if not database_url:
        return hidden
    try:
        password = urlsplit(database_url).password or ""
    except ValueError:
        password = ""
    return [*hidden, database_url, password, unquote(password)]


def _filled(secret: Secret) -> set[str]:
    return {key for key, value in secret.files.items() if value.strip()}


def _key(raw: bytes) -> bytes | None:
    if len(raw) == KEY_BYTES:
        return raw
    decoded = _decoded(raw)
    return decoded if decoded is not None and len(decoded) == KEY_BYTES else None


def _decoded(raw: bytes) -> bytes | None:
    """Return what base64 of either alphabet, padded or not, stands for; None if it is none."""
    try:
        text = raw.strip().replace(b"-", b"+").replace(b"_", b"/")
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
