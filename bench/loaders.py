"""The programs that load plants: ours, dlt and a Singer target, each a process of its own.

Those that are not ours live in virtual environments in the cache, made from locks with hashes; a
changed lock makes a new one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dev.cluster.folders import cache_folder, locked
from dev.lock.folder import LOCKS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATABASE: Final = "BENCH_DATABASE"
"""Environment variable with the URL to load into."""
FOLDER: Final = "BENCH_FOLDER"
"""Environment variable with a folder for whatever the program keeps."""
QUIET: Final = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


class LoaderError(RuntimeError):
    """A loader ended before it answered; the text is what it wrote last."""


@dataclass(frozen=True)
class Program:
    """A command that answers orders: one JSON object a line in, one out."""

    command: tuple[str, ...]
    environ: Mapping[str, str]

    @contextmanager
    def loading(self, url: str) -> Iterator[Loader]:
        """Start it on a database."""
        with tempfile.TemporaryDirectory(prefix="vendorsync-bench-") as folder:
            log = Path(folder) / "log"
            own = {DATABASE: url, FOLDER: folder, "HOME": folder}
            with (
                log.open("w") as errors,
                subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    cwd=ROOT,
                    env={**os.environ, **self.environ, **own},
                ) as process,
            ):
                try:
                    yield Loader(process, log)
                finally:
                    process.kill()


@dataclass(frozen=True)
class Loader:
    """A program that runs."""

    process: subprocess.Popen[str]
    log: Path

    def load(self, **order: object) -> dict[str, Any]:
        """Give an order and return the answer."""
        assert self.process.stdin is not None  # noqa: S101 - tells the type checker
        assert self.process.stdout is not None  # noqa: S101
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        self.process.wait()
        raise LoaderError(self.log.read_text(encoding="utf-8")[-2000:])


def ours() -> Program:
    """Return the product's own write path."""
    return Program((sys.executable, "-m", "bench.job"), {})


def foreign(name: str, **environ: str) -> Program:
    """Return a program of this folder that runs in its own environment: dlt or singer."""
    python = environment(f"bench-{name}")
    return Program((str(python), "-m", f"bench.{name}_load"), QUIET | environ)


def environment(name: str) -> Path:
    """Return the Python of the environment of requirements/<name>.txt, made when there is none."""
    lock = LOCKS / f"{name}.txt"
    version = ".".join(map(str, sys.version_info[:2]))
    digest = sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "bench" / f"{name}-{version}-{digest}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    with locked(folder.with_suffix(".lock"), lambda: _say(f"waiting for {folder}")):
        if not complete.exists():
            _say(f"installing requirements/{name}.txt into the cache (once)")
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(python), "-m", "pip", "--quiet"]
            # The lock is complete: nothing is left to resolve, whatever an index has by now.
            subprocess.run(
                [*pip, "install", "--no-deps", "--require-hashes", "--requirement", str(lock)],
                check=True,
            )
            subprocess.run([*pip, "check"], check=True, stdout=sys.stderr)
            complete.touch()
    return python


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
