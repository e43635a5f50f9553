"""Whole runs: by the command line's own function in this process, or as processes of their own."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dev.simulators import Simulators, SolarmanAccount, SungrowAccount
from tests.syncjob.builders import App, run_spec, write_mounts, write_spec
from vendorsync_job.__main__ import main

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
EAST = SolarmanAccount(
    name="east",
    app_id="sim-app-east",
    app_secret="sim-app-secret-east",
    email="east@example.test",
    password="sim-password-east",
    seed=10,
    plants=30,
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
)


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
    """The job's command line on mounts of its own."""

    app: App
    root: Path
    clouds: Simulators

    def lay_out(self, account=NORTH, *, port=None, database_port=None, **changes):
        """Write mounts; `port` and `database_port` are those of proxies to go through."""
        adapter = "solarman" if isinstance(account, SolarmanAccount) else "sungrow"
        origin = getattr(self.clouds, f"{adapter}_url")
        if port:
            origin = f"https://localhost:{port}"
        allowed = {"adapter": adapter, "origin": origin, "allowPrivate": True}
        self.spec = run_spec(
            **{
                "vendor": {"name": adapter, "adapter": adapter, "baseURL": origin},
                "batchSize": 100,
                "allowedEndpoints": [allowed | {"caSecret": "vendor-ca"}],
            }
            | changes
        )
        self.root.mkdir(exist_ok=True)
        write_mounts(
            self.root,
            credentials=account.secret,
            database_url=through(self.app.run_url, database_port),
            ca=self.clouds.ca_file.read_text(),
        )
        return self

    @property
    def arguments(self) -> list[str]:
        spec = write_spec(self.root / "spec.json", self.spec)
        report = self.root / "report.json"
        report.unlink(missing_ok=True)
        mounts = ["--spec", str(spec), "--mounts", str(self.root)]
        return ["run", *mounts, "--report", str(report)]

    def run(self, *options: str, name="by-hand") -> Ended:
        """Run in this process, and put back what the command line takes over."""
        output = io.StringIO()
        with taken_over(), redirect_stdout(output):
            code = main([*self.arguments, *options], {"VENDORSYNC_JOB_NAME": name})
        return self._ended(code, output.getvalue())

    def start(self) -> subprocess.Popen[str]:
        """Start a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "vendorsync_job", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "VENDORSYNC_JOB_NAME": self.root.name},
        )

    def finish(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for a process."""
        output, _ = process.communicate(timeout=60)
        return self._ended(process.returncode, output)

    def _ended(self, code: int, output: str) -> Ended:
        return Ended(code, json.loads((self.root / "report.json").read_text()), output)

    def count(self):
        return self.app.value("SELECT count(*) FROM plants")


def through(url: str, port: int | None) -> str:
    """Return a database URL that goes by another port of 127.0.0.1."""
    return url if port is None else url.replace(f":{urlsplit(url).port}/", f":{port}/")


@contextmanager
def taken_over():
    """Give back the signals and the log handlers that a command line takes for itself."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    signals = {number: signal.getsignal(number) for number in numbers}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Otherwise its set-up would close the handlers of pytest.
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for number, handler in signals.items():
            signal.signal(number, handler)


@contextmanager
def meanwhile(condition: Callable[[], object], act: Callable[[], object]):
    """Act once in another thread as soon as the condition holds; it must hold within the block."""
    over, acted = threading.Event(), threading.Event()

    def watch():
        while not over.is_set():
            if condition():
                act()
                acted.set()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert acted.is_set(), "the moment to act never came"
