"""A pooler of many tenants: a client names the database's tenant behind its user, `role.tenant`.

It takes the tenant off and passes all else on, as poolers in front of many servers do.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager, suppress

TENANT = "abcdefghijklmnopqrst"
ENCRYPTION = {80877103, 80877104}
"""Codes of requests for TLS and GSSAPI (protocol 3.0); the answer N says that there is none."""


def received(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the client hung up")
        data += part
    return data


def greeting(client):
    """Return the client's first message, without its length, after it gave up on encryption."""
    while True:
        (size,) = struct.unpack("!I", received(client, 4))
        body = received(client, size - 4)
        if struct.unpack("!I", body[:4])[0] not in ENCRYPTION:
            return body
        client.sendall(b"N")


def pump(source, sink):
    with suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class Pooler(socketserver.ThreadingTCPServer):
    """Listens on loopback; `users` are those that clients named."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.users = []


class Handler(socketserver.BaseRequestHandler):
    """One client."""

    server: Pooler

    def handle(self):
        body = greeting(self.request)
        version, parts = body[:4], body[4:].split(b"\0")
        user = parts.index(b"user") + 1
        self.server.users.append(parts[user].decode())
        parts[user] = parts[user].removesuffix(f".{TENANT}".encode())
        body = version + b"\0".join(parts)
        with socket.create_connection(self.server.target) as server:
            server.sendall(struct.pack("!I", len(body) + 4) + body)
            back = threading.Thread(target=pump, args=(server, self.request))
            back.start()
            pump(self.request, server)
            back.join()


@contextmanager
def tenants(port):
    """Run one in front of a server on loopback."""
    with Pooler(("127.0.0.1", port)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.shutdown()
