"""`python -m bench.delay HOST PORT MILLISECONDS`: a forwarder that is far away.

Each direction is late by half of the given round trip. Bandwidth is not limited, and what is sent
in a row arrives in a row. Prints the port it listens on and serves until it is ended.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 16
Parcel = tuple[float, bytes]
"""When to deliver, and what; no bytes are the end."""


def serve(target: tuple[str, int], seconds: float) -> None:
    """Forward connections to the target, `seconds` late in each direction."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(target)
            for source, sink in ((near, far), (far, near)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                parcels: SimpleQueue[Parcel] = SimpleQueue()
                Thread(target=_take, args=(source, parcels, seconds), daemon=True).start()
                Thread(target=_deliver, args=(sink, parcels), daemon=True).start()


def _take(source: socket.socket, parcels: SimpleQueue[Parcel], seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(CHUNK)
        except OSError:
            data = b""
        parcels.put((time.monotonic() + seconds, data))


def _deliver(sink: socket.socket, parcels: SimpleQueue[Parcel]) -> None:
    data = b"-"
    with suppress(OSError):
        while data:
            due, data = parcels.get()
            time.sleep(max(0.0, due - time.monotonic()))
            sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)


@contextmanager
def far_away(port: int, milliseconds: float) -> Iterator[int]:
    """Lend a port of this machine behind which `port` seems to be that far away."""
    command = [sys.executable, "-m", "bench.delay", "127.0.0.1", str(port), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - tells the type checker
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    serve((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]) / 2000)
