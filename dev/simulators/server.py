"""The HTTP servers: one TLS port per vendor, and what they share with the control port."""

from __future__ import annotations

import json
import socket
import ssl
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from dev.simulators.delivery import WAYS, plain, reset
from dev.simulators.exchange import Json, Reply, Request
from dev.simulators.simulation import wait_before

if TYPE_CHECKING:
    from threading import Event

    from dev.simulators.simulation import Outcome, Simulation

BODY_LIMIT: Final = 2**20
IDLE_SECONDS: Final = 60
EXPECTED: Final = (ConnectionError, ssl.SSLError, TimeoutError)
"""What a client that hangs up, or one that trusts nobody, does to us."""


class Server(ThreadingHTTPServer):
    """A threaded server that can end at once, even while it drips or stalls."""

    request_queue_size = 128
    daemon_threads = False

    def __init__(
        self,
        bind: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._context = context
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()
        self._thread: Thread | None = None
        super().__init__(bind, handler)

    @property
    def port(self) -> int:
        """The port, also when the system chose it."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without looking the host name up, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept; the handshake is left to the connection's own thread."""
        connection, address = super().get_request()
        if self._context:
            connection = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._open_lock:
            self._open.add(connection)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a connection in its own thread."""
        request.settimeout(IDLE_SECONDS)
        if isinstance(request, ssl.SSLSocket):
            request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close a connection."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Print what we did wrong, not what clients do."""
        if not isinstance(sys.exception(), EXPECTED):
            super().handle_error(request, client_address)

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread = Thread(target=self.serve_forever, args=(0.05,), name=f"port {self.port}")
        self._thread.start()

    def stop(self) -> None:
        """End the server and its connections, and wait for all its threads."""
        if self._thread:
            self.shutdown()
            self._thread.join()
        with self._open_lock:
            for connection in self._open:
                _hang_up(connection)
        self.server_close()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """What vendor and control handlers share: persistent connections, JSON in, bytes out."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "nginx"
    sys_version = ""

    def respond(self) -> None:
        """Answer one request."""
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing; the simulation keeps the call log."""

    def send(self, data: bytes) -> None:
        """Send bytes now."""
        self.wfile.write(data)

    def read_request(self) -> Request:
        """Read the whole request."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT:
            self.close_connection = True
            length = 0
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_json_object(self.rfile.read(length)),
            remote=str(self.client_address[0]),
        )

    def head(self, reply: Reply, length: int | None) -> bytes:
        """Word the status line and the headers; without a length the close ends the body."""
        phrase = self.responses.get(reply.status, ("Unknown", ""))[0]
        lines = [f"HTTP/1.1 {int(reply.status)} {phrase}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += ["Connection: close"] if length is None else [f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


for _method in ("GET", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{_method}", lambda handler: handler.respond())


class VendorHandler(Handler):
    """Answers as one of the vendors; `serving` makes the class for it."""

    simulation: Simulation
    vendor_name: str
    stopping: Event

    def respond(self) -> None:
        """Answer a vendor call."""
        request = self.read_request()
        vendor = self.simulation.vendors[self.vendor_name]
        outcome = self.simulation.begin(vendor, request)
        try:
            if wait_before(self.simulation, outcome):
                outcome.word = "fault reset"
                reset(self.connection)
                self.close_connection = True
                return
            self.simulation.answer(outcome)
            self._deliver(outcome)
        finally:
            self.simulation.finish(outcome)

    def _deliver(self, outcome: Outcome) -> None:
        reply, fault = outcome.reply, outcome.delivery
        length = None if reply.chunks is not None else len(reply.body)
        options: Json = fault.options if fault else {}
        if fault and fault.kind == "wrong_length":
            length = max(0, len(reply.body) + int(options.get("by", 10)))
        deliver = WAYS[fault.kind] if fault else plain
        if not deliver(self, self.head(reply, length), reply, options):
            self.close_connection = True


def serving(simulation: Simulation, vendor_name: str) -> type[VendorHandler]:
    """Make the handler class of a vendor's port."""
    attributes = {
        "simulation": simulation,
        "vendor_name": vendor_name,
        "stopping": simulation.stopping,
    }
    return type(f"{vendor_name.title()}Handler", (VendorHandler,), attributes)


def _json_object(data: bytes) -> Json | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
