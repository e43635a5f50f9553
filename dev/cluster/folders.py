"""Where things are kept: what can be made again in the cache, one folder of state per cluster."""

import fcntl
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of binaries and images, shared by all checkouts of this user."""
    if own := environ.get("VENDORSYNC_CACHE"):
        return Path(own).absolute()
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vendorsync"


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds one folder for each cluster of this user."""
    if own := environ.get("VENDORSYNC_STATE"):
        return Path(own).absolute()
    base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "vendorsync"


def architecture() -> str:
    """Return this machine's architecture under the name that Go and images use."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`; call `waiting` once when another process holds it.

    The kernel drops the lock with the process, so a killed holder blocks nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
