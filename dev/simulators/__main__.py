"""Command line: make certificates, or serve until SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from dev.simulators.accounts import DEFAULT_FILE, Accounts
from dev.simulators.running import simulators
from dev.simulators.simulation import call_json
from dev.simulators.tls import issue

if TYPE_CHECKING:
    from dev.simulators.exchange import Call


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands."""
    options = _parser().parse_args(arguments)
    if options.command == "certificates":
        authority = issue(tuple(options.host)).write(options.out)
        print(f"certificates for {', '.join(options.host)}, to be trusted by {authority}")
        return 0
    return _serve(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.simulators", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    certificates = commands.add_parser("certificates", help="make an authority and a certificate")
    certificates.add_argument("--out", type=Path, required=True, help="folder to write to")
    certificates.add_argument("--host", nargs="+", required=True, help="names and addresses")
    serve = commands.add_parser("serve", help="play the vendors until SIGTERM")
    serve.add_argument("--certificates", type=Path, help="folder with tls.crt and tls.key")
    serve.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--solarman-port", type=int, default=8443)
    serve.add_argument("--sungrow-port", type=int, default=8444)
    serve.add_argument("--control-port", type=int, default=8080)
    serve.add_argument("--accounts", type=Path, default=DEFAULT_FILE, help="JSON file")
    return parser


def _serve(options: argparse.Namespace) -> int:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # as PID 1 we have no default handlers
        signal.signal(number, lambda *_: stop.set())
    folder: Path | None = options.certificates
    if folder and not (folder / "tls.crt").exists():
        print(f"no tls.crt in {folder}: made certificates for localhost", file=sys.stderr)
        folder = None
    with simulators(
        Accounts.from_file(options.accounts),
        certificates=folder,
        bind=options.bind,
        ports=(options.solarman_port, options.sungrow_port, options.control_port),
        on_call=_print_call,
    ) as running:
        line = {
            "event": "serving",
            "solarman": running.solarman_url,
            "sungrow": running.sungrow_url,
            "control": running.control_url,
            "ca_file": str(running.ca_file),
        }
        print(json.dumps(line), flush=True)
        stop.wait()
    print(json.dumps({"event": "stopped"}), flush=True)
    return 0


def _print_call(call: Call) -> None:
    print(json.dumps({"event": "call", **call_json(call)}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
