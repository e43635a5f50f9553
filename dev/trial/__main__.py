"""`python -m dev.trial [--keep DIR]`: what `make try` calls.

With --keep the run's files are written into DIR, and vendors and database stay up until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from dev.database import postgres
from dev.simulators import simulators
from dev.trial.folder import FolderError, TrialFolder, claimed, trial_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = (
    "select table_name from information_schema.tables where table_schema not in"
    " ('pg_catalog', 'information_schema')"
)
ROWS = "select vendor_plant_id, name, capacity_kw, address from plants order by 1 limit 5"


class TrialError(Exception):
    """The trial cannot run here; the text says what to do."""


def main() -> int:
    """Run the trial and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.trial", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the files here and wait")
    # Else the database would outlive whoever ends us in the polite way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return trial(parser.parse_args().keep)
    except (TrialError, FolderError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 64


def trial(keep: Path | None) -> int:
    """Migrate, check, run twice and show rows; return the exit code."""
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as scratch,
        claimed(keep or Path(scratch)) as path,
        simulators() as vendors,
        database() as url,
    ):
        folder = trial_folder(
            path, origin=vendors.solarman_url, ca=vendors.ca_file.read_text(), url=url
        )
        owner = path / "owner-url"
        owner.write_text(url)
        steps = [
            ("make the tables", ["migrate", "--url-file", str(owner)]),
            ("log in and count, without writing", ["check", *folder.arguments]),
            ("say what a run would change", ["run", "--dry-run", *folder.arguments]),
            ("sync", ["run", *folder.arguments, "--text-logs"]),
            ("sync again: nothing changed", ["run", *folder.arguments, "--text-logs"]),
        ]
        for title, arguments in steps:
            code = run(title, arguments, folder)
            if code:
                return code
        show(url)
        if keep:
            wait(folder, vendors.control_url)
    further = (
        f"Vendors and database are gone, so the files in {keep} lead nowhere until the next trial."
        if keep
        else "To look around: make try KEEP=my-trial."
    )
    took = time.monotonic() - started
    print(f"\nDone in {took:.1f} s. {further} Next: the README's steps to install.")
    return 0


@contextmanager
def database() -> Iterator[str]:
    """Lend a new server, or where none can be had the empty database of DATABASE_URL.

    On Linux the variable is not looked at: it may well name somebody's real database.
    """
    if sys.platform == "linux":
        with postgres() as server:
            print(f"database: a new server of its own, {server.binaries}")
            yield server.create_database("solar")
        return
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise TrialError(
            "PostgreSQL for this trial runs on Linux; set DATABASE_URL to an empty one"
        )
    with psycopg.connect(url) as connection:
        found = connection.execute(TABLES).fetchall()
    if found:
        names = ", ".join(name for (name,) in found)
        raise TrialError(f"the database of DATABASE_URL has tables ({names}); use an empty one")
    print("database: the one of DATABASE_URL; what the trial makes stays there")
    yield url


def run(title: str, arguments: list[str], folder: TrialFolder) -> int:
    """Run the job as a user would, saying how; return its exit code."""
    shown = " ".join(argument.replace(str(folder.path), "FOLDER") for argument in arguments)
    print(f"\n# {title}\n$ python -m vendorsync_job {shown}", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "vendorsync_job", *arguments], check=False
    ).returncode


def wait(folder: TrialFolder, control: str) -> None:
    """Say what can be tried by hand, and keep everything up until Ctrl-C."""
    options = " ".join(folder.arguments)
    job = ".venv/bin/python -m vendorsync_job"
    alerts = folder.arguments[:]
    alerts[1] = str(folder.alerts)
    account = '"vendor": "solarman", "account": "sim-north"'
    print(f"""
# everything stays up until Ctrl-C; in another terminal, from this folder:
  {job} check {options}
  {job} run --text-logs {options}
  {job} run --text-logs {" ".join(alerts)}     # alerts
  psql "$(cat {folder.path}/database/url)"
# edit a name or delete a row there, then
  {job} run --text-logs --full-compare {options}
# at the vendor: add two plants, see them all, let a day of alarms pass
  curl -d '{{{account}, "changes": [{{"op": "add", "count": 2}}]}}' {control}/plants
  curl '{control}/truth?vendor=solarman&account=sim-north'
  curl -X PUT -d '{{"offset": 86400}}' {control}/clock""")
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nstopping")


def show(url: str) -> None:
    """Print five rows."""
    print("\n# rows in PostgreSQL", flush=True)
    with psycopg.connect(url) as connection:
        for row in connection.execute(ROWS):
            print("  " + " | ".join(str(value) for value in row))


if __name__ == "__main__":
    sys.exit(main())
