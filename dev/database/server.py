"""One PostgreSQL server in a directory: made once, started, stopped by the process we started."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from dev.database.binaries import Binaries, find_binaries, server_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SUPERUSER: Final = "postgres"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
READY: Final = "database system is ready to accept connections"
PASSING: Final = ("shared memory block", "Address already in use")
"""What a server says while the remains of a killed one still go away."""

FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
HOST_RULES: Final = "local all all scram-sha-256\nhost all all all scram-sha-256\n"
NSS_WRAPPERS: Final = ("/usr/lib/*/libnss_wrapper.so", "/usr/lib*/libnss_wrapper.so")
StopMode = Literal["smart", "fast", "immediate", "kill"]
STOP_SIGNALS: Final[dict[StopMode, signal.Signals]] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}


class DatabaseError(RuntimeError):
    """The server could not be made or started; the text ends with its last words."""


class PostgresServer:
    """A server in `directory`, which holds its data and its superuser's password."""

    def __init__(
        self,
        directory: Path,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        password: str | None = None,
        settings: Mapping[str, object] | None = None,
        fast: bool = False,
        on_log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self.bind = bind
        self.port = port
        self.password = password or ""
        self.log: deque[str] = deque(maxlen=1000)
        self._settings = {**(FAST if fast else {}), **(settings or {})}
        self._fast = fast
        self._on_log = on_log
        self._identity = server_identity()
        self.binaries: Binaries = find_binaries(self._identity)
        self._process: subprocess.Popen[str] | None = None
        self._reader: Thread | None = None

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise DatabaseError("the server does not run")
        return self._process.pid

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str = "") -> str:
        """Give the address of a database; without a password, with the superuser's."""
        host = "127.0.0.1" if self.bind in ("0.0.0.0", "") else self.bind  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        credentials = f"{quote(user, safe='')}:{quote(password or self.password, safe='')}"
        return f"postgresql://{credentials}@{host}:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str) -> str:
        """Create a database unless it is there, and give its address."""
        import psycopg  # noqa: PLC0415 - the server itself runs without it
        from psycopg import sql  # noqa: PLC0415

        with psycopg.connect(self.url(), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            if found.rowcount == 0:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> None:
        """Make the data directory if there is none, start the server and wait until it answers.

        Safe after a killed run: a stale lock file is no obstacle, a server that still runs is one.
        """
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        wanted = self._make_data()
        self._write(self.data / "pg_hba.conf", HOST_RULES)
        self._check_lock()
        wished_port, deadline = self.port, time.monotonic() + START_SECONDS
        while not self._started(wished_port):
            told = self._last_words()
            if not any(word in told for word in PASSING) or time.monotonic() > deadline:
                raise DatabaseError(f"PostgreSQL did not start: {told}")
            time.sleep(0.1)  # nothing tells when a killed server's children have gone
        if wanted != self.password:
            self._change_password(wanted)

    def stop(self, mode: StopMode = "fast") -> None:
        """End the server; `kill` leaves what a crash leaves."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(STOP_SIGNALS[mode])
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._finish(process)

    def wait(self) -> int:
        """Wait for the end of the server's process and give its exit status."""
        if self._process is None:
            raise DatabaseError("the server does not run")
        return self._process.wait()

    def _make_data(self) -> str:
        """Run initdb once; give the password that is wanted and hold the one that is in force."""
        known = self.directory / "password"
        if (self.data / "PG_VERSION").exists():
            in_force = known.read_text(encoding="utf-8")
            wanted, self.password = self.password or in_force, in_force
            return wanted
        self.password = self.password or secrets.token_urlsafe(24)
        self._write(known, self.password)
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._identity.own(self.directory)
        self._identity.own(unfinished)
        command = [str(self.binaries.folder / "initdb"), "--pgdata", str(unfinished)]
        command += ["--username", SUPERUSER, "--pwfile", str(known), "--auth", "scram-sha-256"]
        command += ["--encoding", "UTF8", "--locale", "C", "--no-instructions"]
        command += ["--no-sync"] if self._fast else []
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env=self._environment() | self._user_entry(),
            **self._identity.process_options(),
        )
        if made.returncode != 0:
            raise DatabaseError(f"initdb in {self.directory} failed: {made.stderr.strip()}")
        unfinished.rename(self.data)
        return self.password

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    def _user_entry(self) -> dict[str, str]:
        """Give a user without a name one: initdb asks for it, the server does not."""
        if self._identity.name:
            return {}
        found = next((path for glob in NSS_WRAPPERS for path in Path("/").glob(glob[1:])), None)
        if found is None:
            raise DatabaseError(
                f"initdb needs a name for user {self._identity.uid}: add it to /etc/passwd, start"
                " with a data directory that exists, or install libnss-wrapper"
            )
        uid, gid = self._identity.uid, self._identity.gid
        passwd, group = self.directory / "passwd", self.directory / "group"
        self._write(passwd, f"postgres:x:{uid}:{gid}::{self.directory}:/bin/false\n")
        self._write(group, f"postgres:x:{gid}:\n")
        return {
            "LD_PRELOAD": str(found),
            "NSS_WRAPPER_PASSWD": str(passwd),
            "NSS_WRAPPER_GROUP": str(group),
        }

    def _write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self._identity.own(path)

    def _check_lock(self) -> None:
        """Remove a lock file whose process id now belongs to another program.

        The server itself copes with one whose process is gone.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="utf-8").split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return
        if Path(os.fsdecode(command[0])).name.startswith("postgres"):
            raise DatabaseError(f"a server with process id {pid} runs in {self.directory}")
        lock.unlink()

    def _started(self, wished_port: int) -> bool:
        self.port = wished_port or free_port(self.bind)
        self.log.clear()
        settings = {
            "listen_addresses": self.bind,
            "port": self.port,
            "unix_socket_directories": "",
            "logging_collector": "off",
            "log_destination": "stderr",
            **self._settings,
        }
        command = [str(self.binaries.folder / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self.directory,
            env=self._environment(),
            start_new_session=True,  # Ctrl-C is for us, we stop the server
            **self._identity.process_options(),
        )
        self._process = process
        told = Event()
        self._reader = Thread(target=self._read_log, args=(process, told), name="postgres log")
        self._reader.start()
        told.wait(START_SECONDS)
        if process.poll() is None and any(READY in line for line in self.log):
            return True
        self.stop("kill")
        return False

    def _read_log(self, process: subprocess.Popen[str], told: Event) -> None:
        for line in process.stderr or ():
            self.log.append(line.rstrip("\n"))
            self._on_log(self.log[-1])
            if READY in line:
                told.set()
        told.set()

    def _finish(self, process: subprocess.Popen[str]) -> None:
        if self._reader:
            self._reader.join(STOP_SECONDS)
        if process.stderr:
            process.stderr.close()

    def _last_words(self) -> str:
        return "\n".join(list(self.log)[-20:])

    def _change_password(self, wanted: str) -> None:
        """Set a password that differs from the one the data directory was made with."""
        import psycopg  # noqa: PLC0415
        from psycopg import sql  # noqa: PLC0415

        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(change.format(sql.Identifier(SUPERUSER), sql.Literal(wanted)))
        self.password = wanted
        self._write(self.directory / "password", wanted)


@contextmanager
def postgres(
    directory: Path | None = None,
    settings: Mapping[str, object] | None = None,
    *,
    bind: str = "127.0.0.1",
    port: int = 0,
    password: str | None = None,
    fast: bool = False,
    on_log: Callable[[str], None] = lambda _line: None,
) -> Iterator[PostgresServer]:
    """Run a server; port 0 is one that is free, without a directory the data goes in the end.

    `fast` gives up safety against a crash of the machine, for tests.
    """
    with TemporaryDirectory(prefix="vendorsync-postgres-") as temporary:
        server = PostgresServer(
            directory or Path(temporary),
            bind=bind,
            port=port,
            password=password,
            settings=settings,
            fast=fast,
            on_log=on_log,
        )
        print(f"database: {server.binaries}", file=sys.stderr)
        try:
            server.start()
            yield server
        finally:
            # What is thrown away needs no last checkpoint.
            server.stop("fast" if directory else "immediate")


def free_port(bind: str) -> int:
    """Find a port of an address that nobody listens on now."""
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.bind((bind, 0))
        return int(probe.getsockname()[1])
