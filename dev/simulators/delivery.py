"""How a reply goes over the wire: whole, drop by drop, or not to the end."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from dev.simulators.exchange import Json, Reply

HANG_UP_WITH_RESET: Final = struct.pack("ii", 1, 0)


class Wire(Protocol):
    """The connection as seen by a delivery."""

    connection: socket.socket
    stopping: Event

    def send(self, data: bytes) -> None:
        """Send bytes now."""


def reset(connection: socket.socket) -> None:
    """End the connection with a TCP reset, which a shutdown before the close would prevent."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANG_UP_WITH_RESET)
    connection.close()


def plain(wire: Wire, head: bytes, reply: Reply, _options: Json) -> bool:
    """Send the reply; True keeps the connection."""
    if reply.chunks is None:
        wire.send(head + reply.body)
        return True
    wire.send(head)
    for chunk in reply.chunks:
        wire.send(chunk)
    return False


def _drip(wire: Wire, head: bytes, reply: Reply, options: Json) -> bool:
    """Send the body byte by byte, `seconds` apart."""
    wire.send(head)
    for byte in reply.body:
        if wire.stopping.wait(float(options.get("seconds", 1))):
            return False
        wire.send(bytes([byte]))
    return True


def _stall(wire: Wire, head: bytes, _reply: Reply, _options: Json) -> bool:
    """Send the headers and then nothing until the other side gives up."""
    wire.send(head)
    wire.connection.settimeout(None)
    while wire.connection.recv(4096):
        pass
    return False


def _reset_mid_body(wire: Wire, head: bytes, reply: Reply, _options: Json) -> bool:
    wire.send(head + reply.body[: len(reply.body) // 2])
    reset(wire.connection)
    return False


def _cut_short(wire: Wire, head: bytes, reply: Reply, _options: Json) -> bool:
    """Send a head that promised more than comes, or less."""
    wire.send(head + reply.body)
    return False


WAYS: Final[dict[str, Callable[[Wire, bytes, Reply, Json], bool]]] = {
    "drip": _drip,
    "stall": _stall,
    "reset_mid_body": _reset_mid_body,
    "wrong_length": _cut_short,
}
