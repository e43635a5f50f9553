"""A Toxiproxy process and the few calls of its HTTP API that tests need."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final, Literal

from dev.building import TOXIPROXY, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 10.0
STARTS: Final = 3
ANSWER_SECONDS: Final = 10.0

Kind = Literal[
    "latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"
]
Direction = Literal["downstream", "upstream"]
"""As seen from the client: downstream is what it receives, upstream what it sends."""


class FaultsError(RuntimeError):
    """Toxiproxy does not run, or refuses a call; the text holds its own words."""


class Toxiproxy:
    """A running Toxiproxy; `proxy` puts it in front of something."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._count = 0

    def proxy(self, upstream: str) -> Proxy:
        """Listen on a free port of 127.0.0.1 and pass everything on to `upstream`, `host:port`."""
        self._count += 1
        name = f"proxy{self._count}"
        wanted = {"name": name, "listen": f"{HOST}:0", "upstream": upstream, "enabled": True}
        made = self.call("POST", "/proxies", wanted)
        return Proxy(self, name, int(made["listen"].rpartition(":")[2]), upstream)

    def reset(self) -> None:
        """Enable all proxies and take all toxics away."""
        self.call("POST", "/reset")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Make one call of the API and return its JSON, None when there is none."""
        connection = HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, HTTPException) as error:
            raise FaultsError(f"Toxiproxy does not answer {method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise FaultsError(f"Toxiproxy refuses {method} {path}: {text.strip()}")
        return json.loads(text) if text.startswith("{") else None


class Proxy:
    """One listener and what it does to the connections through it."""

    def __init__(self, toxiproxy: Toxiproxy, name: str, port: int, upstream: str) -> None:
        self.port = port
        self.upstream = upstream
        self._toxiproxy = toxiproxy
        self._path = f"/proxies/{name}"
        self._listen = f"{HOST}:{port}"
        self._toxics = 0

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._update(enabled=False)

    def restore(self) -> None:
        """Take connections again, on the same port."""
        self._update(enabled=True)

    def lead_to(self, upstream: str) -> None:
        """Break all connections and pass new ones on to another `host:port`."""
        self.upstream = upstream
        self._update(enabled=True)

    def remove(self) -> None:
        """End the listener."""
        self._toxiproxy.call("DELETE", self._path)

    def add(
        self,
        kind: Kind,
        *,
        stream: Direction = "downstream",
        toxicity: float = 1.0,
        **attributes: int,
    ) -> str:
        """Add a toxic and return its name; times are milliseconds, rates KB/s, sizes bytes.

        latency: latency, jitter. bandwidth: rate. slow_close: delay. timeout: timeout, 0 holds the
        data back for ever. reset_peer: timeout. slicer: average_size, size_variation, delay in
        microseconds. limit_data: bytes. `toxicity` is the share of connections that are hit.
        """
        self._toxics += 1
        name = f"{kind}{self._toxics}"
        toxic = {"name": name, "type": kind, "stream": stream, "toxicity": toxicity}
        self._toxiproxy.call("POST", f"{self._path}/toxics", {**toxic, "attributes": attributes})
        return name

    def drop(self, name: str) -> None:
        """Take a toxic away."""
        self._toxiproxy.call("DELETE", f"{self._path}/toxics/{name}")

    @contextmanager
    def toxic(self, kind: Kind, **settings: Any) -> Iterator[None]:
        """Hold a toxic for a block; the settings are those of `add`."""
        name = self.add(kind, **settings)
        try:
            yield
        finally:
            self.drop(name)

    def _update(self, *, enabled: bool) -> None:
        state = {"listen": self._listen, "upstream": self.upstream, "enabled": enabled}
        self._toxiproxy.call("POST", self._path, state)


@contextmanager
def toxiproxy() -> Iterator[Toxiproxy]:
    """Run Toxiproxy until the block ends; the first time on a machine builds it."""
    program = ensure(TOXIPROXY)
    process, made = _started(program)
    try:
        yield made
    finally:
        _end(process)


def _started(program: Path) -> tuple[subprocess.Popen[bytes], Toxiproxy]:
    """Start on a free port; again when another program was quicker to take it."""
    for _ in range(STARTS):
        made = Toxiproxy(_free_port())
        process = subprocess.Popen(
            [program, "-host", HOST, "-port", str(made.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, we end it
        )
        if _answers(made, process):
            return process, made
        _end(process)
    raise FaultsError(f"{program} did not start")


def _answers(made: Toxiproxy, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            made.call("GET", "/version")
        except FaultsError:
            time.sleep(0.02)
        else:
            return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    # It shuts down gently only after its clients; nothing of it is to be kept.
    process.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
