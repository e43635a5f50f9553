"""The job's command line as processes, between a real database and simulated vendors."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from dev.simulators import Simulators, SolarmanAccount, SungrowAccount
from dev.stack.waiting import until
from tests.syncjob.builders import App, run_spec, write_mounts, write_spec

LIST = "/station/v1.0/list"
LOGIN = "/account/v1.0/token"
PLANTS = 250
NORTH = SolarmanAccount(
    name="north",
    app_id="sim-app-north",
    app_secret="sim-app-secret-north",
    email="north@example.test",
    password="sim-password-north",
    seed=9,
    plants=PLANTS,
)
EAST = replace(
    NORTH,
    name="east",
    app_id="sim-app-east",
    app_secret="sim-app-secret-east",
    email="east@example.test",
    password="sim-password-east",
    seed=10,
    plants=30,
    busy=1,
)
WEST = SungrowAccount(
    name="west",
    appkey="sim-appkey-west",
    access_key="sim-access-key-west-000000000000",
    user_account="west@example.test",
    user_password="sim-password-west",
    user_id=300001,
    seed=51,
    plants=30,
    busy=1,
)
PATIENCE = 120
"""Seconds; far more than a process takes that does not hang."""


@dataclass
class Ended:
    """What a finished run left behind."""

    code: int
    report: dict
    output: str

    @property
    def reason(self) -> tuple[int, str]:
        return self.code, self.report["reason"]

    @property
    def counts(self) -> dict[str, int]:
        names = ("created", "updated", "unchanged", "rejected", "duplicate", "vanished")
        return {name: self.report[name] for name in names if self.report.get(name)}


@dataclass
class Job:
    """The job's command line on mounts of its own; `close` it in the end."""

    app: App
    root: Path
    clouds: Simulators
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def lay_out(self, account=NORTH, *, port=None, database_port=None, **changes):
        """Write mounts; `port` and `database_port` are those of proxies to go through."""
        adapter = "solarman" if isinstance(account, SolarmanAccount) else "sungrow"
        origin = f"https://localhost:{port}" if port else self.clouds.url(adapter)
        allowed = {"adapter": adapter, "origin": origin, "allowPrivate": True}
        self.spec = run_spec(
            **{
                "vendor": {"name": adapter, "adapter": adapter, "baseURL": origin},
                "batchSize": 100,
                "allowedEndpoints": [allowed | {"caSecret": "vendor-ca"}],
            }
            | changes
        )
        write_mounts(
            self.root,
            credentials=account.secret,
            database_url=through(self.app.run_url, database_port),
            ca=self.clouds.ca_file.read_text(),
        )
        return self

    @property
    def report_file(self) -> Path:
        return self.root / "report.json"

    def words(self, command: str, options: tuple[str, ...]) -> list[str]:
        """Give the command line."""
        spec = write_spec(self.root / "spec.json", self.spec)
        words = [command, *options, "--spec", str(spec), "--mounts", str(self.root)]
        return [*words, "--report", str(self.report_file)] if command == "run" else words

    def start(self, *options: str, command="run", name="") -> subprocess.Popen[str]:
        """Start a process; `name` is that of a Job of Kubernetes."""
        self.report_file.unlink(missing_ok=True)
        named = {"VENDORSYNC_JOB_NAME": name} if name else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "vendorsync_job", *self.words(command, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **named},
        )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for a process; one that does not end is killed."""
        with process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        return self.ended(process.returncode, output)

    def run(self, *options: str, command="run", name="") -> Ended:
        return self.finish(self.start(*options, command=command, name=name))

    def ended(self, code: int, output: str) -> Ended:
        file = self.report_file
        return Ended(code, json.loads(file.read_text()) if file.exists() else {}, output)

    def close(self) -> None:
        """Kill what a test that failed has left."""
        for process in self.started:
            with process:
                process.kill()

    def count(self):
        return self.app.value("SELECT count(*) FROM plants")

    def await_rows(self, wanted: int) -> None:
        until(lambda: self.count() >= wanted, f"{wanted} rows", every=0.02)


def through(url: str, port: int | None) -> str:
    """Return a database URL that goes by another port of 127.0.0.1."""
    return url if port is None else url.replace(f":{urlsplit(url).port}/", f":{port}/")
