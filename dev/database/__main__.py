"""Command line: serve a database until SIGTERM; made to be process 1 of a container."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from dev.database.server import PostgresServer


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    server = PostgresServer(
        options.data,
        bind=options.bind,
        port=options.port,
        password=options.password_file.read_text(encoding="utf-8").strip(),
        settings=dict(setting.split("=", 1) for setting in options.set),
        fast=options.fast,
        on_log=lambda line: print(line, flush=True),
    )
    print(f"database: {server.binaries}", flush=True)
    try:
        server.start()
        for name in options.database:
            server.create_database(name)
        print(f"database: serving {', '.join(options.database) or 'postgres'}", flush=True)
        return 1 if server.wait() else 0
    finally:
        server.stop()


def _leave(_number: int, _frame: object) -> NoReturn:
    """Leave by the `finally` above; further signals must not cut the shutdown short."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.database", description=__doc__)
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve")
    serve.add_argument("--data", type=Path, required=True, help="directory for all that is kept")
    serve.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=5432)
    serve.add_argument("--password-file", type=Path, required=True, help="the superuser's password")
    serve.add_argument("--database", action="append", default=[], help="create it if absent")
    serve.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    serve.add_argument("--fast", action="store_true", help="no safety against power failure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
