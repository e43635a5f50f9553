"""A private PgBouncer in transaction mode in front of a server, for tests.

Apart from the package's front, which goes into an image without the tools that install it. It is
ended by killing it: a pooler keeps nothing on disk, and what it held at that moment is lost to its
clients, which is what a test of its restart wants.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dev.cluster.command import search_path
from dev.cluster.packages import ensure, missing_packages
from dev.cluster.progress import Progress
from dev.database.binaries import server_identity
from dev.database.server import DatabaseError, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dev.database.server import PostgresServer

PROGRAM: Final = "pgbouncer"
READY: Final = "process up"
START_SECONDS: Final = 30


class Pooler:
    """A PgBouncer in `directory` for all databases of `server` and the roles in `passwords`."""

    def __init__(
        self,
        directory: Path,
        server: PostgresServer,
        passwords: Mapping[str, str],
        *,
        size: int,
        settings: Mapping[str, object],
    ) -> None:
        self.port = free_port("127.0.0.1")
        self.log: deque[str] = deque(maxlen=1000)
        self._directory = directory
        self._server = server
        self._passwords = dict(passwords)
        self._settings: dict[str, object] = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": directory / "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": size,
            "max_client_conn": 1000,
            **settings,
        }
        self._identity = server_identity()
        self._process: subprocess.Popen[str] | None = None
        self._reader: Thread | None = None

    @property
    def pid(self) -> int:
        """The process id of the running pooler."""
        if self._process is None:
            raise DatabaseError("the pooler does not run")
        return self._process.pid

    def url(self, database: str, user: str) -> str:
        """Give the address of a database behind the pooler."""
        credentials = f"{quote(user, safe='')}:{quote(self._passwords[user], safe='')}"
        return f"postgresql://{credentials}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        users = [f"{_quoted(name)} {_quoted(word)}" for name, word in self._passwords.items()]
        options = [f"{name} = {value}" for name, value in self._settings.items()]
        databases = ["[databases]", f"* = host=127.0.0.1 port={self._server.port}"]
        self._identity.own(self._directory)
        self._write("users.txt", users)
        configuration = self._write("pgbouncer.ini", [*databases, "[pgbouncer]", *options])
        self.log.clear()
        self._process = process = subprocess.Popen(
            [program(), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self._directory,
            start_new_session=True,  # Ctrl-C is for us, we stop the pooler
            **self._identity.process_options(),
        )
        told = Event()
        self._reader = Thread(target=self._read_log, args=(process, told), name="pgbouncer log")
        self._reader.start()
        told.wait(START_SECONDS)
        if process.poll() is not None or not any(READY in line for line in self.log):
            self.stop()
            raise DatabaseError("PgBouncer did not start: " + "\n".join(list(self.log)[-20:]))

    def stop(self) -> None:
        """End it; its clients' connections and those to the server break off."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._reader:
            self._reader.join(START_SECONDS)
        if process.stderr:
            process.stderr.close()

    def _write(self, name: str, lines: list[str]) -> Path:
        path = self._directory / name
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._identity.own(path)
        return path

    def _read_log(self, process: subprocess.Popen[str], told: Event) -> None:
        for line in process.stderr or ():
            self.log.append(line.rstrip("\n"))
            if READY in line:
                told.set()
        told.set()


@contextmanager
def pooler(
    server: PostgresServer,
    passwords: Mapping[str, str],
    *,
    size: int = 4,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Pooler]:
    """Run a pooler that has `size` connections to each database for each role.

    The program is installed if it is missing; where that is impossible, the error says what to
    install.
    """
    program()
    with TemporaryDirectory(prefix="vendorsync-pgbouncer-") as temporary:
        running = Pooler(Path(temporary), server, passwords, size=size, settings=settings or {})
        try:
            running.start()
            yield running
        finally:
            running.stop()


def program() -> str:
    """Return where PgBouncer is, installing Debian's package if need be."""
    ensure(missing_packages({PROGRAM: PROGRAM}), Progress())
    return shutil.which(PROGRAM, path=search_path()) or PROGRAM


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
