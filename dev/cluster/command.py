"""Calling other programs, and waiting for what they bring about."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.cluster.errors import CommandError, NotReadyError

POLL_SECONDS = 0.05
# Missing from the PATH of some users, and where much of what a node needs lives.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path(environ: Mapping[str, str] = os.environ) -> str:
    """Return PATH with the folders of system programs."""
    return os.pathsep.join([environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Return what the program prints; its own words are part of the error when it fails.

    A `stdin` that is a path is read from that file.
    """
    words = [str(word) for word in argv]
    environ = os.environ if env is None else env
    given = stdin.encode() if isinstance(stdin, str) else b""
    try:
        with open(stdin if isinstance(stdin, Path) else os.devnull, "rb") as file:  # noqa: PTH123
            done = subprocess.run(
                words,
                input=given or None,
                stdin=None if given else file,
                capture_output=True,
                check=False,
                env={**environ, "PATH": search_path(environ)},
                cwd=cwd,
                timeout=timeout,
            )
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]} is not installed or not on PATH.") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"`{_shown(words)}` took longer than {timeout:.0f} s.") from error
    output, complaint = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if done.returncode:
        said = (complaint.strip() or output.strip()).splitlines()[-15:]
        raise CommandError(
            f"`{_shown(words)}` failed with code {done.returncode}:\n  " + "\n  ".join(said)
        )
    return output


def succeeds(
    argv: Sequence[str | Path], *, timeout: float = 10, env: Mapping[str, str] | None = None
) -> bool:
    """Tell whether the program exists and ends without an error."""
    try:
        run(argv, timeout=timeout, env=env)
    except CommandError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], *, what: str, seconds: float = 60, hint: Callable[[], str] = str
) -> None:
    """Poll `condition` until it holds; `hint` adds to the error what is known by then."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what} was not there after {seconds:.0f} s. {hint()}".rstrip())
        time.sleep(POLL_SECONDS)


def _shown(words: Sequence[str]) -> str:
    shown = " ".join(words)
    return shown if len(shown) < 200 else shown[:199] + "…"
