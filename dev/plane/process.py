"""The operator as a process of this machine: `python -m vendorsync_operator run`."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from dev.cluster.command import wait_until
from dev.cluster.errors import NotReadyError
from dev.cluster.processes import PROC, RECORDING, ProcessRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30
_ANSWER_SECONDS = 5
_HOST = "127.0.0.1"
_LAST_LINES = 20


class OperatorProcess:
    """One operator that may be started, ended and started again; `folder` keeps its files."""

    def __init__(self, name: str, folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.port = _free_port()
        self._log = folder / f"{name}.log"
        self._record = folder / f"{name}.stat"
        self._env = {**env, "VENDORSYNC_HEALTH_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self.resume()
            self.stop()

    @property
    def alive(self) -> bool:
        """Whether the process runs, be it paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().pid

    @property
    def rss_bytes(self) -> int:
        """The memory that it occupies now, in bytes."""
        pages = int((PROC / str(self.pid) / "statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def start(self) -> None:
        """Start it, and do not wait until it is ready."""
        if self.alive:
            raise NotReadyError(f"the operator {self.name} runs already; stop it first")
        self._record.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # Recorded, so that the next run can end it if this one is killed.
                [
                    *RECORDING, str(self._record),
                    sys.executable, "-m", "vendorsync_operator", "run",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                env=self._env,
                start_new_session=True,  # Ctrl-C is for us, we stop it
            )  # fmt: skip
        wait_until(
            lambda: self._record.exists() or not self.alive, what=f"the process of {self.name}"
        )

    def ready(self, seconds: float = 30) -> None:
        """Wait until it has read its first lists (/startupz)."""

        def is_ready() -> bool:
            if not self.alive:
                raise NotReadyError(f"the operator {self.name} ended. {self._last_words()}")
            return self._get("/startupz")[0] == httpx.codes.OK

        wait_until(
            is_ready, what=f"the operator {self.name}", seconds=seconds, hint=self._last_words
        )

    def stop(self) -> int:
        """Ask it to stop (SIGTERM), wait for its end and return its exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise NotReadyError(
                f"the operator {self.name} did not stop in {STOP_SECONDS} s. {self._last_words()}"
            ) from error

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self._running().wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise NotReadyError(
                f"the operator {self.name} has not ended in {seconds:g} s. {self._last_words()}"
            ) from error

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()

    def pause(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)
        # The kernel stops a process at its own time.
        wait_until(lambda: self._state() == "T", what=f"the stop of the operator {self.name}")

    def resume(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def health(self) -> tuple[int, str]:
        """Return code and text of /healthz; code 0 when nothing answers within five seconds."""
        return self._get("/healthz")

    def log(self) -> str:
        """Return all that it has written, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _get(self, path: str) -> tuple[int, str]:
        url = f"http://{_HOST}:{self.port}{path}"
        try:
            answer = httpx.get(url, timeout=_ANSWER_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            return 0, f"{type(error).__name__}: {error}"
        return answer.status_code, answer.text

    def _state(self) -> str:
        record = ProcessRecord.load(PROC / str(self.pid) / "stat")
        return record.state() if record else ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NotReadyError(f"the operator {self.name} was not started")
        return self._process

    def _last_words(self) -> str:
        lines = self.log().splitlines()[-_LAST_LINES:]
        return f"The end of {self._log}:\n  " + "\n  ".join(lines)


def end_recorded(folder: Path) -> None:
    """End the operators that an earlier run left behind in its folder."""
    for path in folder.glob("*.stat"):
        if record := ProcessRecord.load(path):
            record.kill()


def environment(home: Path, kubeconfig: Path, chart: Mapping[str, str]) -> dict[str, str]:
    """Return what the process sees of this machine: nothing but what is named here."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "KUBECONFIG": str(kubeconfig),
        "LANG": "C.UTF-8",
        **chart,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
